/** Vendors that count calls in different ways, callers that want more than they give, and how well that went. On virtual time. */

import type { InlineParts } from '../../src/client/attempt/persistence.ts'
import { createCredentials } from '../../src/client/credentials/credentials.ts'
import { shareStatistics } from '../../src/client/health/endpoint-statistics.ts'
import { createHealth } from '../../src/client/health/health-registry.ts'
import { createInlineCaller } from '../../src/client/inline/inline.ts'
import { testIntegration } from '../../src/client/test-kit.ts'
import type { Transport } from '../../src/client/wire/transport.ts'
import type { IntegrationSettings } from '../../src/config/settings.ts'
import type { HoldfastError } from '../../src/core/errors.ts'
import { createEventBus } from '../../src/core/events.ts'
import { newId } from '../../src/core/ids.ts'
import { type Random, randomBetween, seededRandom } from '../../src/core/random.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'

export interface Vendor {
  /** What it answers to a call that arrives now. */
  take(nowMs: number): { readonly accepted: boolean; readonly headers: Record<string, string> }
  /** How many calls it takes in so long a time. */
  capacity(spanMs: number): number
}

/** So many in each window of the clock; tells limit, what is left and when it renews. */
export function fixedWindow(limit: number, perMs: number): Vendor {
  let windowMs = -1
  let used = 0
  return {
    take(nowMs) {
      const begin = Math.floor(nowMs / perMs) * perMs
      if (begin !== windowMs) used = 0
      windowMs = begin
      const accepted = used < limit
      if (accepted) used += 1
      const seconds = Math.ceil((begin + perMs) / 1000)
      return { accepted, headers: limitHeaders(limit, limit - used, seconds) }
    },
    capacity: (spanMs) => limit * (spanMs / perMs),
  }
}

/** So many in any window; its reset is when the oldest call leaves. */
export function slidingWindow(limit: number, perMs: number): Vendor {
  const starts: number[] = []
  return {
    take(nowMs) {
      while (starts.length > 0 && (starts[0] as number) <= nowMs - perMs) starts.shift()
      const accepted = starts.length < limit
      if (accepted) starts.push(nowMs)
      const seconds = Math.ceil(((starts[0] ?? nowMs) + perMs) / 1000)
      return { accepted, headers: limitHeaders(limit, limit - starts.length, seconds) }
    },
    capacity: (spanMs) => limit * (spanMs / perMs),
  }
}

/** Gives so many each second and saves up some; tells nothing but 429 and when to come back. */
export function tokenBucket(perSecond: number, size: number): Vendor {
  let tokens = size
  let atMs: number | undefined
  return {
    take(nowMs) {
      tokens = Math.min(size, tokens + ((nowMs - (atMs ?? nowMs)) / 1000) * perSecond)
      atMs = nowMs
      const accepted = tokens >= 1
      if (accepted) tokens -= 1
      return { accepted, headers: accepted ? {} : { 'retry-after': '1' } }
    },
    capacity: (spanMs) => perSecond * (spanMs / 1000),
  }
}

function limitHeaders(limit: number, remaining: number, resetSeconds: number): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(resetSeconds),
  }
}

export interface Outcome {
  readonly calls: number
  readonly throttledShare: number
  readonly usedShare: number
}

export interface Demand {
  readonly vendor: Vendor
  readonly workers: number
  readonly callersPerWorker: number
  readonly spanMs: number
  /** How often the processes tell each other. */
  readonly syncEveryMs: number
  readonly limits: IntegrationSettings['limits']
  readonly latencyMs?: readonly [number, number]
}

/** Callers that call again at once, in several processes on one store, against one vendor. */
export async function pressOn({
  vendor,
  workers,
  callersPerWorker,
  spanMs,
  syncEveryMs,
  limits,
  latencyMs,
}: Demand): Promise<Outcome> {
  const clock = createVirtualClock()
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  const counts = { calls: 0, accepted: 0 }
  const endMs = clock.wallMs() + spanMs
  const running: Promise<void>[] = []
  for (let worker = 0; worker < workers; worker++) {
    const random = seededRandom(worker + 1)
    const transport = vendorTransport(vendor, clock, random, counts, latencyMs ?? [20, 80])
    const parts = inlineParts(ledger, transport, clock, random, `worker-${worker}`)
    running.push(keepInSync(parts, endMs, syncEveryMs))
    const caller = createInlineCaller(parts, testIntegration('http://crm.example', { limits }))
    for (let index = 0; index < callersPerWorker; index++) running.push(callUntil(caller, clock, endMs))
  }
  await clock.runUntil(Promise.all(running))
  await ledger.close()
  return {
    calls: counts.calls,
    throttledShare: (counts.calls - counts.accepted) / counts.calls,
    usedShare: counts.accepted / vendor.capacity(spanMs),
  }
}

async function callUntil(caller: ReturnType<typeof createInlineCaller>, clock: VirtualClock, endMs: number) {
  while (clock.wallMs() < endMs) {
    await caller.get('/people').catch((error: HoldfastError) => {
      // A caller who is told to come back much later does.
      const untilMs = Number(error.details?.['untilMs'] ?? 0)
      return clock.sleep(Math.max(1000, Math.min(untilMs, endMs) - clock.wallMs()))
    })
  }
}

async function keepInSync({ health, clock }: InlineParts, endMs: number, everyMs: number) {
  while (clock.wallMs() < endMs) {
    await health.sync()
    await clock.sleep(everyMs)
  }
}

function vendorTransport(
  vendor: Vendor,
  clock: VirtualClock,
  random: Random,
  counts: { calls: number; accepted: number },
  [least, most]: readonly [number, number],
): Transport {
  return {
    async send() {
      const tookMs = randomBetween(random, least, most)
      await clock.sleep(tookMs / 2)
      const { accepted, headers } = vendor.take(clock.wallMs())
      counts.calls += 1
      if (accepted) counts.accepted += 1
      await clock.sleep(tookMs / 2)
      const status = accepted ? 200 : 429
      const body = Buffer.from('{}')
      return {
        ok: true,
        answer: { status, headers: { 'content-type': 'application/json', ...headers }, body, stream: undefined },
      }
    },
    close: async () => {},
  }
}

function inlineParts(
  ledger: Awaited<ReturnType<typeof openSqliteLedger>>,
  transport: Transport,
  clock: VirtualClock,
  random: Random,
  workerId: string,
): InlineParts {
  const events = createEventBus((error) => {
    throw error
  })
  const health = createHealth({ ledger, clock, random, events, workerId })
  const cipher = { encrypt: refuse, decrypt: refuse } as never
  const onSuspended = () => health.sync()
  const credentials = createCredentials({ ledger, transport, clock, random, events, cipher, workerId, onSuspended })
  const statistics = shareStatistics({ ledger, clock, events })
  return {
    credentials,
    clock,
    random,
    events,
    statistics,
    ledger,
    transport,
    health,
    newId: () => newId(clock, random),
  }
}

function refuse(): never {
  throw new Error('these callers have nothing to encrypt')
}
