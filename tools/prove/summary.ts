/** What a person reads while the proof goes on, and at its end. */
import { openBar } from '../../src/cli/output/bar.ts'
import type { Colours } from '../../src/cli/output/colours.ts'
import { table } from '../../src/cli/output/table.ts'
import { formatCount } from '../../src/cli/output/time.ts'
import { formatDuration } from '../../src/core/duration.ts'
import { type ProofResult, problemsOf } from './run.ts'

const MOST_PROBLEMS = 20

export function proofText(result: ProofResult, look: { readonly width: number; readonly colours: Colours }): string {
  const { colours } = look
  const column = (title: string, value: (row: Row) => number) => ({
    title,
    value: (row: Row) => formatCount(value(row)),
    align: 'right' as const,
  })
  const rows = table(
    [
      { title: 'endpoint', value: (row: Row) => row.title, flexible: true },
      column('operations', (row) => row.operations),
      column('sent', (row) => row.sent),
      column('answers lost', (row) => row.answersLost),
      column('found by a look', (row) => row.found),
      column('for a person', (row) => row.listed),
      column('lost', (row) => row.lost.length),
      column('doubled', (row) => row.doubled.length),
      column('guessed', (row) => row.guessed.length),
    ],
    result.kinds,
    { width: look.width, heading: colours.dim },
  )
  const problems = result.kinds.flatMap(problemsOf)
  const verdict = result.passed
    ? colours.good('0 lost, 0 doubled; what could not be told is listed, and nothing else')
    : [colours.bad('FAILED'), ...problems.slice(0, MOST_PROBLEMS).map((problem) => `  ${problem}`)].join('\n')
  const again = colours.accent(`npm run prove -- --operations ${result.operations} --seed ${result.seed}`)
  const took = `${formatCount(result.done)} operations in ${formatDuration(result.tookMs)}`
  return [rows, '', `${took}; again: ${again}`, verdict].join('\n')
}

type Row = ProofResult['kinds'][number]

export interface ProofProgress {
  show(sofar: ProofResult): void
  /** Clears it; idempotent. */
  stop(): void
}

/** A bar on a terminal, nothing in a pipe. */
export async function proofProgress(isTerminal: boolean, operations: number): Promise<ProofProgress> {
  if (!isTerminal) return { show() {}, stop() {} }
  const bar = await openBar('{bar} {value}/{total} operations | {text}')
  return {
    show: (sofar) => bar.show(sofar.done, operations, { text: progressText(sofar) }),
    stop: bar.stop,
  }
}

function progressText({ kinds }: ProofResult): string {
  const count = (value: (row: Row) => number) => formatCount(kinds.reduce((sum, row) => sum + value(row), 0))
  const lost = count((row) => row.lost.length)
  const doubled = count((row) => row.doubled.length)
  return `${count((row) => row.answersLost)} answers lost: ${lost} lost, ${doubled} doubled`
}
