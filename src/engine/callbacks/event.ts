/** What a callback says of a run, and when: pure. */
import { isEndState } from '../../core/item-state.ts'
import type { Json } from '../../core/json.ts'
import type { ItemRecord, ItemSummary, RunRecord } from '../../ledger/port.ts'

/** `moving`: something of it can still happen by itself. `stopped`: only a person can go on with it. */
export type RunStanding = 'moving' | 'stopped' | 'succeeded' | 'failed'

export function standingOf(items: readonly ItemSummary[]): RunStanding {
  const needed = items.filter((item) => !(item.optional && needsPerson(item)))
  if (needed.every(({ state }) => isEndState(state))) {
    return needed.every((item) => item.optional || WELL.has(item.state)) ? 'succeeded' : 'failed'
  }
  const resting = needed.every((item) => isEndState(item.state) || item.state === 'waiting' || needsPerson(item))
  return resting && needed.some(needsPerson) ? 'stopped' : 'moving'
}

const WELL: ReadonlySet<string> = new Set(['succeeded', 'skipped', 'superseded'])

/** The slow lane tries the others again by itself. */
function needsPerson({ state, dueAtMs }: ItemSummary): boolean {
  return (state === 'dead_lettered' || state === 'unknown_outcome') && dueAtMs === undefined
}

/** Equal whenever it is made: of a run that has ended nothing changes any more. */
export function eventOf(
  run: RunRecord,
  standing: Exclude<RunStanding, 'moving'>,
  records: ReadonlyMap<string, ItemRecord>,
  shown: (value: Json) => Json,
): object {
  const atMs = Math.max(...run.items.map(({ endedAtMs, updatedAtMs }) => endedAtMs ?? updatedAtMs))
  return {
    type: `run.${standing}`,
    timestamp: new Date(atMs).toISOString(),
    data: {
      runId: run.id,
      pipeline: run.pipeline,
      key: run.key,
      tenant: run.tenant,
      batch: run.batch,
      labels: run.labels,
      correlationId: run.correlationId,
      steps: run.items.map((item) => ({
        step: item.step,
        itemId: item.itemId,
        state: item.state,
        ...(item.state !== 'succeeded' && { reason: item.deadLetter?.summary ?? item.reason }),
        ...(item.deadLetter && { hint: item.deadLetter.hint }),
        ...(item.externalId !== undefined && { externalId: item.externalId }),
        ...(item.state === 'succeeded' && { output: shown(records.get(item.itemId)?.output ?? null) }),
      })),
    },
  }
}
