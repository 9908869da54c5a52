/** The life of one item and of one call: which steps, in which order, and what an inspector sees meanwhile. */
import { describe, expect, test } from 'vitest'
import { ITEM_STATES, type ItemState } from '../../src/core/item-state.ts'
import { DEFAULT_ENGINE_SETTINGS } from '../../src/engine/defaults.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { CRM, type TestEngine, testEngine } from '../support/engine.ts'
import type { Reply } from '../support/scripted-api.ts'

interface Product {
  readonly sku: string
}

/** A plain create: a lost answer leaves its outcome unknown. */
const create = definePipeline<Product>('create').step('shop', {
  integration: 'crm',
  request: { method: 'POST', path: '/products', body: ({ input }) => input },
})

const LOOK_ONCE = { pollMs: 60_000, healthSyncMs: 60_000 }

async function submitted(
  reply: Reply,
  pipeline: typeof create = create,
): Promise<TestEngine & { readonly itemId: string }> {
  const engine = await testEngine({ pipelines: [pipeline], reply: () => reply, settings: LOOK_ONCE })
  const { runId } = await engine.hf.submit(pipeline, { sku: 'SKU-1842' }, { key: 'product:SKU-1842:create' })
  return { ...engine, itemId: `${runId}.shop` }
}

async function stateOf({ hf, itemId }: Awaited<ReturnType<typeof submitted>>): Promise<ItemState | undefined> {
  return (await hf.operations.item(itemId))?.state
}

describe('an item as an inspector sees it', () => {
  test('R105: what it is, where it stands, how often and when it was tried, why it failed, and where it led', async () => {
    const engine = await testEngine({ pipelines: [create] })
    engine.api.reply = (_request, count) => (count === 1 ? { status: 503 } : { lost: 'before_execution' })
    const startMs = engine.clock.wallMs()
    const submit = () => engine.hf.submit(create, { sku: 'SKU-1842' }, { key: 'product:SKU-1842:create' })
    const { runId } = await submit()
    expect((await submit()).runId).toBe(runId)
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())

    const item = await engine.hf.operations.item(`${runId}.shop`)
    expect(item).toMatchObject({
      itemId: `${runId}.shop`,
      pipeline: 'create',
      step: 'shop',
      key: 'product:SKU-1842:create',
      endpoint: 'POST /products',
      state: 'unknown_outcome',
      counters: { attempts: 2, deferrals: 0, crashes: 0, replays: 0 },
      firstAttemptAtMs: startMs,
      input: { sku: 'SKU-1842' },
      externalId: undefined,
    })
    const last = item?.attempts.at(-1)
    expect(last).toMatchObject({ number: 2, outcome: 'failed', failure: { class: 'transient', code: 'ECONNRESET' } })
    expect(last?.startedAtMs).toBeGreaterThan(startMs)
    expect(last?.failure?.message).toMatch(/.+/)

    const found = { happened: true, externalId: 'p-77', output: {} } as const
    await engine.hf.operations.resolve(`${runId}.shop`, found, 'ada')
    const { rows } = await engine.hf.operations.items({ key: 'product:SKU-1842:create' })
    expect(rows).toMatchObject([{ itemId: `${runId}.shop`, state: 'succeeded', externalId: 'p-77' }])
    await engine.finish()
  })

  test.for<[ItemState, Reply]>([
    ['processing', { status: 200, delayMs: 4000 }],
    ['succeeded', { status: 200 }],
    ['retrying', { status: 503, headers: { 'retry-after': '3600' } }],
    ['parked', { status: 429, headers: { 'retry-after': '3600' } }],
    ['unknown_outcome', { lost: 'before_execution' }],
    ['dead_lettered', { status: 422 }],
  ])('R106, D20: each outcome is a state that can be asked for: %s', async ([state, reply]) => {
    const engine = await submitted(reply)
    expect(await stateOf(engine)).toBe('queued')
    engine.hf.startWorker()
    await engine.clock.advance(2000)
    expect(await stateOf(engine)).toBe(state)
    expect((await engine.hf.operations.items({ states: [state] })).rows).toHaveLength(1)
    expect((await engine.hf.operations.balance()).states[state]).toBe(1)
    await engine.finish()
  })

  test('R106, D20: "failed" is how an attempt ended, "replayed" is what was done to an item; neither is a state', async () => {
    const engine = await submitted({ status: 422 })
    const worker = engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    await engine.clock.runUntil(worker.stop())
    const selection = { itemIds: [engine.itemId] }
    await engine.hf.operations.replay({ selection, by: 'ada' })
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({
      state: 'queued',
      counters: { replays: 1 },
      attempts: [{ outcome: 'failed' }],
      operations: [{ by: 'ada' }],
    })
    await engine.hf.operations.discard(selection, 'a test', 'ada')
    expect(await stateOf(engine)).toBe('discarded')
    expect(ITEM_STATES.filter((state) => /failed|requeued|replayed/.test(state))).toEqual([])
    await engine.finish()
  })
})

describe('what a worker does with one item', () => {
  test.for<[ItemState, Reply]>([
    ['succeeded', { status: 200, delayMs: 4000 }],
    ['retrying', { status: 503, delayMs: 4000, headers: { 'retry-after': '3600' } }],
    ['dead_lettered', { status: 422, delayMs: 4000 }],
  ])('R109: claimed on disk before it calls; counted, then %s, when the answer is there', async ([state, reply]) => {
    const engine = await submitted(reply)
    const { id: workerId } = engine.hf.startWorker()
    await engine.clock.advance(2000)
    expect(engine.api.requests).toHaveLength(1)
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({ state: 'processing', lease: { workerId } })
    await engine.clock.advance(3000)
    expect(await engine.hf.operations.item(engine.itemId)).toMatchObject({
      state,
      lease: undefined,
      counters: { attempts: 1 },
    })
    const told = engine.events.map(({ type }) => type).filter((type) => /^(item|call)\./.test(type))
    expect(told.slice(0, 3)).toEqual(['item.claimed', 'call.ended', 'item.settled'])
    await engine.finish()
  })

  test('R115: what is tried again by itself and what waits for a person are two places, and nothing slips from one to the other', async () => {
    const engine = await testEngine({ pipelines: [create], settings: LOOK_ONCE })
    engine.api.reply = ({ body }, count) =>
      (body as Product).sku === 'bad' ? { status: 422 } : count < 4 ? { status: 503 } : { status: 201 }
    for (const sku of ['bad', 'good']) await engine.hf.submit(create, { sku }, { key: sku })
    engine.hf.startWorker()
    await engine.clock.advance(100)
    const { operations } = engine.hf
    const [retrying] = (await operations.items({ states: ['retrying'] })).rows
    expect(retrying).toMatchObject({ key: 'good', deadLetter: undefined, dueAtMs: expect.any(Number) })
    const [dead] = (await operations.items({ needsPerson: true })).rows
    expect(dead).toMatchObject({ key: 'bad', state: 'dead_lettered', dueAtMs: undefined })
    expect((await operations.groups()).map(({ count }) => count)).toEqual([1])

    await engine.clock.advance(6 * 3_600_000)
    expect((await operations.balance()).states).toMatchObject({ succeeded: 1, retrying: 0, dead_lettered: 1 })
    expect(await operations.item(dead?.itemId ?? '')).toMatchObject({ counters: { attempts: 1, replays: 0 } })
    await engine.finish()
  })
})

describe('the order of the lifecycle (R111, D21)', () => {
  test('R111: what is done already is answered while the breaker is open and the lane is suspended', async () => {
    const engine = await testEngine()
    const crm = engine.hf.client('crm')
    const pay = (idempotencyKey: string) =>
      engine.clock.runUntil(
        crm.post('/charges', { body: { amount: 5 }, idempotencyKey, deadlineMs: 10 }).catch((error) => error),
      )
    engine.api.reply = () => ({ status: 201, body: { id: 'ch_1' } })
    expect(await pay('order-1')).toMatchObject({ replayed: false })
    engine.api.reply = () => ({ refused: true })
    for (let order = 2; order <= 6; order++) await pay(`order-${order}`)
    expect(await pay('order-7')).toMatchObject({ code: 'breaker_open' })
    const sent = engine.api.requests.length
    expect(await pay('order-1')).toMatchObject({ replayed: true, attempts: 0, data: { id: 'ch_1' } })

    await engine.hf.operations.suspend('crm', 'maintenance')
    // Known to every process after the next exchange, long before the breaker lets a probe through.
    await engine.clock.advance(DEFAULT_ENGINE_SETTINGS.healthSyncMs)
    // Refused by the gate, which stands before the breaker.
    expect(await pay('order-8')).toMatchObject({ class: 'held', code: expect.not.stringContaining('breaker') })
    expect(await pay('order-1')).toMatchObject({ replayed: true, attempts: 0 })
    expect(engine.api.requests).toHaveLength(sent)
    await engine.finish()
  })

  test('R112: a success records its operation, heals the breaker and starts what follows', async () => {
    const order = definePipeline<{ id: number; fails?: boolean }>('order')
      .step('pay', {
        integration: 'crm',
        operation: ({ input }) => `order ${input.id}`,
        request: { method: 'PUT', path: '/charges', body: ({ input }) => ({ id: input.id }) },
      })
      .step('ship', { after: ['pay'], safe: true, run: ({ input }) => `parcel ${input.id}` })
    const engine = await testEngine({
      pipelines: [order],
      integrations: { crm: { ...CRM.crm, retry: { base: '1s' } } },
    })
    // Four failures in a row, five of which would open the breaker.
    engine.api.reply = (_request, count) => (count <= 4 ? { status: 503 } : { status: 200 })
    engine.hf.startWorker()
    const first = await engine.hf.submit(order, { id: 1 })
    await engine.clock.runUntil(engine.hf.drain())
    expect((await engine.hf.operations.item(`${first.runId}.pay`))?.counters.attempts).toBe(5)
    expect(await engine.hf.operations.item(`${first.runId}.ship`)).toMatchObject({
      state: 'succeeded',
      output: 'parcel 1',
    })

    const sent = engine.api.requests.length
    await engine.hf.submit(order, { id: 1 })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(4)
    expect(engine.api.requests).toHaveLength(sent)

    engine.api.reply = (_request, count) => (count <= sent + 4 ? { status: 503 } : { status: 200 })
    await engine.hf.submit(order, { id: 2 })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(6)
    expect(engine.events.filter(({ type }) => type === 'breaker.changed')).toEqual([])
    await engine.finish()
  })
})
