/**
 * The simulated network must not lie: whatever can happen to a request, the real client tells the same story when it
 * happens to a twin behind a socket. Each scene is played twice, and all that later decisions look at is compared.
 */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Transport, TransportRequest, TransportResult } from '../../client/wire/transport.ts'
import { createUndiciTransport } from '../../client/wire/undici-transport.ts'
import { seededRandom } from '../../core/random.ts'
import { classifyNetworkFault } from '../../policy/classify/classify.ts'
import { systemClock } from '../../system/system-clock.ts'
import type { Fault, FaultKind } from '../faults/fault.ts'
import type { FaultyService } from '../faults/faulty-service.ts'
import type { TwinDefinition } from '../twin/options.ts'
import { resource } from '../twin/resource.ts'
import { route } from '../twin/route.ts'
import { startTwin, type TwinState } from '../twin/twin.ts'
import { createVirtualClock } from '../virtual-clock.ts'
import type { DisturbanceKind } from './disturbance.ts'
import { createSimulatedNetwork, type SimulatedNetwork } from './network.ts'

interface Scene {
  readonly twin: FaultyService & TwinState
  readonly transport: Transport
  /** Of the usual request; with changes. */
  send(changes?: Partial<TransportRequest>): Promise<TransportResult>
}
type Act = (scene: Scene) => Promise<TransportResult>

const ORIGIN = 'https://crm.test'
const QUICK = { connectMs: 1000, headersMs: 250, bodyMs: 250, totalMs: 700 }
const routes = [
  ...resource('/contacts', { required: ['email'], effectKey: 'email' }),
  route('POST', '/nothing', { apply: () => ({ status: 204 }) }),
  route('POST', '/mirror', { apply: ({ body, query }) => ({ status: 200, body: { body, query } }) }),
  route('HEAD', '/mirror', { apply: () => ({ status: 200, body: { not: 'sent' } }) }),
  route('POST', '/broken', {
    apply: () => {
      throw new Error('the route is wrong')
    },
  }),
]

async function overHttp(act: Act, definition: Partial<TwinDefinition> = {}) {
  const twin = await startTwin({ clock: systemClock, random: seededRandom('same'), routes, ...definition })
  const transport = createUndiciTransport({ clock: systemClock })
  onTestFinished(() => twin.close())
  const result = await act({ twin, transport, send: (changes) => transport.send(requestTo(twin.url, changes)) })
  return { ...(await seenOf(result)), effects: await effectsOf(twin) }
}

async function simulated(
  act: Act,
  definition: Partial<TwinDefinition> = {},
  prepare: (network: SimulatedNetwork) => void = () => {},
) {
  const clock = createVirtualClock()
  const network = createSimulatedNetwork({ clock, random: seededRandom('same') })
  const twin = network.twin(ORIGIN, { routes, ...definition })
  prepare(network)
  const transport = network.transport()
  const send: Scene['send'] = (changes) => transport.send(requestTo(ORIGIN, changes))
  const result = await clock.runUntil(act({ twin, transport, send }))
  const seen = await clock.runUntil(seenOf(result))
  await clock.runUntilIdle()
  return { ...seen, effects: await effectsOf(twin) }
}

/** Plays it both ways, expects the same, and hands it over for what the test knows beforehand. */
async function same(act: Act, definition: Partial<TwinDefinition> = {}) {
  const [real, acted] = [await overHttp(act, definition), await simulated(act, definition)]
  expect(acted).toEqual(real)
  return acted
}

function requestTo(origin: string, changes: Partial<TransportRequest> = {}): TransportRequest {
  return {
    origin,
    path: '/contacts',
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-correlation-id': 'c1' },
    body: JSON.stringify({ email: 'ada@example.com', name: 'Ada' }),
    timeouts: { connectMs: 1000, headersMs: 3000, bodyMs: 3000, totalMs: 10_000 },
    maxResponseBytes: 1_000_000,
    signal: undefined,
    streamBody: false,
    ...changes,
  }
}

const CHANGING = ['date', 'location', 'x-request-id', 'x-ratelimit-reset', 'retry-after', 'retry-after-ms']

/** Without what is different each time: ids, times, and the wording of errors. */
async function seenOf(result: TransportResult) {
  if (!result.ok) {
    const { message, ...fault } = result.fault
    expect(message).not.toBe('')
    return { fault, judged: judgementOf(result) }
  }
  const { status, headers, body, stream } = result.answer
  const text = stream ? await new Response(stream).text() : Buffer.from(body).toString('utf8')
  const { connection: _connection, 'keep-alive': _keepAlive, ...others } = headers
  expect(Date.parse(others['date'] ?? '')).toBeGreaterThan(0)
  const unnamed = CHANGING.filter((name) => name in others).map((name) => [name, '?'])
  return {
    status,
    headers: { ...others, ...Object.fromEntries(unnamed) },
    text: text.replace(/"(id|createdAt|updatedAt|requestId)":"[^"]+"/g, '"$1":"?"'),
  }
}

function judgementOf(result: TransportResult) {
  if (result.ok) return undefined
  const facts = { method: 'POST', endpoint: 'POST /contacts', idempotency: { kind: 'unsafe' as const } }
  const { message: _message, ...judged } = classifyNetworkFault(facts, result.fault)
  return judged
}

/** A twin may still be at work when its caller has what it wanted. */
async function effectsOf(twin: Scene['twin']) {
  await twin.until(
    () => [...twin.requests.byOutcome.values()].reduce((sum, count) => sum + count, 0) === twin.requests.total,
  )
  return twin.effects.map(({ key, route: name, correlationId, copy }) => ({ key, name, correlationId, copy }))
}

type Cases = { readonly [Kind in FaultKind]: readonly Omit<Extract<Fault, { kind: Kind }>, 'kind'>[] }

/** Every kind has to be here: the type says so. */
const FAULTS: Cases = {
  status: [{}, { status: 429, headers: { 'retry-after': '7' }, body: { no: 1 } }, { status: 502, body: 'Bad gateway' }],
  executed_then_status: [{}, { status: 500 }],
  delay: [{ delay: '500ms' }, { delay: '20ms' }],
  executed_then_delayed: [{ delay: '500ms' }, { delay: '20ms' }],
  reset_before_reading: [{}],
  reset_before_executing: [{}],
  executed_then_reset: [{}],
  hang: [{}],
  executed_then_hang: [{}],
  truncated_body: [{}, { executed: false }],
  malformed_json: [{}, { executed: false }],
  html_ok: [{}, { executed: false }],
  empty_body: [{}, { executed: false }],
  wrong_content_type: [{}, { executed: false }],
  slow_drip: [
    { chunkBytes: 80, every: 30 },
    { chunkBytes: 1, every: 30 },
    { chunkBytes: 80, every: 500 },
    { chunkBytes: 8, every: 30, executed: false },
  ],
  cut_headers: [{}, { executed: false }],
  duplicated_execution: [{}],
  huge_body: [{}, { bytes: 200_000 }, { bytes: 200_000, executed: false }],
}

describe('each fault of a twin is the same over HTTP and over the simulated network', () => {
  for (const [kind, variants] of Object.entries(FAULTS)) {
    for (const options of variants) {
      const fault = { kind, ...options } as Fault
      test(JSON.stringify(fault), async () => {
        await same(({ twin, send }) => {
          twin.script('POST /contacts', [fault])
          return send({ timeouts: QUICK })
        })
      })
    }
  }

  for (const fault of ['truncated_body', 'malformed_json', 'empty_body', 'cut_headers'] as const) {
    test(`${fault} of an answer that has no body`, async () => {
      await same(({ twin, send }) => {
        twin.script('POST /nothing', [fault])
        return send({ path: '/nothing' })
      })
    })
  }
})

/** Where a real network does the same by other means: what the twin over HTTP is told to do instead. */
const COUNTERPARTS: { readonly [Kind in DisturbanceKind]: Fault | 'outage' } = {
  refused: 'outage',
  lost_request: { kind: 'hang' },
  lost_answer: { kind: 'executed_then_hang' },
  delayed: { kind: 'delay', delay: 50 },
  duplicated: { kind: 'duplicated_execution' },
  reset_before_reading: { kind: 'reset_before_reading' },
  reset_before_executing: { kind: 'reset_before_executing' },
  reset_after_executing: { kind: 'executed_then_reset' },
  cut_in_the_answer: { kind: 'truncated_body' },
}

describe('each disturbance of the simulated network is what its counterpart over HTTP is', () => {
  for (const [what, counterpart] of Object.entries(COUNTERPARTS) as [DisturbanceKind, Fault | 'outage'][]) {
    test(what, async () => {
      const real = await overHttp(async ({ twin, send }) => {
        if (counterpart === 'outage') await twin.outage()
        else twin.script('POST /contacts', [counterpart])
        return send({ timeouts: QUICK })
      })
      const acted = await simulated(
        ({ send }) => send({ timeouts: QUICK }),
        {},
        (network) => network.disturb(ORIGIN, { what, share: 1, delayMs: 100 }),
      )
      if (what !== 'reset_before_reading') return expect(acted).toEqual(real)
      // On loopback a small request is written before the reset arrives: here it is caught on its way out.
      expect(acted).toMatchObject({ fault: { code: 'ECONNRESET', phase: 'sending' }, effects: real.effects })
      expect(acted).toHaveProperty('judged', (real as { judged?: unknown }).judged)
    })
  }
})

describe('outages, brown-outs and limits', () => {
  for (const mode of ['refused', 'unavailable', 'hang', 'reset'] as const) {
    test(`an outage of the mode ${mode}, and after it`, async () => {
      await same(async ({ twin, send }) => {
        await twin.outage({ mode })
        return send({ timeouts: QUICK })
      })
      const after = await same(async ({ twin, send }) => {
        const outage = await twin.outage({ mode })
        await outage.end()
        return send()
      })
      expect(after).toMatchObject({ status: 201 })
    })
  }

  test('an outage, or the end of a twin, breaks what is under way', async () => {
    const act: Act = async ({ twin, send }) => {
      twin.script('POST /contacts', ['executed_then_hang'])
      const result = send()
      await twin.until(() => twin.requests.byOutcome.get('executed_then_hang') === 1)
      await twin.outage()
      return result
    }
    expect(await same(act)).toMatchObject({ fault: { code: 'UND_ERR_SOCKET', phase: 'waiting_for_headers' } })
    await same(async ({ twin, send }) => {
      twin.script('POST /contacts', ['hang'])
      const result = send()
      await twin.until(() => twin.requests.byOutcome.get('hang') === 1)
      await twin.close()
      return result
    })
    await same(async ({ twin, send }) => {
      await twin.close()
      return send()
    })
  })

  test('a brown-out that refuses everything, late', async () => {
    await same(async ({ twin, send }) => {
      await twin.brownOut({ share: 1, latency: 20, status: 500 })
      return send()
    })
  })

  for (const retryAfter of ['seconds', 'decimal_seconds', 'http_date', 'milliseconds', 'none'] as const) {
    test(`a rate limit that says when by ${retryAfter}`, async () => {
      const act: Act = async ({ send }) => {
        const first = await send()
        expect(first).toMatchObject({ ok: true, answer: { headers: { 'x-ratelimit-remaining': '0' } } })
        return send()
      }
      const seen = await same(act, { rateLimit: { rate: '1/100s', retryAfter } })
      expect(seen).toMatchObject({ status: 429, effects: [{}] })
    })
  }
})

describe('the caller’s side', () => {
  const scenes: Record<string, Act> = {
    'a whole answer': ({ send }) => send(),
    'an answer without a body': ({ send }) => send({ path: '/nothing' }),
    'the headers of a body that is not sent': ({ send }) => send({ path: '/mirror', method: 'HEAD', body: undefined }),
    'the query, and bytes as a body': ({ send }) => send({ path: '/mirror?a=1&b=2', body: Buffer.from('{"b":"ü"}') }),
    'no body': ({ send }) => send({ path: '/mirror', body: undefined }),
    'a body that is not JSON': ({ send }) => send({ body: '{"email":' }),
    'refused fields': ({ send }) => send({ body: '{}' }),
    'a path that the API does not have': ({ send }) => send({ path: '/nowhere' }),
    'a route that throws': ({ send }) => send({ path: '/broken' }),
    'a streamed answer': ({ send }) => send({ streamBody: true }),
    'an answer longer than allowed': ({ send }) => send({ maxResponseBytes: 20 }),
    'what may no longer begin': ({ send }) => send({ mayBegin: () => false }),
    'what may begin': ({ send }) => send({ mayBegin: () => true }),
    'a streamed body': ({ send }) => {
      const pieces = ['{"email":', '"stream@example.com"}'].map((text) => Buffer.from(text))
      return send({ body: ReadableStream.from(pieces) as ReadableStream<Uint8Array> })
    },
    'a caller who cancels before': ({ send }) => send({ signal: AbortSignal.abort() }),
    async 'a caller who cancels while it waits'({ twin, send }) {
      const controller = new AbortController()
      twin.script('POST /contacts', ['executed_then_hang'])
      const result = send({ signal: controller.signal })
      await twin.until(() => twin.requests.byOutcome.get('executed_then_hang') === 1)
      controller.abort()
      return result
    },
    async 'a closed client'({ transport, send }) {
      await transport.close()
      return send()
    },
  }
  for (const [name, act] of Object.entries(scenes)) {
    test(name, async () => {
      await same(act)
    })
  }

  test('a name that nobody has', async () => {
    const act: Act = ({ transport }) => transport.send(requestTo('http://no-such-host.invalid'))
    const unresolved = { phase: 'connect', syscall: 'getaddrinfo', bytesWritten: 0 }
    // Which of its codes the system gives depends on whether it reaches a name server.
    expect(await overHttp(act)).toMatchObject({
      fault: { ...unresolved, code: expect.stringMatching(/ENOTFOUND|EAI_/) },
    })
    expect(await simulated(act)).toMatchObject({ fault: { ...unresolved, code: 'ENOTFOUND' } })
  })

  test('R150: a connection that takes too long; the real one is stopped in the tests of the client', async () => {
    const clock = createVirtualClock()
    const network = createSimulatedNetwork({ clock, random: seededRandom('same') })
    const twin = network.twin(ORIGIN, { routes, connectMs: [2000, 3000] })
    const seen = await clock.runUntil(network.transport().send(requestTo(ORIGIN)).then(seenOf))
    expect(seen).toMatchObject({ fault: { code: 'timeout_connect', phase: 'connect', bytesWritten: 0 } })
    expect(clock.monotonicMs()).toBe(1000)
    await clock.runUntilIdle()
    expect(twin.requests.total).toBe(0)
  })
})
