import { balanceText } from '../output/balance.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
import type { RunResult } from './run-file.ts'

/** The end of a run: what came in, the balance, and what to do next. */
export function tellRun(output: Output, result: RunResult): void {
  const { counts, balance, batch, pipeline } = result
  output.result(result, () => {
    const { colours } = output
    const refused = counts.refused > 0 ? colours.bad(`, ${formatCount(counts.refused)} refused`) : ''
    const known = counts.known > 0 ? `, ${formatCount(counts.known)} already known` : ''
    const records = `${formatCount(counts.read)} records: ${formatCount(counts.accepted)} new${known}${refused}`
    return [
      `${colours.strong(pipeline)}, batch ${colours.strong(batch)}`,
      records,
      '',
      balanceText(output, balance),
    ].join('\n')
  })
  if (result.interrupted) output.note('Next: the same command again, to go on')
  else if (!result.worked) output.next('holdfast worker', 'to do the work')
  else if (balance.needsPerson > 0)
    output.next(`holdfast dlq groups --batch "${batch}"`, 'what needs a person, by cause')
  else output.next(`holdfast items --batch "${batch}"`, 'what became of each')
}
