/**
 * The books: how many items were accepted, and how many are in each state, per batch and pipeline. Moved in the same
 * transaction as the items, once per group of writes; `audit` recounts the rows.
 */
import { ITEM_STATES, type ItemState } from '../../../core/item-state.ts'
import { ACCEPTED, ARCHIVED_PREFIX } from '../../counts.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Tally {
  /** Items that came in, all in the same state. */
  accept(book: number, state: ItemState, count: number): void
  move(book: number, from: ItemState, to: ItemState): void
  /** Ended items whose rows are deleted. */
  archive(book: number, state: ItemState, count: number): void
  /** Adds what was collected to the tables: before the commit. */
  write(): void
  /** Drops what was collected: after a rollback. */
  drop(): void
}

const KINDS: readonly string[] = [...ITEM_STATES, ACCEPTED, ...ITEM_STATES.map((state) => ARCHIVED_PREFIX + state)]
const KIND_INDEX: Readonly<Record<string, number>> = Object.fromEntries(KINDS.map((kind, index) => [kind, index]))

export function createTally(database: Database): Tally {
  const add = prepare(
    database,
    'INSERT INTO tallies (book, kind, count) VALUES (?, ?, ?) ON CONFLICT (book, kind) DO UPDATE SET count = count + excluded.count',
  )
  /** By book and kind, as one number: a lookup per item and transition. */
  const changes = new Map<number, number>()

  function change(book: number, kind: string, by: number): void {
    const slot = book * KINDS.length + (KIND_INDEX[kind] as number)
    changes.set(slot, (changes.get(slot) ?? 0) + by)
  }

  return {
    accept(book, state, count) {
      change(book, ACCEPTED, count)
      change(book, state, count)
    },
    move(book, from, to) {
      if (from === to) return
      change(book, from, -1)
      change(book, to, 1)
    },
    archive(book, state, count) {
      change(book, state, -count)
      change(book, ARCHIVED_PREFIX + state, count)
    },
    write() {
      for (const [slot, by] of changes) {
        if (by !== 0) add.run(Math.floor(slot / KINDS.length), KINDS[slot % KINDS.length] as string, by)
      }
      changes.clear()
    },
    drop: () => changes.clear(),
  }
}
