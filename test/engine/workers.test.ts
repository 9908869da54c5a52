import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { DEFAULT_ENGINE_SETTINGS } from '../../src/engine/defaults.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { ENDPOINT, LANE, newItem, newRun } from '../../src/ledger/conformance/support.ts'
import type { Ledger, Where } from '../../src/ledger/port.ts'
import { testEngine } from '../support/engine.ts'
import { createFleet, send } from '../support/fleet.ts'

const lead = z.object({ email: z.string() })

const create = definePipeline('create', { input: lead }).step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: (answer) => (answer.data as unknown[])[0],
  },
})

describe('workers', () => {
  test('R097, rule 6: a worker that stands still past its lease changes nothing; another takes over and looks first', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-'))
    const engine = await testEngine({
      pipelines: [create],
      path: join(directory, 'test.db'),
      settings: { leaseMs: 3000 },
    })
    // The first worker's process: claims, then never comes back.
    await engine.hf.submit(create, { email: 'ada' })
    const [lost] = await engine.ledger.claim({
      workerId: 'lost',
      nowMs: engine.clock.wallMs(),
      leaseUntilMs: engine.clock.wallMs() + 3000,
      channels: [{ lane: 'crm/default', endpoint: 'POST /contacts', limit: 1, laneConcurrency: 1 }],
    })
    engine.api.effects.push({
      method: 'POST',
      path: '/contacts',
      body: { email: 'ada' },
      origin: '',
      text: '',
      headers: {},
      atMs: 0,
    })
    engine.api.reply = (request) => ({
      status: 200,
      body: request.method === 'GET' ? engine.api.effects.map((effect) => effect.body) : {},
    })
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(1)
    expect(engine.api.requests.map((request) => request.method)).toEqual(['GET'])
    // The zombie wakes up.
    const [receipt] = await engine.ledger.settle(
      [
        {
          itemId: lost?.itemId ?? '',
          tenant: 'default',
          token: lost?.token ?? 0,
          to: { state: 'retrying', dueAtMs: 0, reason: 'zombie' },
        },
      ],
      engine.clock.wallMs(),
    )
    expect(receipt).toEqual({ outcome: 'lease_lost' })
    const item = await engine.hf.operations.item(lost?.itemId ?? '')
    expect(item).toMatchObject({ state: 'succeeded', counters: { crashes: 1 } })
    await engine.finish()
    rmSync(directory, { recursive: true })
  })

  test('R102, R104: the store is the queue and the record: what one process took in, another finds, in order', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-'))
    const path = join(directory, 'test.db')
    const records = Array.from({ length: 50 }, (_, index) => ({ input: { email: String(index) } }))
    const receiver = await testEngine({ pipelines: [create], path })
    await receiver.clock.runUntil(receiver.hf.submitMany(create, records))
    const accepted = await receiver.hf.operations.items({}, { limit: 100 })
    expect(receiver.api.requests).toEqual([])
    await receiver.finish()

    const worker = await testEngine({ pipelines: [create], path, seed: 'another process' })
    expect(await worker.hf.operations.items({}, { limit: 100 })).toEqual(accepted)
    worker.hf.startWorker({ concurrency: 1 })
    const balance = await worker.clock.runUntil(worker.hf.drain())
    expect(balance).toMatchObject({ accepted: 50, states: { succeeded: 50, queued: 0 } })
    expect(worker.api.requests.map(({ body }) => body)).toEqual(records.map(({ input }) => input))
    await worker.finish()
    rmSync(directory, { recursive: true })
  })

  test('R097, rule 6: a clock that is set ahead by hours ends no lease of a worker that lives; of one that is lost it does, later', async () => {
    const engine = await testEngine({
      pipelines: [create],
      settings: { leaseMs: 3000 },
      reply: () => ({ status: 200 }),
    })
    const { clock, ledger } = engine
    await engine.hf.submit(create, { email: 'ada' })
    const [held] = await ledger.claim({
      workerId: 'another',
      nowMs: clock.wallMs(),
      leaseUntilMs: clock.wallMs() + 3000,
      channels: [{ lane: 'crm/default', endpoint: 'POST /contacts', limit: 1, laneConcurrency: 1 }],
    })
    const { itemId = '', tenant = '', token = 0 } = held ?? {}
    engine.hf.startWorker()
    await clock.advance(500)
    clock.jump(clock.wallMs() + 10 * 3_600_000)
    for (let renewal = 0; renewal < 100; renewal++) {
      await clock.advance(1000)
      expect(await ledger.extendLeases([{ itemId, tenant, token }], clock.wallMs() + 3000)).toEqual([])
    }
    // Lost now, and set ahead again.
    clock.jump(clock.wallMs() + 3_600_000)
    await clock.advance(30_000)
    expect((await engine.hf.operations.item(itemId))?.counters.crashes).toBe(0)
    await clock.advance(60_000)
    expect((await engine.hf.operations.item(itemId))?.counters.crashes).toBe(1)
    await engine.finish()
  })

  test('R097, R095: whoever was taken for lost, and lives, has done it before anyone concludes that it is not there (simulator, seed 7238)', async () => {
    const done: string[] = []
    const mail = definePipeline('mail', { input: lead }).step('send', {
      async run({ input }) {
        await engine.clock.sleep(6000)
        done.push(input.email)
        return null
      },
      reconcile: ({ input }) =>
        done.includes(input.email) ? { outcome: 'applied', output: null } : { outcome: 'not_applied' },
    })
    const engine = await testEngine({ pipelines: [mail], settings: { leaseMs: 30_000 } })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(mail, { email: 'ada' })
    await engine.clock.advance(1000)
    engine.clock.jump(engine.clock.wallMs() + 3_600_000)
    // It starts after the jump, and cannot know of it.
    engine.hf.startWorker()
    await engine.clock.advance(120_000)
    expect(done).toEqual(['ada'])
    expect(await engine.hf.operations.item(`${runId}.send`)).toMatchObject({
      state: 'succeeded',
      counters: { crashes: 1 },
    })
    await engine.finish()
  })

  test('long calls keep their lease: nobody else takes them over', async () => {
    const engine = await testEngine({
      pipelines: [create],
      settings: { leaseMs: 3000 },
      reply: () => ({ status: 201, body: { id: '1' }, delayMs: 20_000 }),
    })
    engine.hf.startWorker()
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(create, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.requests).toHaveLength(1)
    expect(await engine.hf.operations.item(`${runId}.crm`)).toMatchObject({
      state: 'succeeded',
      counters: { crashes: 0 },
    })
    await engine.finish()
  })

  test('a step that kills its workers is given up, not passed on for ever', async () => {
    const deadly = definePipeline('deadly', { input: lead }).step('boom', { safe: true, run: () => 'fine' })
    const engine = await testEngine({ pipelines: [deadly], settings: { leaseMs: 1000, maxCrashes: 3 } })
    const { runId } = await engine.hf.submit(deadly, { email: 'ada' })
    const channels = [{ lane: 'code/deadly.boom', endpoint: 'run boom', limit: 1, laneConcurrency: 1 }]
    const lease = () => ({
      workerId: 'doomed',
      nowMs: engine.clock.wallMs(),
      leaseUntilMs: engine.clock.wallMs() + 1000,
    })
    await engine.ledger.claim({ ...lease(), channels })
    for (let crash = 0; crash < 3; crash++) {
      await engine.clock.advance(1001)
      if (crash < 2) await engine.ledger.reclaimExpired({ ...lease(), limit: 1 })
    }
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(await engine.hf.operations.item(`${runId}.boom`)).toMatchObject({
      state: 'dead_lettered',
      counters: { crashes: 3 },
    })
    await engine.finish()
  })

  test('R108: endpoints of one lane take turns, also where its places come free one by one', async () => {
    const flood = definePipeline('flood').step('slow', {
      integration: 'crm',
      request: { method: 'GET', path: '/slow' },
    })
    const few = definePipeline('few').step('quick', { integration: 'crm', request: { method: 'GET', path: '/quick' } })
    const engine = await testEngine({
      pipelines: [flood, few],
      integrations: { crm: { baseUrl: 'https://crm.test', limits: { concurrency: 1 } } },
      reply: () => ({ status: 200, delayMs: 1000 }),
    })
    for (const pipeline of [flood, few]) {
      const count = pipeline === flood ? 100 : 5
      const records = Array.from({ length: count }, (_, no) => ({ input: { no } }))
      await engine.clock.runUntil(engine.hf.submitMany(pipeline, records))
    }
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain({ pipeline: 'few' }))
    expect((await engine.hf.operations.balance({ pipeline: 'flood' })).states.queued).toBeGreaterThan(85)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('graceful shutdown: what runs ends, what was not sent goes back, nothing is lost', async () => {
    const engine = await testEngine({
      pipelines: [create],
      reply: () => ({ status: 201, body: { id: '1' }, delayMs: 5000 }),
    })
    const worker = engine.hf.startWorker()
    for (let index = 0; index < 30; index++) await engine.hf.submit(create, { email: String(index) })
    await engine.clock.advance(1000)
    await engine.clock.runUntil(worker.stop({ graceMs: 60_000 }))
    const balance = await engine.hf.operations.balance()
    expect(balance.states).toMatchObject({ succeeded: 10, queued: 20, processing: 0 })
    engine.hf.startWorker()
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(30)
    expect(engine.api.duplicates()).toBe(0)
    await engine.finish()
  })

  test('a code step that ignores the shutdown is left to its lease; a safe one is tried again', async () => {
    let release: (() => void) | undefined
    const stubborn = definePipeline('stubborn', { input: lead }).step('wait', {
      safe: true,
      run: () => new Promise<string>((resolve) => (release = () => resolve('late'))),
    })
    const engine = await testEngine({ pipelines: [stubborn] })
    const worker = engine.hf.startWorker()
    const { runId } = await engine.hf.submit(stubborn, { email: 'ada' })
    await engine.clock.advance(10)
    await engine.clock.runUntil(worker.stop({ graceMs: 1000 }))
    release?.()
    await engine.clock.settle()
    expect(await engine.hf.operations.item(`${runId}.wait`)).toMatchObject({ state: 'retrying' })
    await engine.finish()
  })

  test('R058, R108: a lane that floods does not starve another', async () => {
    const pipelines = ['flood', 'quiet'].map((name) =>
      definePipeline(name, { input: lead }).step('call', { integration: name, request: { method: 'PUT', path: '/x' } }),
    )
    const integration = { baseUrl: 'https://api.test', limits: { concurrency: 50 } }
    const engine = await testEngine({
      pipelines,
      integrations: { flood: integration, quiet: integration },
      settings: { concurrency: 20 },
      reply: () => ({ status: 200, body: {}, delayMs: 100 }),
    })
    await engine.hf.submitMany(
      'flood',
      Array.from({ length: 2000 }, (_, index) => ({ input: { email: String(index) } })),
    )
    await engine.hf.submitMany(
      'quiet',
      Array.from({ length: 20 }, (_, index) => ({ input: { email: String(index) } })),
    )
    engine.hf.startWorker()
    await engine.clock.advance(1000)
    const quiet = await engine.hf.operations.balance({ pipeline: 'quiet' })
    expect(quiet.states.succeeded).toBe(20)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('rule 8: the same seed gives the same run', async () => {
    async function trace(): Promise<string> {
      const engine = await testEngine({
        pipelines: [create],
        seed: 'again',
        reply: (request, count) =>
          request.method === 'GET'
            ? { status: 200, body: [] }
            : count % 3 === 0
              ? { lost: 'before_execution' }
              : { status: 201, body: { id: '1' } },
      })
      engine.hf.startWorker()
      for (let index = 0; index < 30; index++) await engine.hf.submit(create, { email: String(index) })
      await engine.clock.runUntil(engine.hf.drain())
      await engine.finish()
      return JSON.stringify(engine.events)
    }
    expect(await trace()).toBe(await trace())
  })

  test('a worker that can take nothing more leaves the store alone', async () => {
    const hang = { status: 200, body: {}, delayMs: 30_000 } as const
    const limits = { concurrency: 1 }
    const crm = { baseUrl: 'https://crm.test', limits, timeouts: { headers: '60s', total: '60s' } } as const
    const engine = await testEngine({ integrations: { crm }, pipelines: [create], reply: () => hang })
    const asked = countCalls(engine.ledger, ['channels', 'claim'])
    for (const email of ['ada', 'bob', 'cy']) await engine.hf.submit(create, { email })
    engine.hf.startWorker()
    engine.hf.startWorker({ concurrency: 1 })
    await engine.clock.advance(20_000)
    // Two workers, a poll each every 250 ms, and little beside it.
    expect(asked.get('channels')).toBeLessThan(2 * 80 + 20)
    expect(asked.get('claim')).toBeLessThan(2 * 80 + 20)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('places that another process holds, perhaps for as long as a lost lease lasts, are asked for ever more rarely', async () => {
    const crm = { baseUrl: 'https://crm.test', limits: { concurrency: 1 } }
    const engine = await testEngine({ integrations: { crm }, pipelines: [create] })
    for (const email of ['ada', 'bob']) await engine.hf.submit(create, { email })
    const channel = { lane: 'crm/default', endpoint: 'POST /contacts', limit: 1, laneConcurrency: 1 }
    const nowMs = engine.clock.wallMs()
    await engine.ledger.claim({ workerId: 'lost', nowMs, leaseUntilMs: nowMs + 20_000, channels: [channel] })
    const asked = countCalls(engine.ledger, ['claim'])
    engine.hf.startWorker()
    await engine.clock.advance(20_000)
    expect(asked.get('claim')).toBeLessThan(100)
    await engine.clock.runUntil(engine.hf.drain())
    await engine.finish()
  })

  test('on a hint, what gave work before is claimed at once; the store is asked what else is due afterwards', async () => {
    const engine = await testEngine({ pipelines: [create] })
    let hint: (where: Where) => void = () => {}
    engine.ledger.watch = (listener) => {
      hint = listener
      return { [Symbol.dispose]: () => {} }
    }
    engine.hf.startWorker()
    await engine.hf.submit(create, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    const order: string[] = []
    for (const name of ['channels', 'claim'] as const) {
      const asked = engine.ledger[name].bind(engine.ledger) as (...given: unknown[]) => Promise<never>
      engine.ledger[name] = (...given: unknown[]) => {
        order.push(name)
        return asked(...given)
      }
    }
    hint(undefined)
    await engine.clock.advance(50)
    expect(order.slice(0, 2)).toEqual(['claim', 'channels'])
    // Elsewhere, where nobody guesses: it is found all the same.
    await engine.hf.submit(create, { email: 'cy' }, { tenant: 'acme' })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(2)
    await engine.finish()
  })

  describe('told by another process where work has become due', () => {
    /** It polls rarely, and hears what the test tells it. */
    async function scene() {
      const engine = await testEngine({ pipelines: [create], settings: { pollMs: 60_000 } })
      let tell: (where: Where) => void = () => {}
      engine.ledger.watch = (listener) => {
        tell = listener
        return { [Symbol.dispose]: () => {} }
      }
      engine.hf.startWorker()
      await engine.clock.runUntil(engine.hf.drain())
      /** As another process does. */
      const submit = (delayMs = 0) => {
        const createdAtMs = engine.clock.wallMs()
        const items = [newItem({ dueAtMs: createdAtMs + delayMs })]
        return engine.ledger.submit([newRun({ pipeline: 'create', createdAtMs, items })])
      }
      return { ...engine, submit, tell: (where: Where) => tell(where) }
    }
    const WHERE = [{ lane: LANE, endpoint: ENDPOINT }]

    test('a worker claims there, and asks for nothing else', async () => {
      const { ledger, clock, submit, tell, hf, finish } = await scene()
      const asked = countCalls(ledger, ['channels', 'claim'])
      await submit()
      tell(WHERE)
      await clock.advance(100)
      expect((await hf.operations.balance()).states.succeeded).toBe(1)
      expect(Object.fromEntries(asked)).toEqual({ claim: 1, channels: 0 })
      await finish()
    })

    test('what it knew to be due there later is done when it is due', async () => {
      const { clock, submit, tell, hf, finish } = await scene()
      await submit(10_000)
      tell(undefined)
      await clock.advance(1000)
      await submit()
      tell(WHERE)
      await clock.advance(1000)
      expect((await hf.operations.balance()).states).toMatchObject({ succeeded: 1, queued: 1 })
      await clock.advance(8500)
      expect((await hf.operations.balance()).states.succeeded).toBe(2)
      await finish()
    })

    test('a hint that comes while it claims upon another is not lost', async () => {
      const { ledger, clock, submit, tell, hf, finish } = await scene()
      const claim = ledger.claim.bind(ledger)
      let isFirst = true
      ledger.claim = async (request) => {
        const claimed = await claim(request)
        if (isFirst) {
          isFirst = false
          await submit()
          tell(WHERE)
        }
        return claimed
      }
      await submit()
      tell(WHERE)
      await clock.advance(1000)
      expect((await hf.operations.balance()).states.succeeded).toBe(2)
      await finish()
    })

    test('nor is one that comes while it looks', async () => {
      const { ledger, clock, submit, tell, hf, finish } = await scene()
      const channels = ledger.channels.bind(ledger)
      let isFirst = true
      ledger.channels = async () => {
        const due = await channels()
        if (isFirst) {
          isFirst = false
          await submit()
          tell(WHERE)
        }
        return due
      }
      tell(undefined)
      await clock.advance(1000)
      expect((await hf.operations.balance()).states.succeeded).toBe(1)
      await finish()
    })

    test('where somebody else was faster, it looks what there is', async () => {
      const { ledger, clock, submit, tell, hf, finish } = await scene()
      const asked = countCalls(ledger, ['channels', 'claim'])
      tell(WHERE)
      await clock.advance(100)
      expect(Object.fromEntries(asked)).toEqual({ claim: 1, channels: 1 })
      await submit()
      tell(WHERE)
      await clock.advance(100)
      expect((await hf.operations.balance()).states.succeeded).toBe(1)
      await finish()
    })
  })

  test('a drain does not wait for a process that became idle while it looked', async () => {
    const { hf, ledger, clock, finish } = await testEngine({ pipelines: [create], settings: { pollMs: 60_000 } })
    const lanes = ledger.lanes.bind(ledger)
    ledger.lanes = async () => {
      await clock.sleep(100)
      return lanes()
    }
    hf.startWorker()
    await hf.submit(create, { email: 'ada' })
    const sinceMs = clock.wallMs()
    await clock.runUntil(hf.drain())
    expect(clock.wallMs() - sinceMs).toBeLessThan(500)
    await finish()
  })

  test('a worker whose other lanes give work all the time still asks every pollMs for what no wake-up told of', async () => {
    await using fleet = await createFleet({ seed: 'poll', limits: { concurrency: 1 } })
    const member = await fleet.start()
    const records = Array.from({ length: 200 }, (_, n) => ({ input: { n } }))
    await fleet.clock.runUntil(member.hf.submitMany(send, records))
    await fleet.clock.advance(1000)
    // In the fleet, no process is woken by what another hands in.
    const stranger = await fleet.start({ worker: false })
    const { runId } = await fleet.clock.runUntil(stranger.hf.submit(send, { n: 1000 }, { tenant: 'acme' }))
    await fleet.clock.advance(DEFAULT_ENGINE_SETTINGS.pollMs + 200)
    const run = await fleet.clock.runUntil(stranger.hf.operations.run(runId))
    expect(run?.items.map((item) => item.state)).toEqual(['succeeded'])
    const { states } = await fleet.clock.runUntil(stranger.hf.operations.balance())
    expect(states.queued).toBeGreaterThan(100)
    expect((await fleet.clock.runUntil(stranger.hf.operations.audit())).balanced).toBe(true)
  })
})

/** Counts calls of the store from now on. */
function countCalls(ledger: Ledger, methods: readonly ('channels' | 'claim')[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(methods.map((method) => [method, 0]))
  for (const method of methods) {
    const call = ledger[method] as (...given: unknown[]) => unknown
    Object.assign(ledger, {
      [method]: (...given: unknown[]) => {
        counts.set(method, (counts.get(method) ?? 0) + 1)
        return call.apply(ledger, given)
      },
    })
  }
  return counts
}
