/** What several parts of a scenario must agree on, drawn before any of them. */
import { createChance } from './chance.ts'
import { MOODS, type Mood } from './mood.ts'

export interface Frame {
  readonly mood: Mood
  readonly busyMs: number
  /** What single waits are drawn in proportion to: with that of a long run, a quiet of some hours would not see their ends. */
  readonly paceMs: number
  /** Workers of each machine. */
  readonly workers: readonly number[]
  /** The shortest lease of any machine. */
  readonly leaseMs: number
  /** The slowest answer of any healthy API. */
  readonly slowestAnswerMs: number
  /** The longest that the network holds anything up. */
  readonly longestDelayMs: number
}

/** Timers of polls, lease rounds and health syncs that a run may cost, in all of busy and quiet time. */
const POLL_TIMERS = 450
const LEASE_TIMERS = 300
const HEALTH_TIMERS = 300
/** Busy and quiet time together, about. */
const RUN_LENGTH = 1.2
const SLOWEST_PACE_MS = 8 * 3_600_000
const LONGEST_USUAL_LEASE_MS = 30_000

export function drawFrame(seed: string): Frame {
  const chance = createChance(`${seed}:frame`)
  const mood = chance.pick(MOODS)
  const busyMs = chance.magnitude(...mood.busyMs)
  const machines = chance.pick([2, 2, 2, 2, 2, 3, 3, 4])
  const workers = Array.from({ length: machines }, () => chance.pick([1, 1, 1, 1, 1, 2, 3]))
  const shortestLeaseMs = Math.max(1000, Math.ceil((3 * sum(workers) * RUN_LENGTH * busyMs) / LEASE_TIMERS))
  return {
    mood,
    busyMs,
    paceMs: Math.min(busyMs, SLOWEST_PACE_MS),
    workers,
    leaseMs: chance.magnitude(shortestLeaseMs, Math.max(LONGEST_USUAL_LEASE_MS, 2 * shortestLeaseMs)),
    slowestAnswerMs: chance.magnitude(50, Math.min(30_000, Math.max(2000, busyMs / 3000))),
    longestDelayMs: chance.magnitude(100, Math.min(60_000, busyMs / 20)),
  }
}

/** The shortest `pollMs` that keeps the timers of a run bounded. */
export function shortestPollMs({ workers, busyMs }: Frame): number {
  return Math.max(50, Math.ceil((sum(workers) * RUN_LENGTH * busyMs) / POLL_TIMERS))
}

/** The shortest `healthSyncMs` that keeps the timers of a run bounded. */
export function shortestHealthSyncMs({ workers, busyMs }: Frame): number {
  return Math.max(50, Math.ceil((workers.length * RUN_LENGTH * busyMs) / HEALTH_TIMERS))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
