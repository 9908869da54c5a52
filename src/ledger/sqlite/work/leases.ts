/**
 * Leases: one row per claim, shared by the items that were claimed together, so that leasing an item and ending its lease
 * touch its own row and no index. The item says which lease it belongs to (`items.lease`); the lease counts those that are
 * still open, and goes with the last of them. To be called inside a transaction.
 */
import { type Database, prepare } from '../transactions/connection.ts'

export interface LeaseTerms {
  readonly workerId: string
  readonly nowMs: number
  readonly leaseUntilMs: number
}

export interface LeasedItem {
  readonly no: number
  readonly lease: number
}

export interface Leases {
  /** A new lease over items of one channel (a JSON array of numbers). Returns its number, to be written to the items. */
  grant(channel: number, count: number, items: string, terms: LeaseTerms): number
  /** An item has ended, or passed to another lease. */
  leave(lease: number): void
  /** Never to an earlier time. Leases whose items are not all named are parted: the rest keeps its time. */
  extend(items: readonly LeasedItem[], untilMs: number): void
  /** Items leased in a lane right now, by all workers. */
  openIn(lane: string): number
  /** Writes what was collected: before the commit. */
  write(): void
  /** Drops what was collected: after a rollback. */
  drop(): void
}

interface LeaseRow {
  channel: number
  worker: string
  from_ms: number
  until_ms: number
  open: number
}

export function prepareLeases(database: Database): Leases {
  const insert = prepare(
    database,
    'INSERT INTO leases (channel, worker, from_ms, until_ms, open, items) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const select = prepare<LeaseRow>(database, 'SELECT channel, worker, from_ms, until_ms, open FROM leases WHERE id = ?')
  const end = prepare(database, 'DELETE FROM leases WHERE id = ? AND open = ?')
  const shrink = prepare(database, 'UPDATE leases SET open = open - ? WHERE id = ?')
  const prolong = prepare(database, 'UPDATE leases SET until_ms = max(until_ms, ?) WHERE id = ?')
  const move = prepare(database, 'UPDATE items SET lease = ? WHERE no = ?')
  const countOpen = prepare<{ open: number }>(
    database,
    `SELECT coalesce(sum(l.open), 0) AS open FROM channels c JOIN leases l ON l.channel = c.id WHERE c.lane = ?`,
  )
  const left = new Map<number, number>()

  function leave(lease: number): void {
    left.set(lease, (left.get(lease) ?? 0) + 1)
  }

  function write(): void {
    for (const [lease, count] of left) {
      if (end.run(lease, count).changes === 0) shrink.run(count, lease)
    }
    left.clear()
  }

  function extendOne(lease: number, items: ReadonlySet<number>, untilMs: number): void {
    const row = select.get(lease)
    if (!row) return
    if (items.size >= row.open) {
      prolong.run(untilMs, lease)
      return
    }
    const { lastInsertRowid: parted } = insert.run(
      row.channel,
      row.worker,
      row.from_ms,
      Math.max(row.until_ms, untilMs),
      items.size,
      JSON.stringify([...items]),
    )
    for (const no of items) move.run(parted, no)
    shrink.run(items.size, lease)
  }

  return {
    grant: (channel, count, items, { workerId, nowMs, leaseUntilMs }) =>
      insert.run(channel, workerId, nowMs, leaseUntilMs, count, items).lastInsertRowid,
    leave,
    extend(items, untilMs) {
      write()
      for (const [lease, members] of Map.groupBy(items, (item) => item.lease)) {
        extendOne(lease, new Set(members.map((member) => member.no)), untilMs)
      }
    },
    openIn(lane) {
      write()
      return countOpen.get(lane)?.open ?? 0
    },
    write,
    drop: () => left.clear(),
  }
}
