/** Items, groups and breakers as tables. */
import type { BreakerView } from '../../client/health/health.ts'
import type { DeadLetterGroup, ItemSummary, LaneState } from '../../ledger/port.ts'
import { paintState } from './balance.ts'
import type { Output } from './output.ts'
import { formatCount, formatRelative } from './time.ts'

export function itemTable(output: Output, items: readonly ItemSummary[], nowMs: number): string {
  return output.table(
    [
      { title: 'item', value: (item) => item.itemId },
      {
        title: 'state',
        value: (item) => item.state,
        paint: (text, item) => paintState(output.colours, item.state, text),
      },
      { title: 'key', value: (item) => item.key },
      { title: 'tries', value: (item) => item.counters.attempts, align: 'right' },
      { title: 'changed', value: (item) => formatRelative(item.updatedAtMs, nowMs) },
      { title: 'due', value: (item) => dueText(item, nowMs) },
      { title: 'why', value: (item) => item.deadLetter?.summary ?? item.reason, flexible: true },
    ],
    items,
  )
}

export function groupTable(output: Output, groups: readonly DeadLetterGroup[], nowMs: number): string {
  const someGoOn = groups.some(({ willRetry }) => willRetry > 0)
  return output.table(
    [
      { title: 'items', value: (group) => formatCount(group.count), align: 'right' },
      { title: 'group', value: (group) => group.fingerprint, paint: output.colours.accent },
      { title: 'cause', value: (group) => group.cause },
      { title: 'last', value: (group) => formatRelative(group.lastMs, nowMs) },
      // Of those, how many are tried again, or looked for, without anybody.
      ...(someGoOn ? [{ title: 'by itself', value: byItself, align: 'right' as const }] : []),
      { title: 'what', value: (group) => group.summary, flexible: true },
    ],
    groups,
  )
}

function byItself({ willRetry }: DeadLetterGroup): string {
  return willRetry > 0 ? formatCount(willRetry) : '-'
}

export function breakerTable(output: Output, breakers: readonly BreakerView[], nowMs: number): string {
  const { colours } = output
  return output.table(
    [
      { title: 'breaker', value: (breaker) => breaker.key },
      {
        title: 'phase',
        value: (breaker) => breaker.phase,
        paint: (text, { phase }) => (phase === 'closed' ? colours.good(text) : colours.bad(text)),
      },
      { title: 'failed', value: ({ failures, calls }) => `${failures} of ${calls}`, align: 'right' },
      {
        title: 'since',
        value: (breaker) => (breaker.changedAtMs === 0 ? '' : formatRelative(breaker.changedAtMs, nowMs)),
      },
      {
        title: 'probes',
        value: ({ phase, openUntilMs }) => (phase === 'open' ? formatRelative(openUntilMs, nowMs) : ''),
      },
      { title: 'why', value: (breaker) => breaker.reason, flexible: true },
    ],
    breakers,
  )
}

export function laneTable(output: Output, lanes: readonly LaneState[], nowMs: number): string {
  const { colours } = output
  return output.table(
    [
      { title: 'lane', value: (lane) => lane.lane },
      {
        title: 'state',
        value: (lane) => laneState(lane, nowMs),
        paint: (text, lane) => (isHeld(lane, nowMs) ? colours.warn(text) : colours.good(text)),
      },
      { title: 'under way', value: (lane) => lane.processing, align: 'right' },
      { title: 'why', value: (lane) => laneReason(lane, nowMs), flexible: true },
    ],
    lanes,
  )
}

/** Suspended, or with a closed gate. */
export function isHeld(lane: LaneState, nowMs: number): boolean {
  return lane.suspended !== undefined || lane.gateUntilMs > nowMs
}

function laneState(lane: LaneState, nowMs: number): string {
  if (lane.suspended) return `suspended ${formatRelative(lane.suspended.atMs, nowMs)}`
  return lane.gateUntilMs > nowMs ? `opens ${formatRelative(lane.gateUntilMs, nowMs)}` : 'open'
}

function laneReason(lane: LaneState, nowMs: number): string {
  if (lane.suspended) return lane.suspended.reason
  return lane.gateUntilMs > nowMs ? lane.gateReason : ''
}

function dueText(item: ItemSummary, nowMs: number): string {
  if (item.endedAtMs !== undefined || item.dueAtMs === undefined) return ''
  return item.dueAtMs <= nowMs ? 'now' : formatRelative(item.dueAtMs, nowMs)
}
