import type { MachinePlan } from '../scenario.ts'
import { type Chance, createChance } from './chance.ts'
import { type Frame, shortestHealthSyncMs, shortestPollMs } from './frame.ts'

/** Skews of two machines differ by twice this share of a lease at most; jumps get the rest of the quarter (`troubles.ts`). */
const SKEW_SHARE = 1 / 16

export function drawMachines(seed: string, frame: Frame): MachinePlan[] {
  const chance = createChance(`${seed}:machines`)
  const skewed = chance.yes(0.6)
  const shared = {
    maxCrashes: chance.integer(3, 8),
    reconcileLooks: chance.integer(1, 3),
    // Longer than anything may still be on its way: the second condition of R095 is the user's to keep.
    reconcileDelayMs: Math.round((frame.slowestAnswerMs + frame.longestDelayMs) * chance.between(1.5, 4)),
    pollMs: chance.magnitude(shortestPollMs(frame), 8 * shortestPollMs(frame)),
    healthSyncMs: chance.magnitude(shortestHealthSyncMs(frame), 5 * shortestHealthSyncMs(frame)),
    leaseMs: frame.leaseMs,
  }
  return frame.workers.map((workers, index) => ({
    name: `m${index + 1}`,
    skewMs: skewed ? Math.round(chance.between(-SKEW_SHARE, SKEW_SHARE) * frame.leaseMs) : 0,
    workers,
    concurrency: chance.magnitude(1, 100),
    settings: { ...shared, ...ownSettings(chance, shared) },
  }))
}

/** Machines of one store need not agree on their settings, as in the middle of a deployment. */
function ownSettings(chance: Chance, shared: { leaseMs: number; pollMs: number }) {
  if (chance.yes(0.7)) return {}
  return {
    leaseMs: Math.round(shared.leaseMs * chance.between(1, 3)),
    pollMs: Math.round(shared.pollMs * chance.between(1, 4)),
  }
}
