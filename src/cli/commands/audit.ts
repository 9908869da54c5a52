import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { balanceText } from '../output/balance.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Proves that no record is lost: reads the whole store, checks that accepted equals the sum of all states, for all and per batch, and that the store agrees with itself. Ends with 1 where it does not.',
  )
  registrar.examples(command, [
    ['holdfast audit', 'read everything and prove it'],
    ['holdfast audit --json | jq .balanced', 'for a script'],
  ])
  registrar.handle(command, (context) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output } = context
      const report = await operations.audit()
      output.result(report, () => {
        const { colours } = output
        const batches = output.table(
          [
            { title: 'batch', value: ({ batch }) => batch, flexible: true },
            { title: 'accepted', value: ({ accepted }) => formatCount(accepted), align: 'right' },
            { title: 'succeeded', value: ({ states }) => formatCount(states.succeeded), align: 'right' },
            { title: 'need a person', value: ({ needsPerson }) => formatCount(needsPerson), align: 'right' },
            {
              title: 'balanced',
              value: ({ balanced }) => (balanced ? 'yes' : 'NO'),
              paint: (text, { balanced }) => (balanced ? colours.good(text) : colours.bad(text)),
            },
          ],
          report.batches,
        )
        const checks = report.checks.map(({ description, violations, examples }) =>
          violations === 0
            ? `${colours.good('ok')}     ${description}`
            : `${colours.bad('BROKEN')} ${description}: ${formatCount(violations)}, e.g. ${examples.join(', ')}`,
        )
        return [balanceText(output, report.balance), '', batches, '', ...checks].join('\n')
      })
      return report.balanced ? EXIT.done : EXIT.failed
    }),
  )
}
