import type { WrittenIntegration } from '../../../config/schema.ts'
import type { RateLimitOptions, ResetForm, RetryAfterForm } from '../../twin/rate-limit.ts'
import type { ApiPlan } from '../scenario.ts'
import { ERROR_IN_200 } from '../twin-routes.ts'
import { type Chance, createChance } from './chance.ts'
import type { Frame } from './frame.ts'
import { drawPolicies, durationText } from './policies.ts'

const NAMES = ['crm', 'billing', 'mail', 'search'] as const
/** About what one API gets; rate limits are drawn so that this fits into the time. */
const CALLS = 400

const RETRY_AFTER_FORMS: readonly RetryAfterForm[] = ['seconds', 'decimal_seconds', 'http_date', 'milliseconds', 'none']
const RESET_FORMS: readonly ResetForm[] = ['epoch_seconds', 'epoch_milliseconds', 'delta_seconds']

export function drawApis(seed: string, frame: Frame): ApiPlan[] {
  const count = createChance(`${seed}:apis`).integer(1, NAMES.length)
  return NAMES.slice(0, count).map((name) => drawApi(createChance(`${seed}:api ${name}`), name, frame))
}

function drawApi(chance: Chance, name: string, frame: Frame): ApiPlan {
  const slowestMs = chance.magnitude(Math.min(20, frame.slowestAnswerMs), frame.slowestAnswerMs)
  const rateLimit = chance.yes(frame.mood.rateLimited) ? drawRateLimit(chance, frame) : undefined
  return {
    name,
    integration: drawIntegration(chance, name, frame, rateLimit),
    latencyMs: [Math.ceil(slowestMs * chance.between(0.02, 0.8)), slowestMs],
    ...(rateLimit && { rateLimit }),
  }
}

function drawRateLimit(chance: Chance, { paceMs }: Frame): RateLimitOptions {
  const windowMs = chance.magnitude(1000, paceMs / 20)
  const limit = Math.max(2, Math.ceil((CALLS * windowMs) / (paceMs * chance.between(0.1, 0.6))))
  const headers = chance.yes(0.8)
  return {
    rate: `${limit}/${windowMs}ms`,
    per: chance.pick(['everyone', 'credential']),
    retryAfter: chance.pick(RETRY_AFTER_FORMS),
    headers,
    ...(headers && { reset: chance.pick(RESET_FORMS) }),
    // Some vendors throttle with a status that means something else elsewhere; the integration then has a rule for it.
    status: chance.yes(0.75) ? 429 : chance.pick([403, 503]),
  }
}

function drawIntegration(
  chance: Chance,
  name: string,
  frame: Frame,
  rateLimit: RateLimitOptions | undefined,
): WrittenIntegration {
  const { timeouts, retry, breaker } = drawPolicies(chance, frame)
  return {
    baseUrl: `https://${name}.test`,
    ...(chance.yes(0.7) && { auth: { type: 'bearer' as const, token: `secret-${name}-7f3a9c51e2` } }),
    ...(chance.yes(0.1) && { preset: chance.pick(['crm', 'enrichment', 'sequencer'] as const) }),
    ...drawPolicies(chance, frame),
    limits: drawLimits(chance, frame, rateLimit),
    ...(chance.yes(0.15) && {
      eventuallyConsistent: { retries: chance.integer(1, 3), delay: durationText(chance.magnitude(100, 5000)) },
    }),
    errors: drawErrorRules(chance, rateLimit),
    endpoints: {
      // Keys live longer at the twin than any retry can come (`twin-routes.ts`), and so may be said to here.
      'POST /keyed': { ...(chance.yes(0.3) && { breaker }), idempotency: { key: 'idempotency-key', lifetime: '365d' } },
      'POST /unique': { ...(chance.yes(0.3) && { retry }), idempotency: { natural: 'operation' } },
      ...(chance.yes(0.2) && { 'GET /lookup/{id}': { timeouts, retry, breaker } }),
    },
  }
}

function drawLimits(chance: Chance, { paceMs }: Frame, rateLimit: RateLimitOptions | undefined) {
  const windowMs = chance.magnitude(500, paceMs / 30)
  const ownRate = `${Math.ceil((CALLS * windowMs) / (paceMs * chance.between(0.1, 0.5)))}/${windowMs}ms` as const
  const periodMs = Math.round(paceMs / chance.between(3, 10))
  const quota = `${Math.ceil((CALLS * periodMs * chance.between(1, 3)) / paceMs)}/${periodMs}ms` as const
  const knowsRate = rateLimit !== undefined && chance.yes(0.5)
  return {
    concurrency: chance.magnitude(1, 20),
    ...(knowsRate ? { rate: rateLimit.rate } : chance.yes(0.4) && { rate: ownRate }),
    ...(chance.yes(0.15) && { quota }),
  }
}

function drawErrorRules(chance: Chance, rateLimit: RateLimitOptions | undefined): WrittenIntegration['errors'] {
  const status = rateLimit?.status ?? 429
  return [
    // Nothing was done then: the twin does not execute what it answers so. A cautious user does not rely on it.
    {
      status: 200,
      code: ERROR_IN_200.code,
      class: 'transient' as const,
      ...(chance.yes(0.5) && { certainty: 'not_sent' as const }),
    },
    ...(status === 429 ? [] : [{ status, code: 'rate_limited', class: 'rate_limited' as const }]),
  ]
}
