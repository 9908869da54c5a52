/** R098: `Idempotency-Key` for an API of one's own, as the IETF draft has it. */
import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import { storeBusy } from '../../src/ledger/sqlite/transactions/errors.ts'
import { type IdempotentOptions, idempotent } from '../../src/webhooks/idempotent.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const HOUR_MS = 3_600_000

function order(key: string | undefined, body = '{"amount":1}', headers: Record<string, string> = {}, method = 'POST') {
  const all = { 'content-type': 'application/json', ...(key !== undefined && { 'idempotency-key': key }), ...headers }
  return new Request('https://api.example.com/orders?v=1', { method, body, headers: all })
}

interface Shop {
  readonly engine: TestEngine
  readonly bodies: string[]
  readonly create: (request: Request) => Promise<Response>
}

async function shop(
  options: Partial<IdempotentOptions> = {},
  answer: (call: number) => Response | Promise<Response> = (call) => Response.json({ order: call }, { status: 201 }),
): Promise<Shop> {
  const engine = await testEngine()
  const bodies: string[] = []
  async function handler(request: Request): Promise<Response> {
    bodies.push(await request.text())
    return answer(bodies.length)
  }
  return { engine, bodies, create: idempotent(handler, { store: engine.hf, ...options }) }
}

async function codeOf(response: Response): Promise<[number, string]> {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return [response.status, ((await response.json()) as { code: string }).code]
}

describe('R098: once for each key', () => {
  test('who comes again gets the same answer, and the handler is not run', async () => {
    const { engine, create, bodies } = await shop({}, (call) =>
      Response.json({ order: call }, { status: 201, headers: { location: '/orders/1', 'set-cookie': 'session=1' } }),
    )
    const first = await create(order('k1'))
    expect(first.headers.get('set-cookie')).toBe('session=1')
    expect(first.headers.has('idempotency-replayed')).toBe(false)
    const again = await create(order('"k1"'))
    expect([again.status, again.headers.get('location'), await again.json()]).toEqual([201, '/orders/1', { order: 1 }])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.headers.has('set-cookie')).toBe(false)
    expect(await (await create(order('k2'))).json()).toEqual({ order: 2 })
    expect(bodies).toEqual(['{"amount":1}', '{"amount":1}'])
    await engine.finish()
  })

  test('400 where a key is missing or cannot be one; reads and deletes need none', async () => {
    const { engine, create, bodies } = await shop()
    expect(await codeOf(await create(order(undefined)))).toEqual([400, 'idempotency_key_missing'])
    for (const bad of ['', '"', 'a"b', 'x'.repeat(256), 'ü']) {
      expect(await codeOf(await create(order(bad))), bad).toEqual([400, 'idempotency_key_invalid'])
    }
    expect(bodies).toEqual([])
    expect((await create(new Request('https://api.example.com/orders'))).status).toBe(201)
    expect((await create(order(undefined, '', {}, 'DELETE'))).status).toBe(201)
    await engine.finish()
    const relaxed = await shop({ required: false })
    expect((await relaxed.create(order(undefined))).status).toBe(201)
    await relaxed.engine.finish()
  })

  test('409 with Retry-After while the first is at it', async () => {
    const gate = Promise.withResolvers<void>()
    const { engine, create } = await shop({}, async () => {
      await gate.promise
      return new Response(null, { status: 204 })
    })
    const first = create(order('k1'))
    const second = await create(order('k1'))
    expect(second.headers.get('retry-after')).toBe('1')
    expect(await codeOf(second)).toEqual([409, 'idempotency_in_progress'])
    gate.resolve()
    expect((await first).status).toBe(204)
    expect((await create(order('k1'))).status).toBe(204)
    await engine.finish()
  })

  test('422 with another body, type or credential; with a scope, the same key of another caller is another key', async () => {
    const { engine, create } = await shop()
    await create(order('k1', '{"amount":1}', { authorization: 'Bearer a' }))
    for (const other of [
      order('k1', '{"amount":2}', { authorization: 'Bearer a' }),
      order('k1', '{"amount":1}', { authorization: 'Bearer b' }),
      order('k1', '{"amount":1}', { authorization: 'Bearer a', 'content-type': 'text/plain' }),
    ]) {
      expect(await codeOf(await create(other))).toEqual([422, 'idempotency_key_reused'])
    }
    await engine.finish()
    const scoped = await shop({ scope: (request) => request.headers.get('x-user') ?? '' })
    const of = (user: string, token: string) => order('k1', '{}', { 'x-user': user, authorization: token })
    expect(await (await scoped.create(of('ada', 'Bearer 1'))).json()).toEqual({ order: 1 })
    expect(await (await scoped.create(of('bob', 'Bearer 2'))).json()).toEqual({ order: 2 })
    expect(await (await scoped.create(of('ada', 'Bearer renewed'))).json()).toEqual({ order: 1 })
    await scoped.engine.finish()
  })

  test('an answer is kept for 24 hours', async () => {
    const { engine, create, bodies } = await shop()
    await create(order('k1'))
    await engine.clock.advance(24 * HOUR_MS - 1)
    expect((await create(order('k1'))).headers.get('idempotency-replayed')).toBe('true')
    await engine.clock.advance(1)
    expect((await create(order('k1'))).headers.has('idempotency-replayed')).toBe(false)
    expect(bodies).toHaveLength(2)
    await engine.finish()
  })

  test('an error of the server is an answer too; a refusal, or 503, is not: nothing was done', async () => {
    for (const [status, runs] of [
      [500, 1],
      [502, 1],
      [302, 1],
      [400, 2],
      [429, 2],
      [503, 2],
    ] as const) {
      const { engine, create, bodies } = await shop({}, () => new Response('x', { status }))
      await create(order('k1'))
      expect((await create(order('k1'))).status).toBe(status)
      expect(bodies.length, String(status)).toBe(runs)
      await engine.finish()
    }
  })

  test('a body that is too large is not read to its end, and takes no key', async () => {
    const { engine, create, bodies } = await shop({ maxBodyBytes: 10 })
    expect(await codeOf(await create(order('k1', 'x'.repeat(11))))).toEqual([413, 'payload_too_large'])
    expect((await create(order('k1', 'x'))).status).toBe(201)
    expect(bodies).toEqual(['x'])
    await engine.finish()
  })
})

describe('R097: when the handler does not end well', () => {
  const failing = (error: Error) => (call: number) => {
    if (call === 1) throw error
    return Response.json({ order: call })
  }

  test('it threw: half of it may be done, so nobody runs it again by itself', async () => {
    const { engine, create, bodies } = await shop({}, failing(new Error('boom')))
    await expect(create(order('k1'))).rejects.toThrow('boom')
    const again = await create(order('k1'))
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(await codeOf(again)).toEqual([500, 'handler_failed'])
    expect(bodies).toHaveLength(1)
    await engine.finish()
  })

  test('it threw where running it again is safe, or knows that nothing was done: the key is free', async () => {
    const nothingDone = new HoldfastError({ code: 'x', class: 'transient', message: 'not sent' })
    for (const [options, error] of [
      [{ safe: true }, new Error('boom')],
      [{}, nothingDone],
    ] as const) {
      const { engine, create } = await shop(options, failing(error))
      await expect(create(order('k1'))).rejects.toThrow()
      expect(await (await create(order('k1'))).json()).toEqual({ order: 2 })
      await engine.finish()
    }
  })

  test('its process died: 409 until the key is forgotten, because nobody knows; where it is safe, it is run again', async () => {
    for (const safe of [false, true]) {
      let release = () => {}
      const { engine, create } = await shop({ safe, longest: '1m' }, (call) => {
        if (call > 1) return Response.json({ order: call })
        return new Promise((resolve) => {
          release = () => resolve(new Response('late'))
        })
      })
      const lost = create(order('k1'))
      await codeOf(await create(order('k1')))
      await engine.clock.advance(60_000)
      const second = await create(order('k1'))
      if (safe) expect(await second.json()).toEqual({ order: 2 })
      else expect(await codeOf(second)).toEqual([409, 'unknown_outcome'])
      release()
      await lost
      expect((await create(order('k1'))).headers.get('idempotency-replayed')).toBe('true')
      if (safe) expect(await (await create(order('k1'))).json()).toEqual({ order: 2 })
      await engine.finish()
    }
  })

  test('the store is away: 503 before anything is done; after it, the answer is true all the same', async () => {
    const { engine, create, bodies } = await shop()
    const { beginEffects, endEffects } = engine.ledger
    engine.ledger.beginEffects = () => Promise.reject(storeBusy('sqlite:x', 5000))
    expect(await codeOf(await create(order('k1')))).toEqual([503, 'not_stored'])
    expect(bodies).toEqual([])
    engine.ledger.beginEffects = beginEffects
    engine.ledger.endEffects = () => Promise.reject(storeBusy('sqlite:x', 5000))
    expect((await create(order('k1'))).status).toBe(201)
    engine.ledger.endEffects = endEffects
    const at = engine.events.findIndex(({ type }) => type === 'engine.trouble')
    expect(engine.events.splice(at, 1)).toMatchObject([{ where: 'idempotent' }])
    expect(await codeOf(await create(order('k1')))).toEqual([409, 'idempotency_in_progress'])
    await engine.finish()
  })
})
