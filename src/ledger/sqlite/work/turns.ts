/** What becomes of others when an item takes a place in the order of its entity, or changes its state. */
import { itemId } from '../../../core/ids.ts'
import { type ItemState, isEndState } from '../../../core/item-state.ts'
import type { NewTurn, SupersededItem } from '../../port.ts'
import { isOutdated, outdatedReason, SUPERSEDABLE, supersededReason, waitsReason } from '../../turns.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Dependents, EndedItem } from './dependents.ts'
import type { Places } from './places.ts'
import type { Tally } from './tally.ts'

export interface Turns {
  /**
   * Takes the last place of its entity for an item that waits for its turn, and gives it its turn where nobody is before it. What
   * is older ends, or the item itself where that is the older one. Returns what was superseded.
   */
  join(item: EndedItem, tenant: string, turn: NewTurn, nowMs: number): SupersededItem[]
  /** The turn of a dead letter that was passed, to be taken anew. */
  passed(item: EndedItem): NewTurn | undefined
  /** Leaves its place, which somebody else gets. */
  leave(item: EndedItem, nowMs: number): void
  /** Follows up on a change of state, for those of its entity and of its run; the state may become another one by that. */
  follow(item: EndedItem, state: ItemState, nowMs: number): { state: ItemState; queued: string[] }
}

export interface TurnParts {
  readonly dependents: Dependents
  readonly places: Places
  readonly tally: Tally
}

interface EntityRow {
  id: number
  name: string
  places: number
  newest: string | null
  newest_place: number | null
  newest_item: string | null
}

type OlderRow = Omit<EndedItem, 'itemId' | 'optional'> & {
  state: ItemState
  run_id: string
  step: string
  optional: number
  attempts: number
}

const ENTITY_COLUMNS = 'id, name, places, newest, newest_place, newest_item'

export function prepareTurns(database: Database, { dependents, places, tally }: TurnParts): Turns {
  const enter = prepare<EntityRow>(
    database,
    `INSERT INTO entities (tenant, series, name, places, updated_at_ms) VALUES (?, ?, ?, 1, ?)
     ON CONFLICT DO UPDATE SET places = places + 1, updated_at_ms = max(updated_at_ms, excluded.updated_at_ms)
     RETURNING ${ENTITY_COLUMNS}`,
  )
  const selectEntity = prepare<EntityRow & { tenant: string; series: string }>(
    database,
    `SELECT ${ENTITY_COLUMNS}, tenant, series FROM entities WHERE id = ?`,
  )
  const setNewest = prepare(
    database,
    'UPDATE entities SET newest = coalesce(?, newest), newest_place = ?, newest_item = ? WHERE id = ?',
  )
  const setEntity = prepare(database, `UPDATE items SET entity = ?, reason = ? WHERE no = ? AND state = 'waiting'`)
  const selectDue = prepare<{ due_at_ms: number | null }>(database, 'SELECT due_at_ms FROM items WHERE no = ?')
  const selectOlder = prepare<OlderRow>(
    database,
    `SELECT i.no, i.run, i.book, i.entity, i.dependents, i.optional, i.state, i.step, i.attempts, r.id AS run_id
     FROM places p CROSS JOIN items i ON i.no = p.item CROSS JOIN runs r ON r.no = i.run
     WHERE p.entity = ? AND p.place < ? AND p.rule = 'supersede'
       AND i.state IN (SELECT value FROM json_each('${JSON.stringify(SUPERSEDABLE)}'))`,
  )
  const end = prepare(
    database,
    `UPDATE items SET state = 'superseded', reason = ?1, ended_at_ms = ?2, updated_at_ms = ?2, due_at_ms = NULL,
       fingerprint = NULL, summary = NULL, hint = NULL, cause = NULL, dead_since_ms = NULL
     WHERE no = ?3`,
  )
  const insertOperation = prepare(
    database,
    `INSERT INTO operations (item, what, by, at_ms, note) VALUES (?, 'supersede', 'engine', ?, ?)`,
  )

  function join(item: EndedItem, tenant: string, turn: NewTurn, nowMs: number): SupersededItem[] {
    const entity = enter.get(tenant, turn.series, turn.entity, nowMs)
    if (!entity) return []
    // A step of its own run may have been outdated before it, and have taken it along.
    if (setEntity.run(entity.id, waitsReason(turn.entity), item.no).changes === 0) return []
    if (isOutdated(turn, entity)) {
      const reason = outdatedReason(turn, entity)
      supersede(item, 'waiting', reason, nowMs)
      return [{ itemId: item.itemId, reason, attempts: 0 }]
    }
    places.take(item.no, { entity: entity.id, place: entity.places, rule: turn.rule })
    const superseded = turn.rule === 'supersede' ? replaceOlder(entity, item, turn, nowMs) : []
    places.giveTurn(entity.id, nowMs)
    return superseded
  }

  function replaceOlder(entity: EntityRow, item: EndedItem, turn: NewTurn, nowMs: number): SupersededItem[] {
    setNewest.run(turn.version ?? null, entity.places, item.itemId, entity.id)
    const reason = supersededReason(turn.entity, item.itemId)
    return selectOlder.all(entity.id, entity.places).map((row) => {
      const older = { ...row, itemId: itemId(row.run_id, row.step), optional: row.optional === 1 }
      places.leave(row.no)
      supersede(older, row.state, reason, nowMs)
      return { itemId: older.itemId, reason, attempts: row.attempts }
    })
  }

  function supersede(item: EndedItem, from: ItemState, reason: string, nowMs: number): void {
    end.run(reason, nowMs, item.no)
    insertOperation.run(item.no, nowMs, reason)
    tally.move(item.book, from, 'superseded')
    dependents.followUp(item, 'superseded', nowMs)
  }

  function passed({ no, entity: id }: EndedItem): NewTurn | undefined {
    const place = id === null ? undefined : places.of(no)
    const entity = place?.standing === 'passed' ? selectEntity.get(place.entity) : undefined
    return place && entity && { series: entity.series, entity: entity.name, rule: place.rule }
  }

  function leave({ no }: EndedItem, nowMs: number): void {
    const place = places.of(no)
    if (!place) return
    places.leave(no)
    places.giveTurn(place.entity, nowMs)
  }

  function follow(item: EndedItem, state: ItemState, nowMs: number): { state: ItemState; queued: string[] } {
    const place = item.entity === null ? undefined : places.of(item.no)
    if (!place) return { state, queued: dependents.followUp(item, state, nowMs) }
    const entity = selectEntity.get(place.entity)
    if (place.rule === 'supersede' && place.place < (entity?.newest_place ?? 0) && SUPERSEDABLE.includes(state)) {
      places.leave(item.no)
      supersede(item, state, supersededReason(entity?.name ?? '', entity?.newest_item ?? ''), nowMs)
      return { state: 'superseded', queued: places.giveTurn(place.entity, nowMs) }
    }
    if (isEndState(state)) places.leave(item.no)
    else if (state === 'dead_lettered' && place.rule === 'continue' && isLeftAlone(item.no)) places.pass(item.no)
    const next = places.giveTurn(place.entity, nowMs)
    return { state, queued: [...next, ...dependents.followUp(item, state, nowMs)] }
  }

  /** No slow lane tries it again: it waits for a person. */
  function isLeftAlone(no: number): boolean {
    return selectDue.get(no)?.due_at_ms === null
  }

  return { join, passed, leave, follow }
}
