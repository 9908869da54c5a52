/** What an item's end means for the steps of its run that wait for it. */
import { itemId, parseItemId } from '../../../core/ids.ts'
import { type ItemState, isEndState } from '../../../core/item-state.ts'
import { itemsOfRun } from '../intake/item-numbers.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Places } from './places.ts'
import type { Tally } from './tally.ts'

export interface EndedItem {
  readonly itemId: string
  readonly no: number
  readonly run: number
  readonly book: number
  /** Whose turn it takes; `null`: nobody's. */
  readonly entity: number | null
  /** JSON array of steps; `null`: none. */
  readonly dependents: string | null
  readonly optional: boolean
}

export interface Dependents {
  /**
   * Follows up on an item that ended, or became a dead letter. It releases its dependents where it ended well, and where
   * it is optional and failed; it takes them along where it was cancelled, discarded or superseded. A dead letter that is not
   * optional leaves them waiting. Releases once, however often the item is replayed. Returns the ids of items now queued.
   */
  followUp(item: EndedItem, state: ItemState, nowMs: number): string[]
}

const NOTHING_QUEUED: string[] = []

export function prepareDependents(database: Database, tally: Tally, places: Places): Dependents {
  const markReleased = prepare(database, 'UPDATE items SET released = 1 WHERE no = ? AND released = 0')
  const release = prepare<{ state: ItemState }>(
    database,
    `UPDATE items SET unmet = unmet - 1, updated_at_ms = ?1,
       state = CASE WHEN unmet = 1 THEN 'queued' ELSE state END,
       due_at_ms = CASE WHEN unmet = 1 THEN max(?1, coalesce(not_before_ms, 0)) END,
       reason = CASE WHEN unmet = 1 THEN 'the steps before it are done' ELSE reason END
     WHERE ${itemsOfRun('?2')} AND step = ?3 AND state = 'waiting' RETURNING state`,
  )
  const end = prepare<{ no: number; entity: number | null; dependents: string | null }>(
    database,
    `UPDATE items SET state = ?1, reason = ?2, ended_at_ms = ?3, updated_at_ms = ?3
     WHERE ${itemsOfRun('?4')} AND step = ?5 AND state = 'waiting' RETURNING no, entity, dependents`,
  )

  function followUp(item: EndedItem, state: ItemState, nowMs: number): string[] {
    if (item.dependents === null || !(isEndState(state) || state === 'dead_lettered')) return NOTHING_QUEUED
    if (state === 'succeeded' || state === 'skipped' || item.optional) return releaseAfter(item, nowMs)
    return state === 'dead_lettered' ? NOTHING_QUEUED : endAfter(item, state, nowMs)
  }

  function releaseAfter(item: EndedItem, nowMs: number): string[] {
    const at = parseItemId(item.itemId)
    if (!at || markReleased.run(item.no).changes === 0) return NOTHING_QUEUED
    const queued: string[] = []
    for (const step of stepsOf(item.dependents)) {
      if (release.get(nowMs, item.run, step)?.state !== 'queued') continue
      tally.move(item.book, 'waiting', 'queued')
      queued.push(itemId(at.runId, step))
    }
    return queued
  }

  /** All the way down: whatever needs a step that will never run will never run. Their turns go to others. */
  function endAfter(item: EndedItem, state: ItemState, nowMs: number): string[] {
    const queued: string[] = []
    const cause = parseItemId(item.itemId)?.step
    const reason = `step "${cause}", which it needs, was ${state}`
    const open = stepsOf(item.dependents)
    for (let step = open.pop(); step !== undefined; step = open.pop()) {
      const ended = end.get(state, reason, nowMs, item.run, step)
      if (!ended) continue
      tally.move(item.book, 'waiting', state)
      open.push(...stepsOf(ended.dependents))
      if (ended.entity === null) continue
      places.leave(ended.no)
      queued.push(...places.giveTurn(ended.entity, nowMs))
    }
    return queued
  }

  return { followUp }
}

function stepsOf(dependents: string | null): string[] {
  return dependents === null ? [] : (JSON.parse(dependents) as string[])
}
