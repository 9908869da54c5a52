/**
 * What the policies add to a call that succeeds at once, without a network: the price of being careful when nothing goes
 * wrong. One call at a time, the same no-op behind all.
 */
import { makeAttempt } from '../../src/client/attempt/attempt.ts'
import { laneName, type OutboundCall } from '../../src/client/call/call.ts'
import { resolveEndpoint } from '../../src/client/call/request.ts'
import type { Health } from '../../src/client/health/health.ts'
import { createInlineCaller } from '../../src/client/inline/inline.ts'
import { createDeadlines, type Deadlines, type Expirable } from '../../src/client/wire/deadlines.ts'
import { systemClock as clock } from '../../src/system/system-clock.ts'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import { inProcessClient } from '../support/in-process-client.ts'
import { cockatielPolicy, opossumBreaker } from '../support/peer-policies.ts'
import { measureFor } from '../support/stopwatch.ts'

const CALLS_PER_ROUND = 1000
const WARM_UP_ROUNDS = 30
const DURATION_MS = 1500

/** The call that is protected. */
const call = async (): Promise<number> => 200

function contender(name: string, prepare: () => Promise<() => Promise<unknown>>): Contender {
  return {
    name,
    async run({ scale }) {
      const once = await prepare()
      const round = async (): Promise<void> => {
        for (let index = 0; index < CALLS_PER_ROUND; index++) await once()
      }
      for (let index = 0; index < WARM_UP_ROUNDS; index++) await round()
      return measureFor(DURATION_MS * scale, CALLS_PER_ROUND, round)
    },
  }
}

const POLICIES = 'holdfast: gate, limiter, breakers, retry budget, deadline'
const ATTEMPT = 'holdfast: the whole attempt'
const INLINE = 'holdfast: the whole inline client'
const COCKATIEL = 'cockatiel: retry, breaker, timeout'
const OPOSSUM = 'opossum: breaker, timeout'

export const POLICY_CASES: readonly BenchCase[] = [
  {
    group: 'policy',
    name: 'policies around a call that succeeds at once',
    shownAs: 'microseconds per call',
    contenders: [
      contender('nothing: the bare call', async () => call),
      contender(POLICIES, preparePolicies),
      contender(ATTEMPT, prepareAttempt),
      contender(INLINE, prepareInline),
      contender(COCKATIEL, async () => {
        const policy = cockatielPolicy()
        return () => policy.execute(call)
      }),
      contender('cockatiel: the same with a sampling breaker', async () => {
        const policy = cockatielPolicy('sampling')
        return () => policy.execute(call)
      }),
      contender(OPOSSUM, async () => {
        const breaker = opossumBreaker(call)
        return () => breaker.fire()
      }),
    ],
    comparisons: [
      { contender: POLICIES, against: COCKATIEL, atLeast: 10 },
      { contender: POLICIES, against: OPOSSUM },
      { contender: ATTEMPT, against: COCKATIEL },
      { contender: INLINE, against: COCKATIEL },
    ],
  },
]

/** Only what the peers do too: ask before, watch the time, report after. */
async function preparePolicies(): Promise<() => Promise<unknown>> {
  const { parts, integration } = await inProcessClient()
  const endpoint = resolveEndpoint(integration, 'GET', '/contacts')
  const lane = laneName(integration.name, integration.credential, 'default')
  const asked = { integration, endpoint, lane, tenant: 'default', attempt: 1 }
  const deadlines = createDeadlines(clock)
  return () => protectedCall(parts.health, deadlines, asked)
}

type Asked = Parameters<Health['admit']>[0]

async function protectedCall(health: Health, deadlines: Deadlines, asked: Asked): Promise<number> {
  const admission = health.admit(asked)
  if (!admission.admitted) throw new Error(admission.reason)
  const deadline: Expirable = { deadlineBucket: undefined, deadlineIndex: 0, expire: () => {} }
  deadlines.add(deadline, asked.endpoint.timeouts.totalMs)
  try {
    return await call()
  } finally {
    deadlines.remove(deadline)
    health.report(admission.permit, { type: 'succeeded' })
  }
}

async function prepareAttempt(): Promise<() => Promise<unknown>> {
  const { parts, integration } = await inProcessClient()
  const outbound: OutboundCall = {
    integration,
    endpoint: resolveEndpoint(integration, 'GET', '/contacts'),
    lane: laneName(integration.name, integration.credential, 'default'),
    tenant: 'default',
    method: 'GET',
    path: '/contacts',
    headers: {},
    body: undefined,
    responseSchema: undefined,
    expects: 'json',
    idempotencyKey: undefined,
    correlationId: '0190a5b2c3d47e5f8a9b0c1d2e3f4a5b',
    traceId: '0190a5b2c3d47e5f8a9b0c1d2e3f4a5b',
    itemId: undefined,
    attempt: 1,
    signal: undefined,
  }
  return async () => {
    const result = await makeAttempt(outbound, parts)
    if (result.kind !== 'succeeded') throw new Error(`the attempt ${result.kind}`)
  }
}

async function prepareInline(): Promise<() => Promise<unknown>> {
  const { parts, integration } = await inProcessClient()
  const client = createInlineCaller(parts, integration)
  return () => client.get('/contacts')
}
