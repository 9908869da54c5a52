import type { Command } from 'commander'
import { stringify } from 'yaml'
import type { Suggestion } from '../../engine/api.ts'
import { EXIT } from '../exit-codes.ts'
import { durationOption, positiveInteger } from '../option-parsers.ts'
import { printable } from '../output/printable.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  /** Milliseconds. */
  readonly since?: number
  readonly integration?: string
  readonly limit: number
}

/** Enough to see what it is about. */
const EXCERPT_LENGTH = 300

export function defineSuggest(profiles: Command, registrar: Registrar): void {
  const command = profiles
    .command('suggest')
    .description('Shows failures that no rule knew, and the rule that could be written for each. Changes nothing.')
    .option('--since <duration>', 'only of the last 24h, 7d, ... (default: all that is kept)', durationOption)
    .option('--integration <name>', 'only of this one')
    .option('--limit <count>', 'at most this many', positiveInteger, 20)
  registrar.handle<Options>(command, (context, { since, integration, limit }) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const range = since === undefined ? {} : { sinceMs: host.clock.wallMs() - since }
      const all = await operations.suggestions(range)
      const suggestions = all
        .filter((one) => integration === undefined || one.integration === integration)
        .slice(0, limit)
      output.result({ suggestions }, () =>
        suggestions.length > 0
          ? suggestions.map(suggestionText).join('\n\n')
          : 'Nothing to suggest: every failure was decided by a rule, or means the same everywhere.',
      )
      const [first] = suggestions
      if (first) output.next(`holdfast explain ${first.exampleItemId}`, 'one of the first kind')
      return EXIT.done
    }),
  )
}

function suggestionText(suggestion: Suggestion): string {
  const { integration, count, status, code, decidedBy, endpoints, excerpt, days, rule } = suggestion
  const { hint, ...matched } = rule
  const snippet = stringify({ integrations: { [integration]: { errors: [{ ...matched, hint: hint ?? '' }] } } })
  return [
    `${integration}: ${formatCount(count)} times ${status} ${printable(code)}, on ${formatCount(days.length)} days; ${endpoints.map(printable).join(', ')}`,
    `  decided by ${printable(decidedBy)}`,
    ...(excerpt === '' ? [] : [`  ${printable(excerpt.slice(0, EXCERPT_LENGTH))}`]),
    '  If it always means the same, write what:',
    ...snippet
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
  ].join('\n')
}
