/** `channels`, `claim`, `reclaimExpired` and `extendLeases` of the port, to be called inside a transaction. */
import { parseItemId } from '../../../core/ids.ts'
import type {
  ChannelDue,
  ClaimChannel,
  ClaimedItem,
  ClaimRequest,
  DueQuestion,
  Fence,
  ReclaimRequest,
} from '../../port.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'
import type { Names } from '../intake/names.ts'
import { type Database, prepare, prepareTuples } from '../transactions/connection.ts'
import { LEASABLE_COLUMNS, type LeasableTuple, toLeasable } from './leasable.ts'
import type { LeasedItem, Leases } from './leases.ts'
import type { Claimed, Leasing } from './leasing.ts'

export interface Claims {
  channels(): ChannelDue[]
  countDue(channels: readonly DueQuestion[], nowMs: number): number[]
  claim(request: ClaimRequest): ClaimedItem[]
  reclaimExpired(request: ReclaimRequest): ClaimedItem[]
  extendLeases(fences: readonly Fence[], leaseUntilMs: number): Fence[]
}

export interface ClaimParts {
  readonly names: Names
  readonly leases: Leases
  readonly leasing: Leasing
}

type ExpiredTuple = readonly [
  lease: number,
  fromMs: number,
  channel: number,
  lane: string,
  endpoint: string,
  ...LeasableTuple,
]

export function prepareClaims(database: Database, { names, leases, leasing }: ClaimParts): Claims {
  const selectChannels = prepare<{ lane: string; endpoint: string; due_at_ms: number }>(
    database,
    // A skip scan: one probe of the index per channel that holds claimable items, however many wait in it.
    `WITH RECURSIVE busy (channel) AS (
       SELECT min(channel) FROM items WHERE due_at_ms IS NOT NULL
       UNION ALL
       SELECT (SELECT min(channel) FROM items WHERE due_at_ms IS NOT NULL AND channel > busy.channel)
       FROM busy WHERE busy.channel IS NOT NULL)
     SELECT c.lane, c.endpoint,
       (SELECT min(due_at_ms) FROM items WHERE due_at_ms IS NOT NULL AND channel = c.id) AS due_at_ms
     FROM busy JOIN channels c ON c.id = busy.channel`,
  )
  const selectCount = prepare<{ due: number }>(
    database,
    `SELECT count(*) AS due FROM (
       SELECT 1 FROM items INDEXED BY items_due WHERE channel = ? AND due_at_ms <= ? LIMIT ?)`,
  )
  const selectLane = prepare<{ gate_until_ms: number; suspended_at_ms: number | null }>(
    database,
    'SELECT gate_until_ms, suspended_at_ms FROM lanes WHERE lane = ?',
  )
  const selectDue = prepareTuples<LeasableTuple>(
    database,
    `SELECT ${LEASABLE_COLUMNS} FROM items i INDEXED BY items_due JOIN runs r ON r.no = i.run
     WHERE i.channel = ? AND i.due_at_ms <= ?
     ORDER BY i.due_at_ms, i.no LIMIT ?`,
  )
  const selectExpired = prepareTuples<ExpiredTuple>(
    database,
    `SELECT l.id, l.from_ms, c.id, c.lane, c.endpoint, ${LEASABLE_COLUMNS}
     FROM leases l CROSS JOIN json_each(l.items) m CROSS JOIN items i ON i.no = m.value AND i.lease = l.id
     JOIN runs r ON r.no = i.run JOIN channels c ON c.id = l.channel
     WHERE l.until_ms <= ?
     ORDER BY l.until_ms, i.no LIMIT ?`,
  )
  const selectLeased = prepare<LeasedItem>(
    database,
    `SELECT i.no, i.lease FROM runs r CROSS JOIN items i ON ${ITEMS_OF_RUNS}
     WHERE r.id = ? AND i.step = ? AND i.lease_token = ? AND i.lease IS NOT NULL`,
  )

  function countDue(channels: readonly DueQuestion[], nowMs: number): number[] {
    return channels.map(({ lane, endpoint, atMost }) => {
      const id = names.knownChannel(lane, endpoint)
      return id === undefined ? 0 : (selectCount.get(id, nowMs, atMost)?.due ?? 0)
    })
  }

  function roomIn(channel: ClaimChannel, nowMs: number): number {
    const lane = selectLane.get(channel.lane)
    if (!lane || lane.suspended_at_ms !== null || lane.gate_until_ms > nowMs) return 0
    return Math.min(channel.limit, channel.laneConcurrency - leases.openIn(channel.lane))
  }

  function claimFrom(channel: ClaimChannel, request: ClaimRequest): Claimed[] {
    const { lane, endpoint } = channel
    const id = names.knownChannel(lane, endpoint)
    const room = id === undefined ? 0 : roomIn(channel, request.nowMs)
    if (id === undefined || room <= 0) return []
    const rows = selectDue.all(id, request.nowMs, room).map(toLeasable)
    return leasing.lease({ id, lane, endpoint }, rows, request)
  }

  function claim(request: ClaimRequest): ClaimedItem[] {
    const claimed = request.channels.flatMap((channel) => claimFrom(channel, request))
    if (request.channels.length > 1) claimed.sort(byDueTime)
    return claimed.map(({ item }) => item)
  }

  function reclaimExpired(request: ReclaimRequest): ClaimedItem[] {
    leases.write()
    const expired = selectExpired
      .all(request.nowMs, request.limit)
      .map(([lease, fromMs, id, lane, endpoint, ...tuple]) => ({
        channel: { id, lane, endpoint },
        row: [toLeasable(tuple), { id: lease, fromMs }] as const,
      }))
    return [...Map.groupBy(expired, (each) => each.channel.id).values()].flatMap((ofChannel) => {
      const [first] = ofChannel
      return first
        ? leasing.takeOver(
            first.channel,
            ofChannel.map((each) => each.row),
            request,
          )
        : []
    })
  }

  function extendLeases(fences: readonly Fence[], leaseUntilMs: number): Fence[] {
    const held: LeasedItem[] = []
    const lost = fences.filter((fence) => {
      const at = parseItemId(fence.itemId)
      const item = at && selectLeased.get(at.runId, at.step, fence.token)
      if (item) held.push(item)
      return !item
    })
    leases.extend(held, leaseUntilMs)
    return lost
  }

  return {
    channels: () =>
      selectChannels.all().map((row) => ({ lane: row.lane, endpoint: row.endpoint, earliestDueMs: row.due_at_ms })),
    countDue,
    claim,
    reclaimExpired,
    extendLeases,
  }
}

function byDueTime(a: Claimed, b: Claimed): number {
  return (a.row.dueAtMs ?? 0) - (b.row.dueAtMs ?? 0) || a.row.no - b.row.no
}
