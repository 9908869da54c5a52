import { describe, expect, test } from 'vitest'
import type { Transport, TransportRequest, TransportResult } from '../../client/wire/transport.ts'
import { seededRandom } from '../../core/random.ts'
import { resource } from '../twin/resource.ts'
import { route } from '../twin/route.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import {
  createSimulatedNetwork,
  type SimulatedNetwork,
  type SimulatedTwin,
  type SimulatedTwinOptions,
} from './network.ts'

const ORIGIN = 'https://crm.test'
const TIMEOUTS = { connectMs: 3000, headersMs: 10_000, bodyMs: 15_000, totalMs: 60_000 }
const contacts = resource('/contacts', { required: ['email'], effectKey: 'email' })

interface World {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  readonly twin: SimulatedTwin
}

function world(options: SimulatedTwinOptions = {}, seed = 'network'): World {
  const clock = createVirtualClock()
  const network = createSimulatedNetwork({ clock, random: seededRandom(seed) })
  return { clock, network, twin: network.twin(ORIGIN, { routes: contacts, ...options }) }
}

function post(transport: Transport, id: unknown, changes: Partial<TransportRequest> = {}): Promise<TransportResult> {
  return transport.send({
    origin: ORIGIN,
    path: '/contacts',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: id }),
    timeouts: TIMEOUTS,
    maxResponseBytes: 1_000_000,
    signal: undefined,
    streamBody: false,
    ...changes,
  })
}

const outcomeOf = (result: TransportResult) => (result.ok ? result.answer.status : result.fault.code)

describe('addresses', () => {
  test('a base address with a path is not part of the routes; the longest that fits is taken', async () => {
    const { clock, network, twin } = world()
    const third = network.twin(`${ORIGIN}/v3/`, { routes: contacts })
    const transport = network.transport()
    const paths = ['/v3/contacts', '/v3/contacts?email=a', '/contacts', '/v33/contacts', '/v3']
    const results = paths.map((path) => post(transport, path, { path, method: path.includes('?') ? 'GET' : 'POST' }))
    const seen = (await clock.runUntil(Promise.all(results))).map(outcomeOf)
    expect(seen).toEqual([201, 200, 201, 404, 404])
    expect([...third.requests.byRoute.keys()]).toEqual(['POST /contacts', 'GET /contacts', 'POST (unknown)'])
    expect([...twin.requests.byRoute.values()]).toEqual([1, 1])
  })

  test('listeners hear of each request before it is decided, and of each effect', async () => {
    const heard: string[] = []
    const { clock, network, twin } = world({
      onRequest: ({ route: name, target, headers }) => heard.push(`${name} ${target} ${headers['content-type']}`),
      onEffect: ({ key }, request) => heard.push(`${key} ${request.field('email')}`),
    })
    twin.script('POST /contacts', ['reset_before_executing', 'ok'])
    for (const id of ['a', 'b']) await clock.runUntil(post(network.transport(), id))
    const request = 'POST /contacts /contacts application/json'
    expect(heard).toEqual([request, request, 'b b'])
  })
})

describe('time', () => {
  test('an answer takes its drawn time, and its effect happens on the way', async () => {
    const { clock, network, twin } = world({ latencyMs: [100, 200], connectMs: [5, 10] })
    const started = clock.wallMs()
    const times: number[] = []
    for (let round = 0; round < 50; round++) {
      const before = clock.monotonicMs()
      await clock.runUntil(post(network.transport(), round))
      times.push(clock.monotonicMs() - before)
    }
    expect(Math.min(...times)).toBeGreaterThanOrEqual(105)
    expect(Math.max(...times)).toBeLessThanOrEqual(210)
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(50)
    expect(twin.effects[0]?.atMs).toBeGreaterThan(started)
  })

  test('without latency a call sets no timer but its deadlines, and no time passes', async () => {
    const { clock, network } = world()
    const transport = network.transport()
    const result = post(transport, 'a')
    expect(clock.pending()).toBe(1)
    await clock.settle()
    expect(outcomeOf(await result)).toBe(201)
    expect(clock.monotonicMs()).toBe(0)
  })

  test('the same seed gives the same times and strikes, another one others', async () => {
    const run = async (seed: string) => {
      const { clock, network } = world({ latencyMs: [10, 500] }, seed)
      network.disturb(ORIGIN, { what: 'reset_after_executing', share: 0.3 })
      network.disturb(ORIGIN, { what: 'delayed', share: 0.3, delayMs: 9000 })
      const transport = network.transport()
      const calls = Array.from({ length: 40 }, async (_, id) => [
        id,
        outcomeOf(await post(transport, id)),
        clock.monotonicMs(),
      ])
      return clock.runUntil(Promise.all(calls))
    }
    expect(await run('one')).toEqual(await run('one'))
    expect(await run('one')).not.toEqual(await run('two'))
  })
})

describe('a process of its own', () => {
  test('timeouts run on the clock of the process, the API goes on by true time', async () => {
    const { clock, network, twin } = world({
      routes: [route('POST', '/contacts', { work: '30s', effectKey: 'email' })],
    })
    const asleep = createVirtualClock()
    const result = post(network.transport({ clock: asleep }), 'a')
    await clock.advance(30_000)
    expect(twin.effects).toHaveLength(1)
    expect(outcomeOf(await result)).toBe(200)

    const slow = post(network.transport({ clock: asleep }), 'b')
    await asleep.advance(10_100)
    expect(outcomeOf(await slow)).toBe('timeout_headers')
    await clock.advance(30_000)
    expect(twin.effects).toHaveLength(2)
  })

  test('one that stands still neither writes nor hears; what it may do is asked when it wakes', async () => {
    const { clock, network, twin } = world({ connectMs: [10, 10], latencyMs: [10, 10] })
    let held: (() => void)[] | undefined = []
    const deliver = (arrival: () => void) => (held ? void held.push(arrival) : arrival())
    const wake = () => {
      const arrivals = held ?? []
      held = undefined
      for (const arrival of arrivals) arrival()
    }
    let mayBegin = 0
    const result = post(network.transport({ deliver }), 'a', { mayBegin: () => ++mayBegin > 0 })
    await clock.advance(2000)
    expect([mayBegin, twin.requests.total]).toEqual([0, 0])
    wake()
    expect(mayBegin).toBe(1)
    held = []
    await clock.advance(5000)
    expect(twin.effects).toHaveLength(1)
    let heard = false
    void result.then(() => {
      heard = true
    })
    await clock.settle()
    expect(heard).toBe(false)
    wake()
    expect(outcomeOf(await result)).toBe(201)
  })

  test('C1: one that stands still until its time is over writes nothing, and knows that nothing was sent', async () => {
    const { clock, network, twin } = world({ connectMs: [10, 10], latencyMs: [10, 10] })
    const held: (() => void)[] = []
    const deliver = (arrival: () => void) => void held.push(arrival)
    const asleep = { ...createVirtualClock(), monotonicMs: () => clock.monotonicMs() }
    const result = post(network.transport({ clock: asleep, deliver }), 'a')
    await clock.advance(60_000)
    for (const arrival of held.splice(0)) arrival()
    expect(await result).toMatchObject({ ok: false, fault: { code: 'timeout_total', phase: 'before_send' } })
    await clock.advance(60_000)
    expect(twin.requests.total).toBe(0)
  })

  test('one that has died leaves its request to the API', async () => {
    const { clock, network, twin } = world({ latencyMs: [10, 10] })
    let alive = true
    let heard = false
    const deliver = (arrival: () => void) => (alive ? arrival() : undefined)
    const transport = network.transport({ clock: createVirtualClock(), deliver })
    void post(transport, 'a').then(() => {
      heard = true
    })
    alive = false
    await clock.runUntilIdle()
    expect([heard, twin.effects.length, twin.requests.byOutcome.get('http_201')]).toEqual([false, 1, 1])
    await twin.close()
  })

  test('closing waits for what is under way, and nothing is sent any more', async () => {
    const { clock, network, twin } = world({ latencyMs: [500, 500] })
    const transport = network.transport()
    const last = post(transport, 'a')
    await clock.runUntil(transport.close())
    expect(clock.monotonicMs()).toBe(500)
    expect([outcomeOf(await last), outcomeOf(await post(transport, 'b'))]).toEqual([201, 'UND_ERR_CLOSED'])
    expect(twin.effects).toHaveLength(1)
  })

  test('a slow reader of a stream slows the API down, and gets everything', async () => {
    const { clock, network, twin } = world({ latencyMs: [10, 10] })
    twin.script('POST /contacts', [{ kind: 'huge_body', bytes: 3_000_000 }])
    const result = await clock.runUntil(post(network.transport(), 'a', { streamBody: true }))
    if (!result.ok) throw new Error(result.fault.message)
    await clock.advance(10_000)
    expect(twin.requests.byOutcome.size).toBe(0)
    let bytes = 0
    const read = async () => {
      for await (const piece of result.answer.stream as ReadableStream<Uint8Array>) bytes += piece.byteLength
    }
    await clock.runUntil(read())
    expect(bytes).toBe(3_000_000)
    expect(twin.requests.byOutcome.get('huge_body')).toBe(1)
  })
})

describe('disturbances', () => {
  test('strike their share, one at a time, and are told; after their end nothing happens any more', async () => {
    const { clock, network, twin } = world()
    const fired = { lost: 0, refused: 0 }
    const lost = network.disturb(ORIGIN, { what: 'lost_answer', share: 0.5, onFired: () => fired.lost++ })
    const refused = network.disturb(`${ORIGIN}/`, { what: 'refused', share: 0.5, onFired: () => fired.refused++ })
    const transport = network.transport()
    const all = (count: number) =>
      clock.runUntil(Promise.all(Array.from({ length: count }, (_, id) => post(transport, id))))
    const seen = (await all(200)).map(outcomeOf)
    const count = (outcome: unknown) => seen.filter((one) => one === outcome).length
    expect([count('timeout_headers'), count('ECONNREFUSED')]).toEqual([fired.lost, fired.refused])
    expect(fired.lost).toBeGreaterThan(70)
    expect(fired.refused).toBeGreaterThan(30)
    expect(count(201)).toBe(200 - fired.lost - fired.refused)
    expect(twin.effects).toHaveLength(200 - fired.refused)
    lost[Symbol.dispose]()
    refused[Symbol.dispose]()
    expect((await all(50)).map(outcomeOf)).toEqual(Array(50).fill(201))
  })

  test('a delayed request may arrive after its caller has given up, and is executed all the same', async () => {
    const { clock, network, twin } = world()
    network.disturb(ORIGIN, { what: 'delayed', share: 1, delayMs: 600_000 })
    const transport = network.transport()
    const results = Array.from({ length: 30 }, (_, id) => post(transport, id))
    const seen = (await clock.runUntil(Promise.all(results))).map(outcomeOf)
    expect(seen.filter((outcome) => outcome === 'timeout_headers').length).toBeGreaterThan(20)
    const before = twin.effects.length
    await clock.runUntilIdle()
    expect([before < 20, twin.effects.length]).toEqual([true, 30])
  })

  test('the second of a duplicated request is marked as a copy; a key makes it harmless', async () => {
    const { clock, network, twin } = world({
      routes: [route('POST', '/contacts', { effectKey: 'email', idempotency: true })],
    })
    network.disturb(ORIGIN, { what: 'duplicated', share: 1, delayMs: 5000 })
    const transport = network.transport()
    await clock.runUntil(post(transport, 'plain'))
    await clock.runUntil(post(transport, 'keyed', { headers: { 'idempotency-key': 'k1' } }))
    await clock.runUntilIdle()
    const effects = twin.effects.map(({ key, copy = false }) => [key, copy])
    expect(effects.filter(([key]) => key === 'plain')).toEqual([
      ['plain', false],
      ['plain', true],
    ])
    expect(effects.filter(([, copy]) => copy)).toHaveLength(1)
    expect(twin.requests.total).toBe(4)
  })

  test('there is no second of a request that is refused (simulator, seed 1484)', async () => {
    const { clock, network, twin } = world()
    network.disturb(ORIGIN, { what: 'duplicated', share: 1, delayMs: 5000 })
    await twin.outage({ mode: 'unavailable', lasts: '2s' })
    expect(outcomeOf(await clock.runUntil(post(network.transport(), 'a')))).toBe(503)
    await clock.advance(10_000)
    expect([twin.effects.length, twin.requests.total]).toEqual([0, 1])
  })

  test('a rule of a twin holds until it is disposed of, and tells when it fires', async () => {
    const { clock, network, twin } = world()
    let fired = 0
    const one = async () => outcomeOf(await clock.runUntil(post(network.transport(), 'a')))
    {
      using _broken = twin.disturb({ fault: 'html_ok', route: 'POST /contacts', onFired: () => fired++ })
      expect(await one()).toBe(200)
    }
    expect(await one()).toBe(201)
    await twin.outage({ lasts: '1m', onFired: () => fired++ })
    expect(await one()).toBe('ECONNREFUSED')
    await clock.advance(60_000)
    await twin.brownOut({ share: 1, onFired: () => fired++ })
    expect(await one()).toBe(503)
    expect(fired).toBe(3)
    expect(() => twin.disturb({ fault: 'hang', route: 'POST /contact' })).toThrow('did you mean')
  })
})
