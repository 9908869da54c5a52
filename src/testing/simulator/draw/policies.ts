/** Retries, breakers, timeouts and budgets of an integration. */
import type { WrittenIntegration } from '../../../config/schema.ts'
import type { WrittenDuration } from '../../../config/schema-parts.ts'
import type { Chance } from './chance.ts'
import type { Frame } from './frame.ts'

export type DrawnPolicies = Required<Pick<WrittenIntegration, 'timeouts' | 'retry' | 'breaker' | 'retryBudget'>>

const DAY_MS = 86_400_000

export function drawPolicies(chance: Chance, frame: Frame): DrawnPolicies {
  return {
    timeouts: drawTimeouts(chance, frame),
    retry: drawRetry(chance, frame),
    breaker: drawBreaker(chance, frame),
    retryBudget: {
      ratio: chance.between(0.05, 0.6),
      // So many that the retries of a run fit into a fraction of it.
      minimumPerSecond: Math.min(10, (300_000 / frame.paceMs) * chance.between(0.3, 4)),
      burst: chance.magnitude(1, 100),
    },
  }
}

/** Sometimes far below a lease, sometimes far above: users do not look at the one when they set the other. */
function drawTimeouts(chance: Chance, { slowestAnswerMs, leaseMs }: Frame): DrawnPolicies['timeouts'] {
  const enoughMs = 4 * slowestAnswerMs
  const headersMs = chance.magnitude(enoughMs, Math.max(2 * enoughMs, 15_000))
  return {
    connect: durationText(chance.magnitude(enoughMs, 2 * enoughMs)),
    headers: durationText(headersMs),
    body: durationText(chance.magnitude(enoughMs, Math.max(2 * enoughMs, 15_000))),
    total: durationText(Math.min(DAY_MS, chance.magnitude(2 * headersMs, Math.max(4 * headersMs, 2 * leaseMs)))),
  }
}

function drawRetry(chance: Chance, { busyMs, paceMs }: Frame): DrawnPolicies['retry'] {
  const baseMs = chance.magnitude(50, paceMs / 100)
  // Then a reservation is forgotten while its owner still waits for a person.
  const impatient = chance.yes(0.2)
  return {
    maxAttempts: chance.magnitude(1, 12),
    base: durationText(baseMs),
    cap: durationText(chance.magnitude(baseMs, Math.min(64 * baseMs, paceMs / 10))),
    jitter: chance.pick(['full', 'equal', 'additive', 'decorrelated', 'none'] as const),
    maxAge: durationText(
      impatient ? chance.magnitude(paceMs / 60, paceMs / 15) : chance.magnitude(paceMs / 8, 3 * busyMs),
    ),
    slowLane: {
      maxTries: chance.integer(0, 10),
      span: durationText(
        impatient ? chance.magnitude(paceMs / 100, paceMs / 30) : chance.magnitude(paceMs / 20, paceMs / 2),
      ),
    },
  }
}

function drawBreaker(chance: Chance, { paceMs, slowestAnswerMs }: Frame): DrawnPolicies['breaker'] {
  const windowCalls = chance.magnitude(4, 60)
  const openMs = chance.magnitude(paceMs / 1000, paceMs / 50)
  return {
    failureRate: chance.between(0.2, 0.9),
    windowCalls,
    window: durationText(chance.magnitude(paceMs / 200, paceMs / 10)),
    minimumCalls: chance.integer(1, windowCalls),
    consecutiveFailures: chance.magnitude(2, 12),
    open: durationText(openMs),
    maxOpen: durationText(chance.magnitude(openMs, Math.min(32 * openMs, paceMs / 10))),
    probes: chance.integer(1, 3),
    probeLease: durationText(chance.magnitude(slowestAnswerMs, Math.max(90_000, paceMs / 100))),
    rampShares: chance.pick([[], [0.1, 0.5], [0.05, 0.2, 0.5], [1]]),
    rampStep: durationText(chance.magnitude(100, Math.max(5000, paceMs / 200))),
  }
}

export function durationText(delayMs: number): WrittenDuration {
  return `${Math.max(1, Math.round(delayMs))}ms`
}
