/** The limits of one lane as a process holds them, and the rhythm in which it exchanges them with the others. */
import type { LimitSettings } from '../../config/settings.ts'
import { shareRates } from '../../policy/rate-limits/rate-limit-shares.ts'
import { newLimit, type OwnLimit } from './lane-limits.ts'

/** `rate`, `quota`, and the shares of the quota. */
export type LimitKind = string

/** The limits of one lane as this process holds them. */
export interface LaneLimits {
  readonly limits: ReadonlyMap<LimitKind, OwnLimit>
  readonly settings: LimitSettings
  readonly everyMs: number
  usedAtMs: number
  exchangedAtMs: number
  /** The latest exchange, with its conflicts. */
  tookMs: number
  /** Infinite while the lane is not in use. */
  dueAtMs: number
  holdsSlots: boolean
  /** Of exchanges: what began before the latest is told. */
  generation: number
  /** The last exchange failed: it is not known whether it was written. */
  isUnsure: boolean
  /** Since when the store has not answered; infinite where it does. */
  awaySinceMs: number
  /** Not asked again before, after a failure: who waits must not ask a store in trouble all the time. */
  notBeforeMs: number
}

export const LONGEST_RHYTHM_MS = 750
export const SHORTEST_RHYTHM_MS = 100
/** A lane that starts nothing for so many exchanges gives its slots back. */
const IDLE_EXCHANGES = 3
/** A store that does not answer for so long is away, for the other processes too. */
export const STORE_AWAY_MS = 5000
/** What an exchange usually takes: when to ask again after one. */
const ANSWER_MS = 10

/** @param before what was held under earlier settings */
export function newLaneLimits(settings: LimitSettings, before: LaneLimits | undefined): LaneLimits | undefined {
  const { rate, quota } = settings
  if (!rate && !quota) return undefined
  const limits = new Map<LimitKind, OwnLimit>()
  let everyMs = LONGEST_RHYTHM_MS
  for (const [kind, one] of Object.entries({ rate, quota, ...shareRates(settings) })) {
    if (!one) continue
    limits.set(kind, newLimit(one, before?.limits.get(kind)))
    everyMs = Math.min(everyMs, Math.max(SHORTEST_RHYTHM_MS, Math.ceil(one.perMs / 4)))
  }
  return {
    usedAtMs: 0,
    exchangedAtMs: Number.NEGATIVE_INFINITY,
    tookMs: 0,
    dueAtMs: Number.POSITIVE_INFINITY,
    holdsSlots: false,
    generation: 0,
    isUnsure: false,
    awaySinceMs: Number.POSITIVE_INFINITY,
    notBeforeMs: 0,
    ...before,
    limits,
    settings,
    everyMs,
  }
}

/** When an exchange should be over. One that is late is asked about ever less often: a slow store keeps nobody busy. */
export function answerMs({ dueAtMs, everyMs }: LaneLimits, nowMs: number): number {
  const usualMs = dueAtMs + ANSWER_MS
  if (usualMs > nowMs) return usualMs
  return nowMs + Math.min(everyMs, Math.max(ANSWER_MS, nowMs - dueAtMs))
}

/** Used a moment ago, or somebody waits for more of it. */
export function isInUse({ usedAtMs, everyMs, limits }: LaneLimits, nowMs: number): boolean {
  const hungry = [...limits.values()].some(({ hungryUntilMs }) => hungryUntilMs > nowMs)
  return hungry || nowMs - usedAtMs < IDLE_EXCHANGES * everyMs
}

/** One lost answer is not that. */
export function isStoreAway({ awaySinceMs }: LaneLimits, nowMs: number): boolean {
  return nowMs - awaySinceMs >= STORE_AWAY_MS
}
