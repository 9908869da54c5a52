import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { RATE_PATTERN } from '../../config/quantities.ts'
import type { WrittenRate } from '../../config/schema-parts.ts'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { Twin } from '../../testing/twin/twin.ts'
import type { RuleFailure } from '../../testing/vendor-twin/fail.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { listenForInterrupt, untilInterrupted } from '../interruption.ts'
import { durationOption, positiveInteger } from '../option-parsers.ts'
import { formatCount } from '../output/time.ts'
import { knownProfiles } from '../profiles/known.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly list?: boolean
  readonly port?: number
  readonly journal?: string
  readonly seed?: string
  readonly latency?: number
  readonly fail?: Readonly<Record<string, RuleFailure>>
  readonly failRecords?: Readonly<Record<string, RuleFailure>>
  readonly limit?: Readonly<Record<string, WrittenRate | false>>
  readonly limits: boolean
  readonly credentials: boolean
}

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Runs an imitation of an API that fails: of a vendor, with its own errors, limits and batches, or as a file says. Counts what was really done, and what was done twice.',
    )
    .argument('[vendor|file]', 'a profile (hubspot), or the description of a twin: YAML or JSON')
    .option('--list', 'the vendors there are')
    .option('--port <number>', 'port on this machine (default: that of the file, else any free one)', positiveInteger)
    .option('--journal <file>', 'append every effect to this file, so that a restarted twin still knows them')
    .option('--fail <what:share>', 'rule of the profile or kind of fault, and how often: locked:5%', failure)
    .option('--fail-records <rule:share>', 'the same for single records of batches', failure)
    .option('--limit <name:rate>', 'another limit than the published one: burst:100/10s, daily:off', limit)
    .option('--no-limits', 'without any limit')
    .option('--no-credentials', 'calls without credentials are taken too')
    .option('--latency <duration>', 'of every answer: 80ms', durationOption)
    .option('--seed <text>', 'the same chance every time')
  registrar.examples(command, [
    ['holdfast twin hubspot --port 4801', 'the CRM, until Ctrl-C; point baseUrl at http://127.0.0.1:4801'],
    ['holdfast twin hubspot --fail locked:5% --fail executed_then_reset:1%', 'its own 423, and lost answers'],
    ['holdfast twin stripe --fail server-error:2%:executed', 'payments that happened, and say that they failed'],
    ['holdfast twin hubspot --limit burst:20/10s --fail-records invalid-data:3%', 'tighter, and with bad records'],
    ["curl -H 'x-twin-answer: locked' http://127.0.0.1:4801/crm/v3/objects/contacts", 'one certain answer'],
    ['curl http://127.0.0.1:4801/_twin/duplicates', 'what was done twice; also effects, requests'],
    ['holdfast twin crm.twin.yaml --journal crm.jsonl', 'as a file says, remembering over restarts'],
  ])
  registrar.handle<Options>(command, async (context, options, [what]) => {
    if (options.list) return list(context)
    if (what === undefined) {
      throw configurationError(
        'twin_not_named',
        'It is not said whose twin this is',
        'Name a profile (`holdfast twin --list` shows them), or the file that describes the twin.',
      )
    }
    return run(context, () =>
      isFile(what) ? twinOfFile(context, options, what) : twinOfVendor(context, options, what),
    )
  })
}

/** Names of profiles have neither dots nor slashes. */
function isFile(what: string): boolean {
  return /[./\\]/.test(what)
}

async function list(context: CliContext): Promise<ExitCode> {
  const { profiles } = await knownProfiles(context)
  const { LOOKS } = await import('../../testing/vendor-twin/looks.ts')
  const twins = profiles.map(({ name, title, rules }) => {
    return { name, title, rules: rules.length, limits: LOOKS[name]?.limits ?? {} }
  })
  const words = (limits: object): string =>
    Object.entries(limits)
      .map(([name, rate]) => `${name} ${rate}`)
      .join(', ')
  context.output.result({ twins }, () =>
    context.output.table(
      [
        { title: 'twin', value: ({ name }) => name },
        { title: 'of', value: ({ title }) => title },
        { title: 'rules', value: ({ rules }) => rules, align: 'right' },
        { title: 'limits', value: ({ limits }) => words(limits), flexible: true },
      ],
      twins,
    ),
  )
  return EXIT.done
}

async function run({ host, output }: CliContext, start: () => Promise<Twin>): Promise<ExitCode> {
  using interruption = listenForInterrupt(host, 'Stopping the twin.')
  const twin = await start()
  output.note(`The twin listens on ${twin.url}. Ctrl-C stops it.`)
  await untilInterrupted(host.clock, interruption.signal)
  await twin.close()
  const effects = twin.effects.length
  const duplicates = twin.duplicates()
  output.result({ url: twin.url, effects, duplicates }, () =>
    [
      `${formatCount(effects)} effects, ${formatCount(duplicates.length)} of them done more than once.`,
      ...duplicates.slice(0, 10).map((duplicate) => `  ${JSON.stringify(duplicate)}`),
    ].join('\n'),
  )
  return EXIT.done
}

async function twinOfFile({ host }: CliContext, options: Options, file: string): Promise<Twin> {
  const path = resolvePath(host.directory, file)
  const text = await readText(path)
  const [{ twinFromSpec }, { systemRandom }] = await Promise.all([
    import('../../testing/twin/cli-spec.ts'),
    import('../../system/system-random.ts'),
  ])
  return twinFromSpec(text, {
    clock: host.clock,
    random: systemRandom,
    source: path,
    ...place(host.directory, options),
  })
}

async function twinOfVendor(context: CliContext, options: Options, name: string): Promise<Twin> {
  const { host } = context
  const { profiles } = await knownProfiles(context)
  const [{ createVendorTwin }, { startTwin }, { seededRandom }, { systemRandom }] = await Promise.all([
    import('../../testing/vendor-twin/create.ts'),
    import('../../testing/twin/twin.ts'),
    import('../../core/random.ts'),
    import('../../system/system-random.ts'),
  ])
  const { fail = {}, failRecords = {}, limit = {}, limits, credentials, latency, seed } = options
  const shares = Object.entries(failRecords).map(([rule, { share }]) => [rule, share] as const)
  const definition = createVendorTwin(profiles.find((profile) => profile.name === name) ?? name, {
    fail,
    failRecords: Object.fromEntries(shares),
    limits: limits && limit,
    credentials,
    ...(latency !== undefined && { latency: `${latency}ms` }),
  })
  const random = seed === undefined ? systemRandom : seededRandom(seed)
  return startTwin({ ...definition, clock: host.clock, random, ...place(host.directory, options) })
}

function place(directory: string, { port, journal }: Options) {
  return {
    ...(port !== undefined && { port }),
    ...(journal !== undefined && { journal: resolvePath(directory, journal) }),
  }
}

/** Collects `--fail locked:5% --fail server-error:0.01:executed`. */
function failure(text: string, before: Readonly<Record<string, RuleFailure>> = {}): Record<string, RuleFailure> {
  const match = /^([\w-]+):(\d{1,3}(?:\.\d{1,6})?)(%?)(:executed)?$/.exec(text)
  const [, name = '', amount, percent, executed] = match ?? []
  const share = Number(amount) / (percent ? 100 : 1)
  if (!match || share > 1) throw new InvalidArgumentError('Expected what and how often, such as locked:5%.')
  return { ...before, [name]: { share, ...(executed && { executed: true }) } }
}

/** Collects `--limit burst:100/10s --limit daily:off`. */
function limit(
  text: string,
  before: Readonly<Record<string, WrittenRate | false>> = {},
): Record<string, WrittenRate | false> {
  const colon = text.lastIndexOf(':')
  const rate = text.slice(colon + 1)
  if (colon < 1 || !(rate === 'off' || RATE_PATTERN.test(rate))) {
    throw new InvalidArgumentError('Expected NAME:RATE, such as burst:100/10s, or NAME:off.')
  }
  return { ...before, [text.slice(0, colon)]: rate === 'off' ? false : (rate as WrittenRate) }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw configurationError(
      'file_unreadable',
      `${path} cannot be read: ${messageOf(cause)}`,
      'Check the name and the permissions of the file.',
      { path },
      cause,
    )
  }
}
