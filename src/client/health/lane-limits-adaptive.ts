/**
 * A lane that finds out by itself how much its API takes: how many calls at once, and how many per second. Each process keeps its own
 * view: processes that share an API come to fair parts by the same signals, and what all of them may have under way is bounded by
 * `concurrency`, which the ledger holds over all workers. It begins anew with the process: a restart is a good moment to look again.
 */
import type { LimitSettings } from '../../config/settings.ts'
import {
  type AdaptiveConcurrency,
  adaptConcurrency,
  adaptiveLimit,
  newAdaptiveConcurrency,
} from '../../policy/limiter/adaptive-concurrency.ts'
import {
  type AdaptiveRate,
  adaptiveRoom,
  adaptRate,
  newAdaptiveRate,
  takeAdaptive,
} from '../../policy/limiter/adaptive-rate.ts'
import type { CallEnd } from './health.ts'
import type { LaneHealth, Refusal } from './lane-health.ts'

export interface LaneAdaptive {
  readonly bounds: { readonly min: number; readonly max: number }
  concurrency: AdaptiveConcurrency
  rate: AdaptiveRate
  /** Somebody was held back by the rate since the last good answer. */
  wasHeldBack: boolean
}

export function newLaneAdaptive(
  { adaptive, concurrency: max }: LimitSettings,
  before: LaneAdaptive | undefined,
  nowMs: number,
): LaneAdaptive | undefined {
  if (!adaptive) return undefined
  const bounds = { min: adaptive.min, max }
  if (before) return { ...before, bounds }
  return { bounds, concurrency: newAdaptiveConcurrency(bounds), rate: newAdaptiveRate(nowMs), wasHeldBack: false }
}

export function adaptedConcurrency({ concurrency, bounds }: LaneAdaptive): number {
  return adaptiveLimit(concurrency, bounds)
}

export function adaptedRoom(
  adaptive: LaneAdaptive,
  nowMs: number,
): { readonly room: number; readonly slowness?: Refusal } {
  const { room, nextAtMs } = adaptiveRoom(adaptive.rate, nowMs)
  if (room > 0) return { room }
  adaptive.wasHeldBack = true
  const perSecond = (adaptive.rate.perSecond ?? 0).toPrecision(3)
  const reason = `the API takes about ${perSecond} calls per second, as its 429s told`
  return { room, slowness: { by: 'rate', untilMs: nextAtMs, reason } }
}

export function startAdapted(adaptive: LaneAdaptive, nowMs: number): void {
  adaptive.rate = takeAdaptive(adaptive.rate, nowMs)
}

/** A call has ended: its place is still taken. */
export function endAdapted(
  { adaptive, inFlight, pace }: LaneHealth,
  end: CallEnd,
  startedAtMs: number,
  atMs: number,
): void {
  if (!adaptive) return
  const type = signalOf(end)
  if (!type) return
  adaptive.concurrency = adaptConcurrency(adaptive.concurrency, { type, startedAtMs, atMs, inFlight }, adaptive.bounds)
  // An API that tells its limits is not guessed at.
  if (type === 'timed_out' || pace.limits.size > 0) return
  adaptive.rate = adaptRate(adaptive.rate, { type, startedAtMs, atMs, atFullUse: adaptive.wasHeldBack })
  if (type === 'succeeded') adaptive.wasHeldBack = false
}

function signalOf(end: CallEnd): 'succeeded' | 'throttled' | 'timed_out' | undefined {
  if (end.type === 'succeeded' || end.type === 'throttled') return end.type
  return end.type === 'failed' && /timeout/i.test(end.code) ? 'timed_out' : undefined
}
