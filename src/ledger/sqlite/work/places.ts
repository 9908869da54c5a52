/** The places that items have in the order of their entities: see `NewTurn` of the port. To be called inside a transaction. */
import { itemId } from '../../../core/ids.ts'
import type { ItemState } from '../../../core/item-state.ts'
import type { TurnRule } from '../../port.ts'
import { TURN_REASON } from '../../turns.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Tally } from './tally.ts'

export interface Place {
  readonly entity: number
  readonly place: number
  readonly rule: TurnRule
  readonly standing: 'has_turn' | 'waits' | 'passed'
}

export interface Places {
  of(item: number): Place | undefined
  /** The last place of its entity, where it waits until {@link giveTurn}. */
  take(item: number, place: Omit<Place, 'standing'>): void
  /** Those behind it do not wait for it any more. */
  pass(item: number): void
  leave(item: number): void
  /** Gives the first of an entity its turn, where it does not have it. Returns its id where it is queued now. */
  giveTurn(entity: number, nowMs: number): string[]
}

const NOBODY: string[] = []

export function preparePlaces(database: Database, tally: Tally): Places {
  const select = prepare<Place>(database, 'SELECT entity, place, rule, standing FROM places WHERE item = ?')
  const insert = prepare(
    database,
    `INSERT INTO places (entity, place, item, rule, standing) VALUES (?, ?, ?, ?, 'waits')`,
  )
  const stand = prepare(database, 'UPDATE places SET standing = ? WHERE item = ?')
  const remove = prepare(database, 'DELETE FROM places WHERE item = ?')
  const selectFirst = prepare<{ item: number; standing: Place['standing'] }>(
    database,
    `SELECT item, standing FROM places WHERE entity = ? AND standing <> 'passed' ORDER BY place LIMIT 1`,
  )
  const release = prepare<{ state: ItemState; book: number; run: number; step: string }>(
    database,
    `UPDATE items SET unmet = unmet - 1, updated_at_ms = ?1,
       state = CASE WHEN unmet = 1 THEN 'queued' ELSE state END,
       due_at_ms = CASE WHEN unmet = 1 THEN max(?1, coalesce(not_before_ms, 0)) END,
       reason = CASE WHEN unmet = 1 THEN '${TURN_REASON}' END
     WHERE no = ?2 AND state = 'waiting' RETURNING state, book, run, step`,
  )
  const selectRunId = prepare<{ id: string }>(database, 'SELECT id FROM runs WHERE no = ?')

  function giveTurn(entity: number, nowMs: number): string[] {
    const first = selectFirst.get(entity)
    if (first?.standing !== 'waits') return NOBODY
    stand.run('has_turn', first.item)
    const released = release.get(nowMs, first.item)
    if (released?.state !== 'queued') return NOBODY
    tally.move(released.book, 'waiting', 'queued')
    return [itemId(selectRunId.get(released.run)?.id ?? '', released.step)]
  }

  return {
    of: (item) => select.get(item),
    take: (item, { entity, place, rule }) => void insert.run(entity, place, item, rule),
    pass: (item) => void stand.run('passed', item),
    leave: (item) => void remove.run(item),
    giveTurn,
  }
}
