/** Rule 9: what `explain` says is what the ledger holds, for the items with the longest stories. */
import type { ItemState } from '../../../core/item-state.ts'
import { isEndState } from '../../../core/item-state.ts'
import type { Explanation } from '../../../engine/api.ts'
import type { ItemRecord, ItemSummary } from '../../../ledger/port.ts'
import type { CheckFactory, WorldView } from './check.ts'
import { storedItems } from './stored-items.ts'

const SAMPLE_AT_END = 15
const SAMPLE_AT_INSPECTION = 2
/** States in which something is to come, and of which an inspection looks at a few. */
const IN_BETWEEN: readonly ItemState[] = ['retrying', 'parked', 'unknown_outcome', 'dead_lettered']

export const explainAgrees: CheckFactory = ({ violated }) => {
  async function explain({ ledger, spectator }: WorldView, itemId: string): Promise<void> {
    const item = await ledger.item(itemId)
    const explanation = await spectator.operations.explain(itemId)
    if (!item || !explanation) return violated('it cannot be explained', { itemId })
    for (const problem of contradictions(item, explanation)) violated(problem, { itemId })
  }

  return {
    name: 'explain agrees',
    async inspect(view) {
      for (const state of IN_BETWEEN) {
        const { rows } = await view.ledger.items({ states: [state] }, { limit: SAMPLE_AT_INSPECTION })
        for (const { itemId } of rows) await explain(view, itemId)
      }
    },
    async end(view) {
      const rows = (await storedItems(view)).sort((one, other) => lengthOf(other) - lengthOf(one) || order(one, other))
      for (const { itemId } of rows.slice(0, SAMPLE_AT_END)) await explain(view, itemId)
    },
  }
}

function lengthOf({ counters }: ItemSummary): number {
  return counters.attempts + counters.deferrals + counters.crashes + counters.replays
}

function order(one: ItemSummary, other: ItemSummary): number {
  return one.itemId < other.itemId ? -1 : 1
}

const WORDS: Readonly<Record<ItemState, RegExp>> = {
  waiting: /wait/,
  queued: /queued/,
  processing: /process/,
  retrying: /retri/,
  parked: /parked/,
  unknown_outcome: /unknown outcome/,
  dead_lettered: /dead letter/,
  succeeded: /succeeded/,
  skipped: /skipped/,
  superseded: /superseded/,
  cancelled: /cancelled/,
  discarded: /discarded/,
}

/** What the explanation says that the record does not, and the other way round. */
export function contradictions(item: ItemRecord, explanation: Explanation): string[] {
  return [
    ...headlineProblems(item, explanation),
    ...storyProblems(item, explanation),
    ...nextProblems(item, explanation),
  ]
}

function headlineProblems(item: ItemRecord, { headline }: Explanation): string[] {
  const problems: string[] = []
  if (!WORDS[item.state].test(headline)) problems.push(`it is ${item.state}; explained as "${headline}"`)
  for (const name of [item.pipeline, item.step, item.key]) {
    if (!headline.includes(name)) problems.push(`"${headline}" does not name ${name}`)
  }
  const { attempts, deferrals, crashes, replays } = item.counters
  const told = [`${attempts} attempt`]
  if (deferrals > 0) told.push(`held ${deferrals} time`)
  if (crashes > 0) told.push(`${crashes} time`)
  if (replays > 0) told.push(`replayed ${replays} time`)
  for (const text of told) if (!headline.includes(text)) problems.push(`"${headline}" does not say: ${text}`)
  const why = item.deadLetter?.summary ?? item.reason
  if (!headline.includes(why)) problems.push(`"${headline}" does not say why: ${why}`)
  return problems
}

function storyProblems(item: ItemRecord, { lines }: Explanation): string[] {
  const problems: string[] = []
  const counted = item.attempts.filter(({ counts }) => counts).length
  if (counted !== item.counters.attempts) {
    problems.push(`${item.counters.attempts} attempts are counted, and ${counted} recorded`)
  }
  for (const attempt of item.attempts) {
    const line = lines.find(({ text }) => text.startsWith(`Try ${attempt.number} `))
    if (!line) problems.push(`try ${attempt.number} is not told`)
    else if (line.atMs !== attempt.startedAtMs) problems.push(`try ${attempt.number} is told at another time`)
    else if (attempt.status !== undefined && !line.text.includes(String(attempt.status))) {
      problems.push(`try ${attempt.number} got ${attempt.status}; told as "${line.text}"`)
    } else if (attempt.outcome === 'failed' && !line.text.includes(attempt.failure?.code ?? 'no reason')) {
      problems.push(`try ${attempt.number} failed with ${attempt.failure?.code}; told as "${line.text}"`)
    }
  }
  for (const { what, by, atMs } of item.operations) {
    const isTold = lines.some((line) => line.atMs === atMs && line.text.includes(what) && line.text.includes(by))
    if (!isTold) problems.push(`that ${by} did ${what} is not told`)
  }
  return problems
}

function nextProblems(item: ItemRecord, { next, hint }: Explanation): string[] {
  const problems: string[] = []
  if (isEndState(item.state) !== /^Nothing: (it has ended|its run failed for good and is undone)/.test(next))
    problems.push(`it is ${item.state}; next: "${next}"`)
  if (item.deadLetter) {
    const { summary, hint: stored, fingerprint } = item.deadLetter
    if (summary === '' || stored === '' || fingerprint === '') problems.push('its dead letter says nothing (R130-R132)')
    if (hint !== stored) problems.push(`its dead letter hints "${stored}", and its explanation "${hint}"`)
  }
  const needsPerson = item.state === 'unknown_outcome' || item.state === 'dead_lettered'
  if (needsPerson && item.dueAtMs === undefined && !next.includes(item.itemId)) {
    problems.push(`a person is needed; next: "${next}"`)
  }
  const time = item.dueAtMs === undefined ? undefined : new Date(item.dueAtMs).toISOString()
  // Whatever keeps a lane closed for longer is told instead.
  if (time !== undefined && item.state !== 'queued' && !next.includes(time) && !/ now|lane/.test(next)) {
    problems.push(`it is due at ${time}; next: "${next}"`)
  }
  return problems
}
