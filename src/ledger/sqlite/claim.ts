/** `channels`, `claim`, `reclaimExpired` and `extendLeases` of the port, to be called inside a transaction. */
import { parseItemId } from '../../core/ids.ts'
import type { ChannelDue, ClaimChannel, ClaimedItem, ClaimRequest, Fence, ReclaimRequest } from '../port.ts'
import { type Database, prepare, prepareTuples } from './connection.ts'
import { LEASABLE_COLUMNS, type Leasable, type LeasableTuple, toLeasable } from './leasable.ts'
import type { Leasing } from './lease.ts'
import type { Names } from './names.ts'

export interface Claims {
  channels(): ChannelDue[]
  claim(request: ClaimRequest): ClaimedItem[]
  reclaimExpired(request: ReclaimRequest): ClaimedItem[]
  extendLeases(fences: readonly Fence[], leaseUntilMs: number): Fence[]
}

export function prepareClaims(database: Database, names: Names, leasing: Leasing): Claims {
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
  const selectLane = prepare<{ gate_until_ms: number; suspended_at_ms: number | null }>(
    database,
    'SELECT gate_until_ms, suspended_at_ms FROM lanes WHERE lane = ?',
  )
  const countLeased = prepare<{ leased: number }>(
    database,
    `SELECT count(*) AS leased FROM channels c JOIN items i INDEXED BY items_leased
       ON i.channel = c.id AND i.lease_until_ms IS NOT NULL
     WHERE c.lane = ?`,
  )
  const selectDue = prepareTuples<LeasableTuple>(
    database,
    `SELECT ${LEASABLE_COLUMNS} FROM items i INDEXED BY items_due JOIN runs r ON r.no = i.run
     WHERE i.channel = ? AND i.due_at_ms <= ?
     ORDER BY i.due_at_ms, i.run, i.step LIMIT ?`,
  )
  const selectExpired = prepareTuples<readonly [lane: string, endpoint: string, ...LeasableTuple]>(
    database,
    `SELECT c.lane, c.endpoint, ${LEASABLE_COLUMNS}
     FROM items i INDEXED BY items_leased JOIN runs r ON r.no = i.run JOIN channels c ON c.id = i.channel
     WHERE i.lease_until_ms IS NOT NULL AND i.lease_until_ms <= ?
     ORDER BY i.lease_until_ms, i.run, i.step LIMIT ?`,
  )
  const extendLease = prepare(
    database,
    `UPDATE items SET lease_until_ms = max(lease_until_ms, ?)
     WHERE run = (SELECT no FROM runs WHERE id = ?) AND step = ? AND lease_token = ? AND lease_until_ms IS NOT NULL`,
  )

  function roomIn(channel: ClaimChannel, nowMs: number): number {
    const lane = selectLane.get(channel.lane)
    if (!lane || lane.suspended_at_ms !== null || lane.gate_until_ms > nowMs) return 0
    const leased = countLeased.get(channel.lane)?.leased ?? 0
    return Math.min(channel.limit, channel.laneConcurrency - leased)
  }

  function leaseFrom(channel: ClaimChannel, request: ClaimRequest): Leasable[] {
    const { lane, endpoint } = channel
    const number = names.knownChannel(lane, endpoint)
    const room = number === undefined ? 0 : roomIn(channel, request.nowMs)
    if (number === undefined || room <= 0) return []
    const rows = selectDue.all(number, request.nowMs, room).map((tuple) => toLeasable(tuple, lane, endpoint))
    leasing.leaseDue(number, rows, request)
    return rows
  }

  function claim(request: ClaimRequest): ClaimedItem[] {
    const rows = request.channels.flatMap((channel) => leaseFrom(channel, request))
    if (request.channels.length > 1) rows.sort((a, b) => (a.dueAtMs ?? 0) - (b.dueAtMs ?? 0) || a.run - b.run)
    return rows.map((row) => leasing.claimed(row, request))
  }

  function reclaimExpired(request: ReclaimRequest): ClaimedItem[] {
    return selectExpired.all(request.nowMs, request.limit).map(([lane, endpoint, ...tuple]) => {
      const row = toLeasable(tuple, lane, endpoint)
      leasing.takeOver(row, request)
      return leasing.claimed(row, request)
    })
  }

  function isLost(fence: Fence, leaseUntilMs: number): boolean {
    const at = parseItemId(fence.itemId)
    return !at || extendLease.run(leaseUntilMs, at.runId, at.step, fence.token).changes === 0
  }

  return {
    channels: () =>
      selectChannels.all().map((row) => ({ lane: row.lane, endpoint: row.endpoint, earliestDueMs: row.due_at_ms })),
    claim,
    reclaimExpired,
    extendLeases: (fences, leaseUntilMs) => fences.filter((fence) => isLost(fence, leaseUntilMs)),
  }
}
