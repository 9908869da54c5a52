/** What is wrong at the end of a trial, or on its way, in words. */
import type { Holdfast } from '../../src/engine/api.ts'
import type { AuditReport, Balance, ItemCounters } from '../../src/ledger/port.ts'
import type { TwinVerdict } from './world.ts'

const PAGE = 1000
const MOST_SHOWN = 5

export interface Auditor {
  readonly count: number
  readonly problems: readonly string[]
  audit(): Promise<AuditReport>
}

/** Of the whole store, while everything goes on: one snapshot, in which everything must be right. */
export function createAuditor(hf: Holdfast): Auditor {
  const problems: string[] = []
  let count = 0
  return {
    problems,
    get count() {
      return count
    },
    async audit() {
      const report = await hf.operations.audit()
      count++
      const violated = report.checks.filter(({ violations }) => violations > 0)
      for (const { name, violations, examples } of violated) {
        problems.push(`audit ${count}: ${name} is violated ${violations} times, by ${examples.join(', ')}`)
      }
      if (!report.balanced && violated.length === 0) problems.push(`audit ${count}: the books do not balance`)
      return report
    },
  }
}

export function problemsOf({ accepted, states }: Balance, items: number, { lost, doubled }: TwinVerdict): string[] {
  const problems: string[] = []
  if (accepted !== items) problems.push(`${accepted} items were accepted, of ${items}`)
  if (states.succeeded !== items)
    problems.push(`${states.succeeded} items succeeded, of ${items}: ${openStates(states)}`)
  if (lost.length > 0) problems.push(`${lost.length} effects are lost: ${lost.slice(0, MOST_SHOWN).join(', ')}`)
  if (doubled.length > 0) problems.push(`${doubled.length} are there twice: ${doubled.slice(0, MOST_SHOWN).join(', ')}`)
  return problems
}

export function openStates(states: Balance['states']): string {
  return Object.entries(states)
    .filter(([state, count]) => state !== 'succeeded' && count > 0)
    .map(([state, count]) => `${state} ${count}`)
    .join(', ')
}

/** Of all items together. */
export async function countersOf(hf: Holdfast): Promise<ItemCounters> {
  const sum = { attempts: 0, deferrals: 0, crashes: 0, replays: 0 }
  let cursor: string | undefined
  do {
    const page = await hf.operations.items({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const { counters } of page.rows) {
      sum.attempts += counters.attempts
      sum.deferrals += counters.deferrals
      sum.crashes += counters.crashes
      sum.replays += counters.replays
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return sum
}
