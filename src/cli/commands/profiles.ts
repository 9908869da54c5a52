import type { Command } from 'commander'
import type { ErrorRule } from '../../config/settings.ts'
import { type DefaultRow, defaultRows, overviewOf } from '../../profiles/overview.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Output } from '../output/output.ts'
import { knownProfiles, type Subject, subjectNamed } from '../profiles/known.ts'
import { conditionWords, sourceWords, waitWords } from '../profiles/words.ts'
import type { Registrar } from '../registrar.ts'
import { defineSuggest } from './profiles-suggest.ts'
import { defineTest } from './profiles-test.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description('Shows what is known about vendors, and tells which rule decides an answer.')
  registrar.examples(command, [
    ['holdfast profiles', 'the vendors that are known'],
    ['holdfast profiles show hubspot', 'its decision table'],
    [
      `holdfast profiles test hubspot --status 409 --body '{"message":"Contact already exists"}'`,
      'what such an answer means',
    ],
    ['holdfast profiles test', 'all recorded answers of all profiles'],
    ['holdfast profiles suggest', 'failures that no rule knows yet'],
  ])
  const list = command.command('list', { isDefault: true }).description('Lists the profiles (the default).')
  registrar.handle(list, showAll)
  const show = command
    .command('show <name>')
    .description('Prints the decision table of a profile, or of an integration with its own rules.')
  registrar.handle(show, (context, _options, [name = '']) => showOne(context, name))
  defineTest(command, registrar)
  defineSuggest(command, registrar)
}

async function showAll(context: CliContext): Promise<ExitCode> {
  const { output } = context
  const { profiles } = await knownProfiles(context)
  output.result({ profiles: profiles.map(overviewOf) }, () =>
    output.table(
      [
        { title: 'profile', value: ({ name }) => name },
        { title: 'vendor', value: ({ title }) => title },
        { title: 'rules', value: ({ rules }) => rules, align: 'right' },
        { title: 'vendor says so', value: ({ vendor }) => vendor, align: 'right' },
        { title: 'second-hand', value: ({ secondHand }) => secondHand, align: 'right' },
        { title: 'unverified', value: ({ unverified }) => unverified, align: 'right' },
        { title: 'documentation', value: ({ docs }) => docs[0] ?? '', flexible: true },
      ],
      profiles.map(overviewOf),
    ),
  )
  output.next(`holdfast profiles show ${profiles[0]?.name ?? 'NAME'}`)
  return EXIT.done
}

async function showOne(context: CliContext, name: string): Promise<ExitCode> {
  const { output } = context
  const subject = subjectNamed(name, await knownProfiles(context))
  const { profile, settings } = subject
  const defaults = defaultRows(settings.errors)
  output.result({ name, profile: profile ?? null, rules: settings.errors, defaults }, () =>
    [
      heading(subject),
      rulesTable(output, settings.errors),
      sourcesOf(settings.errors)
        .map((source, index) => `[${index + 1}] ${source}`)
        .join('\n'),
      'Then, by default:',
      defaultsTable(output, defaults),
    ].join('\n\n'),
  )
  output.next(`holdfast profiles test ${name} --status 500 --body FILE`, 'which rule decides an answer')
  return EXIT.done
}

function heading({ title, profile, settings }: Subject): string {
  const lines = [`${title}: ${settings.errors.length} rules. The first that matches decides.`]
  if (profile?.auth?.note !== undefined) lines.push(profile.auth.note)
  for (const page of profile?.docs ?? []) lines.push(`  ${page}`)
  return lines.join('\n')
}

/** Each once: addresses are longer than everything else. */
function sourcesOf(rules: readonly ErrorRule[]): string[] {
  return [...new Set(rules.map(({ source }) => sourceWords(source)))]
}

function rulesTable(output: Output, rules: readonly ErrorRule[]): string {
  const sources = sourcesOf(rules)
  return output.table(
    [
      { title: 'rule', value: ({ id, label }) => id ?? label ?? '' },
      { title: 'when', value: conditionWords, flexible: true },
      { title: 'means', value: (rule) => rule.class },
      { title: 'effect', value: ({ certainty }) => certainty ?? '' },
      { title: 'comes back', value: ({ retryAfter }) => waitWords(retryAfter) },
      { title: 'source', value: ({ source }) => `[${sources.indexOf(sourceWords(source)) + 1}]` },
    ],
    rules,
  )
}

function defaultsTable(output: Output, rows: readonly DefaultRow[]): string {
  return output.table(
    [
      { title: 'status', value: ({ status }) => status, align: 'right' },
      { title: 'means', value: (row) => row.class },
      { title: 'effect of a write', value: ({ certainty }) => certainty },
      { title: 'source', value: ({ source }) => source, flexible: true },
    ],
    rows,
  )
}
