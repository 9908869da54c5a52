/** The rows of new items. Neighbours that differ in nothing but their number are written by one statement. */
import type { ItemState } from '../../../core/item-state.ts'
import { dependentsOf } from '../../new-runs.ts'
import type { NewItem, NewRun } from '../../port.ts'
import { unmetOf } from '../../turns.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import type { Tally } from '../work/tally.ts'
import type { Names } from './names.ts'

/** About what the columns of a lease and of an end take that a new item does not have yet; see `items.room`. */
const ROOM_FOR_A_LIFE_BYTES = 28

export interface NewItems {
  /** The only item of a run, which waits for nothing and nobody's turn: the usual case. Written by {@link write} at the latest. */
  addOnly(no: number, book: number, run: NewRun, item: NewItem): void
  /** All items of a run. */
  addAll(no: number, book: number, run: NewRun): void
  /** Writes what was added: before anything else looks at items, and before the commit. */
  write(): void
  /** Forgets what was added and not written: after a rollback. */
  drop(): void
}

/** Items from one number to another, each the only one of its run. */
interface Alike {
  readonly first: number
  last: number
  readonly book: number
  readonly item: NewItem
  readonly atMs: number
}

export function prepareNewItems(database: Database, names: Names, tally: Tally): NewItems {
  const insertAlike = prepare(
    database,
    `INSERT INTO items (no, run, step, channel, book, state, due_at_ms, optional, unmet, updated_at_ms, room)
     WITH RECURSIVE numbers (no) AS (VALUES (?1) UNION ALL SELECT no + 1 FROM numbers WHERE no < ?2)
     SELECT no, no, ?3, ?4, ?5, 'queued', ?6, ?7, 0, ?8, zeroblob(${ROOM_FOR_A_LIFE_BYTES}) FROM numbers`,
  )
  // The fewer values are bound, the less it costs.
  const insertOnly = prepare(
    database,
    `INSERT INTO items (no, run, step, channel, book, state, due_at_ms, optional, unmet, updated_at_ms, room)
     VALUES (?1, ?1, ?2, ?3, ?4, 'queued', ?5, ?6, 0, ?7, zeroblob(${ROOM_FOR_A_LIFE_BYTES}))`,
  )
  const insert = prepare(
    database,
    `INSERT INTO items (no, run, step, channel, book, state, due_at_ms, optional, unmet, updated_at_ms, not_before_ms,
       "after", dependents, room)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, zeroblob(${ROOM_FOR_A_LIFE_BYTES}))`,
  )
  let added: Alike | undefined

  function write(): void {
    if (!added) return
    const { first, last, book, item, atMs } = added
    added = undefined
    const { step, lane, endpoint, dueAtMs } = item
    const channel = names.channel(lane, endpoint)
    const optional = item.optional ? 1 : 0
    if (first === last) insertOnly.run(first, step, channel, book, dueAtMs, optional, atMs)
    else insertAlike.run(first, last, step, channel, book, dueAtMs, optional, atMs)
    tally.accept(book, 'queued', last - first + 1)
  }

  function addOne(no: number, position: number, book: number, run: NewRun, item: NewItem): void {
    const unmet = unmetOf(item)
    const waits = unmet > 0
    const state: ItemState = waits ? 'waiting' : 'queued'
    const { step, lane, endpoint, dueAtMs, optional, after } = item
    insert.run(
      no + position,
      no,
      step,
      names.channel(lane, endpoint),
      book,
      state,
      waits ? null : dueAtMs,
      optional ? 1 : 0,
      unmet,
      run.createdAtMs,
      waits && dueAtMs > run.createdAtMs ? dueAtMs : null,
      after.length > 0 ? JSON.stringify(after) : null,
      dependentsText(step, run.items),
    )
    tally.accept(book, state, 1)
  }

  return {
    addOnly(no, book, run, item) {
      if (
        added?.last === no - 1 &&
        added.book === book &&
        added.atMs === run.createdAtMs &&
        isAlike(added.item, item)
      ) {
        added.last = no
        return
      }
      write()
      added = { first: no, last: no, book, item, atMs: run.createdAtMs }
    },
    addAll(no, book, run) {
      write()
      for (const [position, item] of run.items.entries()) addOne(no, position, book, run, item)
    },
    write,
    drop() {
      added = undefined
    },
  }
}

function isAlike(one: NewItem, other: NewItem): boolean {
  return (
    one.dueAtMs === other.dueAtMs &&
    one.step === other.step &&
    one.lane === other.lane &&
    one.endpoint === other.endpoint &&
    one.optional === other.optional
  )
}

export function dependentsText(step: string, items: readonly NewItem[]): string | null {
  const dependents = dependentsOf(step, items)
  return dependents.length === 0 ? null : JSON.stringify(dependents)
}
