import { describe, expect, it } from 'vitest'
import { HoldfastError } from '../core/errors.ts'
import { createGatewayApp } from './app.ts'
import { type TestGateway, testGateway } from './test-kit.ts'

const REQUEST = { integration: 'crm', method: 'GET', path: '/x' } as const

async function listen(gateway: TestGateway, query = '') {
  const request = new Request(`http://127.0.0.1:4180/v1/events${query}`)
  const response = await gateway.app.fetch(request, '127.0.0.1')
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  return {
    /** What has come until `text` has, or until the end. */
    async until(text: string): Promise<string> {
      let seen = ''
      while (!seen.includes(text)) {
        const { done, value } = await reader.read()
        if (done) return seen
        seen += decoder.decode(value)
      }
      return seen
    },
    stop: () => reader.cancel(),
  }
}

describe('GET /v1/events', () => {
  it('tells what happens as it happens, of the kinds that were asked for', async () => {
    const gateway = await testGateway()
    const all = await listen(gateway)
    const some = await listen(gateway, '?types=lane.suspended,lane.resumed')
    const { runId } = await gateway.hf.submitRequest(REQUEST)
    await gateway.hf.operations.suspend('crm', 'looking')
    expect(await all.until('lane.suspended')).toContain(`event: run.accepted\ndata: {"type":"run.accepted"`)
    const seen = await some.until('looking')
    expect(seen).toContain('event: lane.suspended')
    expect(seen).not.toContain(runId)
    await all.stop()
    await some.stop()
    await gateway.finish()
  })

  it('a heartbeat shows that it lives', async () => {
    const gateway = await testGateway()
    const stream = await listen(gateway)
    await gateway.clock.advance(31_000)
    await gateway.hf.operations.suspend('crm', 'looking')
    expect((await stream.until('looking')).split(': heartbeat\n\n')).toHaveLength(3)
    await stream.stop()
    await gateway.finish()
  })

  it('a listener that does not read is let go, and told why; others go on', async () => {
    const gateway = await testGateway()
    const slow = await listen(gateway)
    for (let n = 0; n < 600; n++) {
      await gateway.hf.operations.suspend('crm', `${n}`)
      await gateway.hf.operations.resume('crm')
    }
    const other = await listen(gateway)
    await gateway.hf.operations.suspend('crm', 'still here')
    await other.until('still here')
    expect(await slow.until('never')).toMatch(/event: end\ndata: \{"reason":"more than 1000 events waited/)
    await other.stop()
    await gateway.finish()
  })

  it('ends when the gateway stops', async () => {
    const gateway = await testGateway()
    const stream = await listen(gateway)
    gateway.app.drain()
    expect(await stream.until('never')).toContain('the gateway is stopping')
    await gateway.finish()
  })

  it('is bounded in number', async () => {
    const gateway = await testGateway()
    const streams = []
    for (let n = 0; n < 100; n++) streams.push(await listen(gateway))
    expect(await gateway.call('GET', '/v1/events')).toMatchObject({ status: 503, json: { code: 'overloaded' } })
    await streams[0]?.stop()
    streams[0] = await listen(gateway)
    for (const stream of streams) await stream.stop()
    await gateway.finish()
  })
})

describe('probes tell the truth', () => {
  function withProbe(gateway: TestGateway, probe: () => Promise<void>) {
    const operations = { ...gateway.hf.operations, probe }
    return createGatewayApp({ ...gateway.parts, holdfast: { ...gateway.hf, operations } })
  }
  const ready = new Request('http://10.0.0.7/readyz')

  it('a full store is not ready, and is alive', async () => {
    const gateway = await testGateway()
    const full = new HoldfastError({ code: 'store_full', class: 'configuration', message: 'sqlite:/x is full' })
    const app = withProbe(gateway, () => Promise.reject(full))
    const response = await app.fetch(ready, '10.0.0.1')
    expect([response.status, await response.json()]).toEqual([503, { status: 'not_ready', reason: 'store_full' }])
    expect((await app.fetch(new Request('http://10.0.0.7/healthz'), '10.0.0.1')).status).toBe(200)
    await gateway.finish()
  })

  it('a store that does not answer is not ready', async () => {
    const gateway = await testGateway()
    const app = withProbe(gateway, () => new Promise(() => undefined))
    const response = await gateway.clock.runUntil(app.fetch(ready, '10.0.0.1'))
    expect(await response.json()).toEqual({ status: 'not_ready', reason: 'store_slow' })
    await gateway.finish()
  })

  it('many who ask share one look', async () => {
    const gateway = await testGateway()
    let looks = 0
    const app = withProbe(gateway, async () => {
      looks += 1
    })
    await Promise.all(Array.from({ length: 50 }, () => app.fetch(ready, '10.0.0.1')))
    expect(looks).toBe(1)
    await gateway.finish()
  })

  it('who is stopping is not ready, and asks for connections to be closed', async () => {
    const gateway = await testGateway()
    expect((await gateway.call('GET', '/readyz')).json).toEqual({ status: 'ready' })
    gateway.app.drain()
    const answer = await gateway.call('GET', '/readyz')
    expect(answer).toMatchObject({ status: 503, json: { status: 'draining' } })
    expect(answer.headers.get('connection')).toBe('close')
    await gateway.finish()
  })
})

describe('too much', () => {
  it('issue 6: refuses with 503 and Retry-After above what may be in flight, and stays live', async () => {
    const gateway = await testGateway({ gateway: { maxInFlight: 2 } })
    const bodies = [1, 2].map(() => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      return { readable, writer: writable.getWriter() }
    })
    const headers = { 'content-type': 'application/json' }
    const waiting = bodies.map(({ readable }) => gateway.call('POST', '/v1/requests', { body: readable, headers }))
    const refused = await gateway.call('GET', '/v1/items')
    expect(refused).toMatchObject({ status: 503, json: { code: 'overloaded' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await gateway.call('GET', '/healthz')).status).toBe(200)
    for (const { writer } of bodies) {
      await writer.write(new TextEncoder().encode(JSON.stringify(REQUEST)))
      await writer.close()
    }
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([202, 202])
    await gateway.app.idle()
    expect((await gateway.call('GET', '/v1/items')).status).toBe(200)
    await gateway.finish()
  })

  it('bodies that arrive slowly cannot fill the memory, and leave nothing behind', async () => {
    const gateway = await testGateway({ parts: { maxPayloadBytes: 100 * 1024 * 1024 } })
    const piece = new Uint8Array(1024 * 1024).fill(0x20)
    const headers = { 'content-type': 'application/json' }
    const send = async (pieces: number): Promise<number> => {
      let left = pieces
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => (left-- > 0 ? controller.enqueue(piece) : undefined),
      })
      return (await gateway.call('POST', '/v1/requests', { body, headers })).status
    }
    const answers = await gateway.clock.runUntil(Promise.all(Array.from({ length: 5 }, () => send(90))))
    expect(answers.filter((status) => status === 503)).toHaveLength(1)
    expect(answers.filter((status) => status === 408)).toHaveLength(4)
    expect((await gateway.call('POST', '/v1/requests', { body: REQUEST })).status).toBe(202)
    await gateway.finish()
  })

  it('refuses while the event loop is late', async () => {
    const gateway = await testGateway({ parts: { loopDelayMs: () => 1500 } })
    expect(await gateway.call('GET', '/v1/items')).toMatchObject({ status: 503, json: { code: 'overloaded' } })
    await gateway.finish()
  })

  it('a rate is kept per caller: 429 and when to come back', async () => {
    const gateway = await testGateway({ gateway: { rate: { limit: 2, perMs: 10_000 } } })
    const get = (from: string) => gateway.call('GET', '/v1/items', { from })
    expect([(await get('a')).status, (await get('a')).status, (await get('b')).status]).toEqual([200, 200, 200])
    const refused = await get('a')
    expect(refused).toMatchObject({ status: 429, json: { code: 'rate_limited' } })
    expect(refused.headers.get('retry-after')).toBe('5')
    await gateway.clock.advance(5000)
    expect((await get('a')).status).toBe(200)
    await gateway.finish()
  })
})

it('every answer is harmless to a browser: type, policy, no cache', async () => {
  const open = await testGateway()
  const closed = await testGateway({ gateway: { tokens: [{ name: 'ci', scopes: ['read'], hash: 'sha256:00' }] } })
  const asked = [
    ...['/healthz', '/v1/items', '/openapi.json', '/nothing', '/v1/items?bad=1'].map((path) => ['GET', path] as const),
    ...['/v1/requests', '/v1/erasures', '/webhooks/none'].map((path) => ['POST', path] as const),
    ['DELETE', '/v1/items'] as const,
  ]
  for (const gateway of [open, closed]) {
    for (const [method, path] of asked) {
      const { headers } = await gateway.call(method, path)
      expect(Object.fromEntries(headers), `${method} ${path}`).toMatchObject({
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'permissions-policy': expect.stringContaining('camera=()'),
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
        'x-correlation-id': expect.stringMatching(/./),
      })
      expect(headers.get('access-control-allow-origin')).toBeNull()
    }
    await gateway.finish()
  }
})
