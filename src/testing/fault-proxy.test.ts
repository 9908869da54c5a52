import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from './fault-proxy.ts'
import { callRaw } from './faults/raw-client.ts'
import { createVirtualClock } from './virtual-clock.ts'

interface Received {
  readonly request: IncomingMessage
  readonly body: Buffer
}

/** A plain server that knows nothing of faults: answers 201 with what it got. */
async function startTarget(): Promise<{ url: string; received: Received[]; server: Server }> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    received.push({ request, body })
    response.writeHead(201, 'Made', { 'content-type': 'application/json', 'Set-Cookie': ['a=1', 'b=2'] })
    response.end(JSON.stringify({ bytes: body.length }))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, server }
}

async function startBoth(options: Partial<FaultProxyOptions> = {}) {
  const target = await startTarget()
  const clock = createVirtualClock()
  const proxy = await startFaultProxy({ target: target.url, clock, random: seededRandom(1), ...options })
  onTestFinished(() => proxy.close())
  return { target, proxy, clock }
}

describe('R198: the fault proxy', () => {
  test('without a fault, forwards method, path, headers and body, and the answer, as they are', async () => {
    const { target, proxy } = await startBoth()
    const heard = await callRaw(proxy.url, 'PATCH', '/a%20b/1?x=1&x=2', {
      body: { name: 'Ada' },
      headers: { 'X-Mixed-Case': 'Kept', 'x-correlation-id': 'c1', 'idempotency-key': 'k1' },
    })
    expect(heard.raw).toMatch(/^HTTP\/1\.1 201 Made\r\n/)
    expect(heard.raw).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n')
    expect(heard.raw).toContain('{"bytes":14}')
    const { request, body } = target.received[0] as Received
    expect([request.method, request.url, body.toString()]).toEqual(['PATCH', '/a%20b/1?x=1&x=2', '{"name":"Ada"}'])
    expect(request.rawHeaders.join(' ')).toContain('X-Mixed-Case Kept')
    expect(request.headers.host).toBe(new URL(target.url).host)
    expect(proxy.forwarded).toMatchObject([
      {
        method: 'PATCH',
        path: '/a%20b/1?x=1&x=2',
        body: '{"name":"Ada"}',
        status: 201,
        correlationId: 'c1',
        idempotencyKey: 'k1',
      },
    ])
  })

  test('streams large bodies of unknown length, and records their beginning', async () => {
    const { target, proxy } = await startBoth()
    const piece = new Uint8Array(100_000).fill(97)
    let pieces = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pieces++ < 20) controller.enqueue(piece)
        else controller.close()
      },
    })
    const response = await fetch(proxy.url, { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(await response.json()).toEqual({ bytes: 2_000_000 })
    expect(target.received[0]?.request.headers['transfer-encoding']).toBe('chunked')
    expect(proxy.forwarded[0]?.body.length).toBe(65_536)
  })

  test('requests without a body stay without one', async () => {
    const { target, proxy } = await startBoth()
    for (const method of ['GET', 'DELETE', 'HEAD']) expect((await callRaw(proxy.url, method, '/x')).status).toBe(201)
    for (const { request } of target.received) {
      expect(request.headers['content-length'] ?? request.headers['transfer-encoding']).toBeUndefined()
    }
  })

  test('resets before forwarding leave no trace at the target; a lost answer does', async () => {
    const { target, proxy } = await startBoth()
    proxy.script('POST /x', ['reset_before_reading', 'reset_before_executing', 'executed_then_reset', 'ok'])
    const ended = []
    for (let nth = 1; nth <= 4; nth++) {
      const heard = await callRaw(proxy.url, 'POST', '/x', { body: { nth } })
      ended.push([heard.ended === 'reset', heard.status || 0, proxy.forwarded.length])
    }
    expect(ended).toEqual([
      [true, 0, 0],
      [true, 0, 0],
      [true, 0, 1],
      [false, 201, 2],
    ])
    expect(target.received.map(({ body }) => body.toString())).toEqual(['{"nth":3}', '{"nth":4}'])
  })

  test('a rule may name a template that nothing named before, and ends when it is disposed of', async () => {
    const { proxy } = await startBoth()
    const status = async () => (await callRaw(proxy.url, 'GET', '/users/7')).status
    {
      using _broken = proxy.disturb({ fault: { kind: 'status', status: 500 }, route: 'GET /users/{id}' })
      expect(await status()).toBe(500)
    }
    expect(await status()).toBe(201)
    expect(proxy.requests.byRoute.get('GET /users/{id}')).toBe(2)
  })

  test('answers by itself, spoils answers, delays and repeats', async () => {
    const { target, proxy, clock } = await startBoth({
      faults: [
        { fault: { kind: 'status', status: 429, headers: { 'retry-after': '3' } }, route: 'GET /users/{id}', nth: 1 },
      ],
    })
    const limited = await callRaw(proxy.url, 'GET', '/users/17?full=1')
    expect([limited.status, limited.headers['retry-after'], target.received.length]).toEqual([429, '3', 0])
    expect([...proxy.requests.byRoute]).toEqual([['GET /users/{id}', 1]])

    proxy.script('POST /x', ['truncated_body', 'html_ok', 'duplicated_execution', { kind: 'delay', delay: '9s' }])
    const truncated = await callRaw(proxy.url, 'POST', '/x', { body: {} })
    expect(truncated).toMatchObject({ status: 201, ended: 'closed' })
    expect(truncated.body.length).toBeLessThan(Number(truncated.headers['content-length']))
    expect((await callRaw(proxy.url, 'POST', '/x', { body: {} })).headers['content-type']).toContain('text/html')
    expect(target.received).toHaveLength(2)
    expect((await callRaw(proxy.url, 'POST', '/x', { body: {} })).body).toContain('"bytes":2')
    expect(target.received).toHaveLength(4)
    const delayed = callRaw(proxy.url, 'POST', '/x', { body: {} })
    await clock.whenPending()
    expect(target.received).toHaveLength(4)
    await clock.advance(9000)
    expect((await delayed).status).toBe(201)
  })

  test('a target that is gone is a 502 that says so, and one that breaks off is broken off', async () => {
    const { target, proxy } = await startBoth()
    target.server.removeAllListeners('request')
    target.server.on('request', (request, response) => {
      if (request.url === '/cut')
        response.writeHead(200, { 'content-length': 100 }).write('part', () => response.destroy())
      else request.socket.destroy()
    })
    const gone = await callRaw(proxy.url, 'GET', '/x')
    expect([gone.status, JSON.parse(gone.body).code]).toEqual([502, 'target_failed'])
    expect(await callRaw(proxy.url, 'GET', '/cut')).toMatchObject({ status: 200, body: 'part' })
    await proxy.until(() => proxy.requests.byOutcome.get('failed') === 2)
  })

  test('a target that is no address is refused', async () => {
    const start = (target: string): Promise<FaultProxy> =>
      startFaultProxy({ target, clock: createVirtualClock(), random: seededRandom(1) })
    for (const target of ['localhost:3000', 'ftp://x', '']) {
      await expect(start(target)).rejects.toMatchObject({ code: 'invalid_target' })
    }
  })
})
