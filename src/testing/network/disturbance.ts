import type { Random } from '../../core/random.ts'

/**
 * What a network does to an exchange on its way between a process and an API.
 * - `refused`: no connection comes to stand; nothing was sent.
 * - `lost_request`: never arrives; its caller waits until its timeout.
 * - `lost_answer`: executed; the answer never arrives.
 * - `delayed`: on the way there, on the way back, or on both.
 * - `duplicated`: arrives twice, and is executed twice; the answer to the first is the one that comes back. Where the first is
 *   refused there is no second: an answer that says "not done" while somebody in between has it done is a lie nobody can see through.
 * - `reset_before_reading`: while the request is written; nothing of it gets to the API.
 * - `reset_before_executing`: once it is written; the API does not get it whole.
 * - `reset_after_executing`: instead of the answer.
 * - `cut_in_the_answer`: half of the answer's body comes, then the connection is closed.
 */
export type DisturbanceKind =
  | 'refused'
  | 'lost_request'
  | 'lost_answer'
  | 'delayed'
  | 'duplicated'
  | 'reset_before_reading'
  | 'reset_before_executing'
  | 'reset_after_executing'
  | 'cut_in_the_answer'

export interface Disturbance {
  readonly what: DisturbanceKind
  /** Of the requests that are sent meanwhile, from 0 to 1. */
  readonly share: number
  /** The most that `delayed` adds in all, and that the second of `duplicated` arrives later. Default 10,000; the second comes at once. */
  readonly delayMs?: number
  /** Called for each request that it hurts, when that request leaves. */
  readonly onFired?: () => void
}

/** What happens to one exchange. */
export interface Fate {
  /** `none`, or the first disturbance that struck it. */
  readonly what: DisturbanceKind | 'none'
  readonly delayThereMs: number
  readonly delayBackMs: number
  readonly copyDelayMs: number
}

export const UNDISTURBED: Fate = { what: 'none', delayThereMs: 0, delayBackMs: 0, copyDelayMs: 0 }

const DEFAULT_DELAY_MS = 10_000

/** The first that strikes, in the order in which they began. */
export function drawFate(disturbances: Iterable<Disturbance>, random: Random): Fate {
  for (const disturbance of disturbances) {
    if (random.next() >= disturbance.share) continue
    disturbance.onFired?.()
    const { what } = disturbance
    if (what === 'delayed') {
      const delayMs = random.next() * (disturbance.delayMs ?? DEFAULT_DELAY_MS)
      const delayThereMs = random.next() * delayMs
      return { ...UNDISTURBED, what, delayThereMs, delayBackMs: delayMs - delayThereMs }
    }
    if (what === 'duplicated') {
      return { ...UNDISTURBED, what, copyDelayMs: random.next() * (disturbance.delayMs ?? 0) }
    }
    return { ...UNDISTURBED, what }
  }
  return UNDISTURBED
}
