import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { RuleSample } from '../../config/profile-rule.ts'
import { METHODS } from '../../config/schema-parts.ts'
import { formatDuration } from '../../core/duration.ts'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import { seededRandom } from '../../core/random.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import { decideRetry } from '../../policy/retry/retry.ts'
import { judgeSample, judgeSamples, type SampleJudgement, type SampleResult } from '../../profiles/judge.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
import { type Known, knownProfiles, type Subject, subjectNamed } from '../profiles/known.ts'
import { conditionWords } from '../profiles/words.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly status?: number
  readonly body?: string
  readonly header?: Readonly<Record<string, string>>
  readonly method: string
  readonly endpoint: string
}

export function defineTest(profiles: Command, registrar: Registrar): void {
  const command = profiles
    .command('test [name]')
    .description('Tells which rule decides an answer, and what follows; without --status: judges the recorded answers.')
    .option('--status <status>', 'status of the answer', statusCode)
    .option('--body <text>', 'its body: JSON or text, or the name of a file')
    .option('--header <name:value>', 'a header of it; may be given several times', header)
    .option('--method <method>', 'of the call', method, 'POST')
    .option('--endpoint <path>', 'path or path template of the call', '/')
  registrar.handle<Options>(command, async (context, options, [name]) => {
    const known = await knownProfiles(context)
    if (options.status === undefined) return testSamples(context, known, name)
    if (name !== undefined) return testAnswer(context, subjectNamed(name, known), options, options.status)
    throw configurationError(
      'profile_not_named',
      'It is not said whose answer this is',
      'Name a profile or an integration: holdfast profiles test hubspot --status 409',
    )
  })
}

function statusCode(text: string): number {
  if (/^[1-9]\d\d$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected a status of three digits.')
}

function method(text: string): string {
  const upper = text.toUpperCase()
  if ((METHODS as readonly string[]).includes(upper)) return upper
  throw new InvalidArgumentError(`Expected one of ${METHODS.join(', ')}.`)
}

/** Collects `--header retry-after:7`. */
function header(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf(':')
  if (at > 0) return { ...before, [text.slice(0, at).trim().toLowerCase()]: text.slice(at + 1).trim() }
  throw new InvalidArgumentError('Expected NAME:VALUE.')
}

// --- One answer ---

async function testAnswer(context: CliContext, subject: Subject, options: Options, status: number): Promise<ExitCode> {
  const { output, host } = context
  const body = options.body === undefined ? undefined : await bodyOf(options.body, host.directory)
  const sample: RuleSample = {
    status,
    headers: options.header ?? {},
    method: options.method,
    path: options.endpoint,
    ...(body !== undefined && { body }),
  }
  const judgement = judgeSample(subject.settings, sample, host.clock.wallMs())
  const disposition = dispositionOf(subject, judgement)
  const { failure, rule } = judgement
  output.result({ rule: rule ?? null, failure: failure ?? null, disposition: disposition ?? null }, () =>
    failure ? failureText(failure, judgement, disposition?.reason ?? '') : successText(judgement),
  )
  return EXIT.done
}

/** JSON or text as it is given; else the name of a file that holds it. */
async function bodyOf(given: string, directory: string): Promise<Json> {
  const looksLikeText = /^\s*[{["<]/.test(given) || given.trim() === ''
  const text = looksLikeText ? given : await readBody(resolvePath(directory, given))
  try {
    return JSON.parse(text) as Json
  } catch {
    // Answers that are not JSON are judged too: HTML pages, XML, plain text.
    return text
  }
}

async function readBody(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw configurationError(
      'body_unreadable',
      `The body cannot be read from ${file}: ${messageOf(cause)}`,
      'Give --body JSON in quotes, or the name of a file.',
      { file },
      cause,
    )
  }
}

function dispositionOf({ settings }: Subject, { failure, idempotency }: SampleJudgement) {
  if (!failure) return undefined
  const facts = { failure, repeatable: isRepeatable(idempotency), attempts: 1, sameClassInARow: 1, ageMs: 0 }
  return decideRetry(facts, settings.defaults.retry, seededRandom('profiles test'))
}

function successText({ rule }: SampleJudgement): string {
  return rule ? `Success, by rule ${rule.label ?? rule.id}.` : 'Success: no rule says otherwise.'
}

function failureText(failure: Failure, { rule, idempotency }: SampleJudgement, reason: string): string {
  const rows: (readonly [string, string | undefined])[] = [
    ['decided by', failure.rule],
    ['because', rule && conditionWords(rule)],
    ['class', failure.class],
    ['code', failure.code],
    ['effect', failure.certainty],
    ['repeatable', isRepeatable(idempotency) ? 'yes' : 'no'],
    ['comes back', failure.retryAfterMs === undefined ? undefined : `after ${formatDuration(failure.retryAfterMs)}`],
    ['at most', failure.maxRetries === undefined ? undefined : `${failure.maxRetries} retries`],
    ['what follows', reason],
    ['blames', failure.subject],
    ['says', failure.message],
    ['to do', failure.hint],
    ['to users', failure.userMessage],
  ]
  const told = rows.filter((row): row is readonly [string, string] => row[1] !== undefined)
  return told.map(([what, words]) => `${what.padEnd(13)} ${words}`).join('\n')
}

// --- The recorded answers ---

async function testSamples(context: CliContext, known: Known, name: string | undefined): Promise<ExitCode> {
  const { output, host } = context
  const { BUILT_IN_SAMPLES } = await import('../../profiles/samples.ts')
  const wanted =
    name === undefined ? known.profiles : [subjectNamed(name, known).profile].filter((one) => one !== undefined)
  const tested = wanted.map((profile) => {
    const samples = profile.samples ?? BUILT_IN_SAMPLES[profile.name] ?? {}
    const results = judgeSamples(profile, samples, host.clock.wallMs())
    const untested = profile.rules.filter(({ id }) => (samples[id] ?? []).length === 0).map(({ id }) => id)
    return { name: profile.name, results, untested }
  })
  const wrong = tested.flatMap(({ name: of, results }) => results.filter(isWrong).map((result) => ({ of, result })))
  output.result(
    {
      profiles: tested.map((one) => ({ ...one, results: undefined, samples: one.results.length })),
      wrong: wrong.map(({ of, result }) => ({
        profile: of,
        rule: result.rule.id,
        decidedBy: result.decidedBy ?? null,
      })),
    },
    () => samplesText(output, tested, wrong),
  )
  return wrong.length > 0 ? EXIT.failed : EXIT.done
}

function isWrong({ rule, decidedBy }: SampleResult): boolean {
  return decidedBy !== rule.id
}

function samplesText(
  output: Output,
  tested: readonly { name: string; results: readonly SampleResult[]; untested: readonly string[] }[],
  wrong: readonly { of: string; result: SampleResult }[],
): string {
  const overview = output.table(
    [
      { title: 'profile', value: ({ name }) => name },
      { title: 'answers', value: ({ results }) => results.length, align: 'right' },
      { title: 'as expected', value: ({ results }) => results.filter((one) => !isWrong(one)).length, align: 'right' },
      { title: 'rules without an answer', value: ({ untested }) => untested.join(', '), flexible: true },
    ],
    tested,
  )
  const lines = wrong.map(
    ({ of, result }) =>
      `${of}: an answer of ${result.rule.id} is decided by ${result.decidedBy ?? 'the default table'}`,
  )
  const total = tested.reduce((sum, { results }) => sum + results.length, 0)
  const end = `${formatCount(total - wrong.length)} of ${formatCount(total)} answers are decided by their rules.`
  return [overview, '', ...lines, end].join('\n')
}
