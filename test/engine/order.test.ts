import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ItemState } from '../../src/core/item-state.ts'
import { definePipeline, type PipelineOf } from '../../src/engine/pipelines/pipeline.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'
import type { Reply, SeenRequest } from '../support/scripted-api.ts'

interface Change {
  readonly product: string
  readonly n: number
}

const PUT = { method: 'PUT', path: '/products/{id}' } as const

/** Each change counts, one after the other. */
const inOrder = definePipeline<Change>('in-order').step('crm', {
  integration: 'crm',
  order: ({ input }) => input.product,
  request: { ...PUT, params: ({ input }) => ({ id: input.product }), body: ({ input }) => input },
})

const holding = definePipeline<Change>('holding').step('crm', {
  integration: 'crm',
  order: { by: ({ input }) => input.product, afterDeadLetter: 'hold' },
  request: { ...PUT, params: ({ input }) => ({ id: input.product }), body: ({ input }) => input },
})

/** Only the newest counts: the stock of a product. */
const stock = definePipeline<Change>('stock').step('crm', {
  integration: 'crm',
  supersede: { by: ({ input }) => input.product, version: ({ input }) => input.n },
  request: { ...PUT, params: ({ input }) => ({ id: input.product }), body: ({ input }) => input },
})

function submit(engine: TestEngine, pipeline: PipelineOf<Change>, ...changes: readonly Change[]) {
  return engine.clock.runUntil(
    engine.hf.submitMany(
      pipeline,
      changes.map((input) => ({ input })),
    ),
  )
}

function changes(product: string, ...numbers: readonly number[]): Change[] {
  return numbers.map((n) => ({ product, n }))
}

function sentFor(engine: TestEngine, product: string): number[] {
  return engine.api.requests
    .map(({ body }) => body as Change)
    .flatMap((body) => (body.product === product ? body.n : []))
}

/** In the order of acceptance. */
async function items(engine: TestEngine) {
  const { rows } = await engine.clock.runUntil(engine.hf.operations.items({}, { limit: 1000 }))
  return rows.toReversed()
}

async function states(engine: TestEngine): Promise<ItemState[]> {
  return (await items(engine)).map(({ state }) => state)
}

function drain(engine: TestEngine) {
  return engine.clock.runUntil(engine.hf.drain())
}

const REFUSED: Reply = { status: 422, body: { error: { message: 'no', field: 'n' } } }
const failing = (times: number, reply: Reply) => (_: SeenRequest, count: number) =>
  count <= times ? reply : { status: 200, body: {} }

describe('order', () => {
  test('R116: changes of one product are sent one at a time, as accepted; a failing one holds only its own product', async () => {
    const engine = await testEngine({ pipelines: [inOrder] })
    engine.api.reply = (request) =>
      (request.body as Change).product === 'p1' && request.atMs < startMs + 10_000 ? { status: 503 } : { status: 200 }
    const startMs = engine.clock.wallMs()
    await submit(engine, inOrder, ...changes('p1', 1, 2, 3), ...changes('p2', 1, 2, 3))
    engine.hf.startWorker()
    expect((await drain(engine)).states.succeeded).toBe(6)
    expect(sentFor(engine, 'p2')).toEqual([1, 2, 3])
    const p1 = sentFor(engine, 'p1')
    expect(p1.toSorted()).toEqual(p1)
    const lastOfP2 = engine.api.requests.findLast(({ body }) => (body as Change).product === 'p2')
    expect(lastOfP2?.atMs).toBeLessThan(startMs + 10_000)
    await engine.finish()
  })

  test('the end of one wakes the next at once: nobody polls for it', async () => {
    const engine = await testEngine({ pipelines: [inOrder], settings: { pollMs: 600_000 } })
    engine.api.reply = () => ({ status: 200, delayMs: 100 })
    const startMs = engine.clock.wallMs()
    await submit(engine, inOrder, ...changes('p1', 1, 2, 3, 4, 5))
    engine.hf.startWorker()
    await drain(engine)
    expect(engine.clock.wallMs() - startMs).toBeLessThan(1000)
    await engine.finish()
  })

  test('two workers keep one order', async () => {
    const engine = await testEngine({ pipelines: [inOrder] })
    engine.api.reply = () => ({ status: 200, delayMs: 50 })
    engine.hf.startWorker()
    engine.hf.startWorker()
    for (let n = 1; n <= 20; n++) await submit(engine, inOrder, { product: `p${n % 3}`, n })
    await drain(engine)
    for (const product of ['p0', 'p1', 'p2'])
      expect(sentFor(engine, product)).toEqual(sentFor(engine, product).toSorted(ascending))
    await engine.finish()
  })

  test('a dead letter does not stop the rest; replayed, it goes after those that are under way', async () => {
    const engine = await testEngine({ pipelines: [inOrder] })
    engine.api.reply = failing(1, REFUSED)
    await submit(engine, inOrder, ...changes('p1', 1, 2))
    engine.hf.startWorker()
    await drain(engine)
    expect(await states(engine)).toEqual(['dead_lettered', 'succeeded'])
    const [dead] = await items(engine)
    await engine.clock.runUntil(
      engine.hf.operations.replay({ selection: { itemIds: [dead?.itemId ?? ''] }, by: 'test:ada' }),
    )
    await drain(engine)
    expect(sentFor(engine, 'p1')).toEqual([1, 2, 1])
    await engine.finish()
  })

  test('with afterDeadLetter "hold" the rest waits for a person', async () => {
    const engine = await testEngine({ pipelines: [holding] })
    engine.api.reply = ({ body }, count) =>
      count === 1 && (body as Change).product === 'p1' ? REFUSED : { status: 200 }
    await submit(engine, holding, ...changes('p1', 1, 2), ...changes('p2', 1))
    engine.hf.startWorker()
    await drain(engine)
    expect(await states(engine)).toEqual(['dead_lettered', 'waiting', 'succeeded'])
    const [dead, waiting] = await items(engine)
    const explained = await engine.clock.runUntil(engine.hf.operations.explain(waiting?.itemId ?? ''))
    expect(explained?.next).toContain(`for its turn in the order of "p1": for ${dead?.itemId}, which is a dead letter`)
    await engine.clock.runUntil(
      engine.hf.operations.discard({ itemIds: [dead?.itemId ?? ''] }, 'no longer sold', 'test:ada'),
    )
    await drain(engine)
    expect(await states(engine)).toEqual(['discarded', 'succeeded', 'succeeded'])
    await engine.finish()
  })

  test('explain says behind whom an item waits, and who waits behind it', async () => {
    const engine = await testEngine({ pipelines: [inOrder] })
    await submit(engine, inOrder, ...changes('p1', 1, 2, 3))
    const [first, second, third] = await items(engine)
    const explain = (id = '') => engine.clock.runUntil(engine.hf.operations.explain(id))
    expect((await explain(third?.itemId))?.next).toBe(
      `It waits for its turn in the order of "p1": for ${second?.itemId}, which waits for ${first?.itemId}, which is queued: its turn has come.`,
    )
    expect((await explain(first?.itemId))?.next).toContain('In the order of "p1" 2 others wait for it.')
    expect(third?.reason).toBe('waits for its turn: others of "p1" are before it')
    await engine.finish()
  })

  test('a record that names no entity is a dead letter with a hint, and nothing is sent; corrected, it takes its turn', async () => {
    const engine = await testEngine({ pipelines: [inOrder] })
    await submit(engine, inOrder, { n: 1 } as Change, { product: 'p1', n: 2 })
    engine.hf.startWorker()
    await drain(engine)
    const [dead] = await items(engine)
    expect(dead).toMatchObject({ state: 'dead_lettered', counters: { attempts: 0 } })
    expect(dead?.deadLetter?.hint).toContain('correct the record')
    expect(dead?.deadLetter?.summary).toContain('in-order.crm names no entity')
    await engine.clock.runUntil(
      engine.hf.operations.replay({
        selection: { itemIds: [dead?.itemId ?? ''] },
        patch: { product: 'p1' },
        by: 'test:ada',
      }),
    )
    await drain(engine)
    expect(sentFor(engine, 'p1')).toEqual([2, 1])
    await engine.finish()
  })

  test('a batch never holds two of one entity', async () => {
    const batched = definePipeline<Change>('batched').step('crm', {
      integration: 'crm',
      order: ({ input }) => input.product,
      request: { method: 'POST', path: '/products/batch', body: ({ input }) => input },
      idempotency: { kind: 'safe' },
      batch: { size: 10, linger: '50ms', shape: 'json-array' },
    })
    const engine = await testEngine({ pipelines: [batched] })
    engine.api.reply = ({ body }) => ({
      status: 200,
      body: (body as Change[]).map(({ n }) => ({ id: n, status: 201 })),
    })
    await submit(engine, batched, ...[1, 2, 3].flatMap((n) => ['p1', 'p2', 'p3'].map((product) => ({ product, n }))))
    engine.hf.startWorker()
    expect((await drain(engine)).states.succeeded).toBe(9)
    const calls = engine.api.requests.map(({ body }) => body as Change[])
    expect(calls.map((call) => call.length)).toEqual([3, 3, 3])
    for (const call of calls) expect(new Set(call.map(({ product }) => product)).size).toBe(call.length)
    await engine.finish()
  })

  test('R029: undoing takes its turn among the changes that it undoes', async () => {
    const undoable = definePipeline<Change>('undoable', { onFailure: 'compensate' })
      .step('crm', {
        integration: 'crm',
        order: ({ input }) => input.product,
        request: { ...PUT, params: ({ input }) => ({ id: input.product }), body: ({ input }) => input },
        compensate: {
          request: {
            ...PUT,
            params: ({ input }) => ({ id: input.product }),
            body: ({ input }) => ({ ...input, n: -input.n }),
          },
        },
      })
      .step('mail', {
        integration: 'crm',
        after: ['crm'],
        request: { method: 'POST', path: '/mails', body: ({ input }) => input },
      })
    const engine = await testEngine({ pipelines: [undoable] })
    engine.api.reply = ({ path, body }) =>
      path === '/mails' && (body as Change).n === 1 ? REFUSED : { status: 200, delayMs: path === '/mails' ? 1 : 500 }
    await submit(engine, undoable, ...changes('p1', 1, 2, 3))
    engine.hf.startWorker()
    await drain(engine)
    const writes = engine.api.requests.filter(({ path }) => path !== '/mails')
    expect(writes.map(({ body }) => (body as Change).n)).toEqual([1, 2, 3, -1])
    for (const [index, write] of writes.entries()) {
      expect(write.atMs).toBeGreaterThanOrEqual((writes[index - 1]?.atMs ?? 0) + (index > 0 ? 500 : 0))
    }
    await engine.finish()
  })
})

describe('supersede', () => {
  test('R116: a rerun does not write the old stock over the new one', async () => {
    const engine = await testEngine({ pipelines: [stock], settings: { pollMs: 600_000, healthSyncMs: 60_000 } })
    // The first run at 12:00 meets an API that is down; the second, at 12:15, has newer numbers.
    engine.api.reply = ({ atMs, body }) =>
      atMs < startMs + 20 * 60_000 && (body as Change).product === 'p1' ? { status: 503 } : { status: 200 }
    const startMs = engine.clock.wallMs()
    engine.hf.startWorker()
    await submit(engine, stock, ...changes('p1', 100), ...changes('p2', 100))
    await engine.clock.runUntil(engine.clock.sleep(15 * 60_000))
    await submit(engine, stock, ...changes('p1', 115))
    // And somebody starts the first one once more.
    await submit(engine, stock, ...changes('p1', 100))
    await engine.clock.runUntil(engine.clock.sleep(4 * 3_600_000))
    await drain(engine)
    expect(await states(engine)).toEqual(['superseded', 'succeeded', 'succeeded', 'superseded'])
    const done = engine.api.requests.filter(({ atMs }) => atMs >= startMs + 20 * 60_000)
    expect(done.map(({ body }) => body).filter((body) => (body as Change).product === 'p1')).toEqual([
      { product: 'p1', n: 115 },
    ])
    await engine.finish()
  })

  test('what was superseded is told: event, explanation, balance', async () => {
    const engine = await testEngine({ pipelines: [stock] })
    await submit(engine, stock, ...changes('p1', 1, 3, 2))
    const [first, second, third] = await items(engine)
    const ended = engine.events.filter((event) => event.type === 'item.settled')
    expect(ended).toMatchObject([
      {
        itemId: first?.itemId,
        state: 'superseded',
        lane: 'crm/default',
        reason: expect.stringContaining(second?.itemId ?? ''),
      },
      {
        itemId: third?.itemId,
        state: 'superseded',
        reason: expect.stringContaining('its version (2) of "p1" is older than 3'),
      },
    ])
    const explained = await engine.clock.runUntil(engine.hf.operations.explain(third?.itemId ?? ''))
    expect(explained?.headline).toContain('was superseded after 0 attempts: its version (2)')
    expect(explained?.next).toBe('Nothing: it has ended.')
    const balance = await engine.clock.runUntil(engine.hf.operations.balance())
    expect(balance).toMatchObject({ accepted: 3, balanced: true, states: { superseded: 2, queued: 1 } })
    await engine.finish()
  })

  test('while one is being sent the newer one waits; then the older one is not tried again', async () => {
    const engine = await testEngine({ pipelines: [stock] })
    engine.api.reply = (_, count) => (count === 1 ? { status: 503, delayMs: 1000 } : { status: 200 })
    engine.hf.startWorker()
    await submit(engine, stock, ...changes('p1', 1))
    await engine.clock.runUntil(engine.clock.sleep(500))
    await submit(engine, stock, ...changes('p1', 2))
    await drain(engine)
    expect(await states(engine)).toEqual(['superseded', 'succeeded'])
    expect(sentFor(engine, 'p1')).toEqual([1, 2])
    expect(engine.events).toContainEqual(
      expect.objectContaining({
        type: 'item.settled',
        state: 'superseded',
        attempts: 1,
        reason: expect.stringContaining('while'),
      }),
    )
    await engine.finish()
  })

  test('an unknown outcome is looked for before anything newer is sent', async () => {
    const unsafe = definePipeline<Change>('unsafe').step('crm', {
      integration: 'crm',
      supersede: { by: ({ input }) => input.product, version: ({ input }) => input.n },
      request: { method: 'POST', path: '/stock', body: ({ input }) => input },
      reconcile: {
        request: { method: 'GET', path: '/stock' },
        match: () => ({ found: true }),
      },
    })
    const engine = await testEngine({ pipelines: [unsafe] })
    engine.api.reply = ({ method }, count) =>
      method === 'POST' && count === 1 ? { lost: 'after_execution', delayMs: 100 } : { status: 200, body: {} }
    engine.hf.startWorker()
    await submit(engine, unsafe, ...changes('p1', 1))
    await engine.clock.runUntil(engine.clock.sleep(50))
    await submit(engine, unsafe, ...changes('p1', 2))
    await drain(engine)
    expect(engine.api.requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'POST'])
    expect(await states(engine)).toEqual(['succeeded', 'succeeded'])
    await engine.finish()
  })

  test.each([
    [{ product: 'p1', n: 'newest' }, 'does not say what is newer'],
    [{ product: 'p1' }, 'does not say what is newer'],
    [{ product: 'p1', n: true }, 'true (boolean)'],
  ])('a version that cannot be compared (%j) is a dead letter with a hint; nothing is sent', async (input, words) => {
    const engine = await testEngine({ pipelines: [stock] })
    await submit(engine, stock, input as unknown as Change)
    engine.hf.startWorker()
    await drain(engine)
    const [dead] = await items(engine)
    expect(dead).toMatchObject({ state: 'dead_lettered', deadLetter: { summary: expect.stringContaining(words) } })
    expect(dead?.deadLetter?.hint).toContain('supersede.version')
    expect(engine.api.requests).toEqual([])
    await engine.finish()
  })

  test('property: whatever the order of arrival and whatever fails, the newest value is the last one written', async () => {
    const arrival = fc.record({ product: fc.constantFrom('p1', 'p2', 'p3'), n: fc.integer({ min: 0, max: 20 }) })
    const fault = fc.constantFrom(200, 200, 200, 503, 429, 500)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(arrival, fc.integer({ min: 0, max: 3000 })), { minLength: 1, maxLength: 12 }),
        fc.array(fault, { maxLength: 20 }),
        async (arrivals, faults) => {
          const engine = await testEngine({ pipelines: [stock, inOrder] })
          const left = [...faults]
          engine.api.reply = () => ({ status: left.shift() ?? 200, delayMs: 200 })
          engine.hf.startWorker()
          for (const [change, waitMs] of arrivals) {
            await submit(engine, stock, change)
            await engine.clock.runUntil(engine.clock.sleep(waitMs))
          }
          await drain(engine)
          const written = engine.api.effects.map(({ body }) => body as Change)
          for (const product of new Set(arrivals.map(([change]) => change.product))) {
            const values = written.flatMap((change) => (change.product === product ? change.n : []))
            expect(values).toEqual(values.toSorted(ascending))
            const newest = Math.max(...arrivals.flatMap(([change]) => (change.product === product ? change.n : [])))
            expect(values.at(-1)).toBe(newest)
          }
          await engine.finish()
        },
      ),
      { numRuns: 25, seed: 116 },
    )
  })

  test('property: in order, each product gets its changes as they were accepted, each once', async () => {
    const fault = fc.constantFrom(200, 200, 503, 429)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('p1', 'p2'), { minLength: 1, maxLength: 15 }),
        fc.array(fault, { maxLength: 15 }),
        async (products, faults) => {
          const engine = await testEngine({ pipelines: [inOrder] })
          const left = [...faults]
          engine.api.reply = () => ({ status: left.shift() ?? 200, delayMs: 30 })
          const sent = products.map((product, n) => ({ product, n }))
          engine.hf.startWorker()
          engine.hf.startWorker()
          await submit(engine, inOrder, ...sent)
          await drain(engine)
          const written = engine.api.effects.map(({ body }) => body as Change)
          for (const product of new Set(products)) {
            const of = (list: readonly Change[]) => list.filter((change) => change.product === product)
            expect(of(written)).toEqual(of(sent))
          }
          await engine.finish()
        },
      ),
      { numRuns: 25, seed: 116 },
    )
  })
})

function ascending(left: number, right: number): number {
  return left - right
}
