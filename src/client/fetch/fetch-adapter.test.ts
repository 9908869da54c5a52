import { describe, expect, test } from 'vitest'
import type { IntegrationSettings } from '../../config/settings.ts'
import { systemClock } from '../../system/system-clock.ts'
import {
  HTTP_OK,
  jsonServer,
  rawServer,
  type TestServer,
  testEndpoint,
  testIntegration,
  testParts,
} from '../test-kit.ts'
import { createFetch } from './fetch-adapter.ts'

async function using(server: TestServer, overrides: Partial<IntegrationSettings> = {}) {
  const parts = await testParts(systemClock)
  return { parts, fetch: createFetch(parts, testIntegration(server.url, overrides)) }
}

const thrownBy = (promise: Promise<unknown>): Promise<Record<string, unknown>> =>
  promise.then(
    () => {
      throw new Error('expected it to fail')
    },
    (error: unknown) => error as Record<string, unknown>,
  )

describe('the WHATWG contract', () => {
  test('takes a string, a URL or a Request, and gives a real Response', async () => {
    await using server = await jsonServer(({ method, url, body, headers }) => ({
      headers: { 'set-cookie': 'a=1' },
      body: { method, url, body, type: headers['content-type'], custom: headers['x-custom'] },
    }))
    const { fetch } = await using(server)
    const init = { method: 'POST', body: '{"a":1}', headers: { 'X-Custom': '1', 'content-type': 'application/json' } }
    const inputs: [string | URL | Request, RequestInit?][] = [
      [`${server.url}/v1/x?q=1`, init],
      [new URL(`${server.url}/v1/x?q=1`), init],
      [new Request(`${server.url}/v1/x?q=1`, init)],
      [new Request(`${server.url}/v1/x?q=1`), init],
    ]
    for (const [input, options] of inputs) {
      const response = await fetch(input, options)
      expect(response).toBeInstanceOf(Response)
      expect(response).toMatchObject({ ok: true, status: 200, statusText: 'OK', url: `${server.url}/v1/x?q=1` })
      expect(response.headers.getSetCookie()).toEqual(['a=1'])
      expect(await response.json()).toEqual({
        method: 'POST',
        url: '/v1/x?q=1',
        body: '{"a":1}',
        type: 'application/json',
        custom: '1',
      })
    }
  })

  test('forms, blobs and streams are sent as fetch sends them', async () => {
    await using server = await jsonServer(({ body, headers }) => ({ body: { body, type: headers['content-type'] } }))
    const { fetch } = await using(server)
    const send = async (body: NonNullable<RequestInit['body']>) =>
      (await fetch(`${server.url}/x`, { method: 'POST', body, duplex: 'half' } as RequestInit)).json() as Promise<{
        body: string
        type: string
      }>
    const form = new FormData()
    form.set('a', 'b')
    expect(await send(form)).toMatchObject({ body: expect.stringContaining('name="a"') })
    expect((await send(form)).type).toMatch(/^multipart\/form-data; boundary=/)
    expect(await send(new URLSearchParams({ a: '1' }))).toMatchObject({ body: 'a=1' })
    expect(await send(new Blob(['blob'], { type: 'text/x' }))).toMatchObject({ body: 'blob', type: 'text/x' })
    expect(await send(ReadableStream.from([Buffer.from('streamed')]) as ReadableStream)).toMatchObject({
      body: 'streamed',
    })
  })

  test('a body arrives as a stream, while it is still being sent', async () => {
    let finish = () => {}
    await using server = await rawServer(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n')
      finish = () => socket.write('4\r\nlast\r\n0\r\n\r\n')
    })
    const { fetch } = await using(server)
    const reader = (await fetch(`${server.url}/x`)).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first')
    finish()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last')
    expect((await reader?.read())?.done).toBe(true)
  })

  test('an answer without a body is one', async () => {
    await using server = await rawServer(({ socket }) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    const { fetch } = await using(server)
    const response = await fetch(`${server.url}/x`, { method: 'DELETE' })
    expect(response).toMatchObject({ status: 204, body: null })
  })

  test('a network failure is TypeError("fetch failed") with the cause', async () => {
    await using server = await rawServer(({ socket }) => socket.resetAndDestroy())
    const { fetch } = await using(server)
    const error = await thrownBy(fetch(`${server.url}/x`, { method: 'POST', body: 'x' }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      message: 'fetch failed',
      cause: { code: 'ECONNRESET', certainty: 'maybe_applied', class: 'transient' },
    })
    expect(server.requests).toHaveLength(1)
  })

  test("abort throws the signal's reason and closes the socket", async () => {
    await using server = await rawServer(() => {})
    const { fetch } = await using(server)
    const controller = new AbortController()
    const call = thrownBy(fetch(`${server.url}/x`, { signal: controller.signal }))
    while (server.requests.length === 0) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await call).toBe(reason)
    await server.allClosed()
    expect(await thrownBy(fetch(`${server.url}/x`, { signal: controller.signal }))).toBe(reason)
    const timedOut = await thrownBy(fetch(`${server.url}/x`, { signal: AbortSignal.timeout(20) }))
    expect(timedOut).toMatchObject({ name: 'TimeoutError' })
  })

  test('an abort while the body is read ends the body with the reason', async () => {
    await using server = await rawServer(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc'),
    )
    const { fetch } = await using(server)
    const controller = new AbortController()
    const response = await fetch(`${server.url}/x`, { signal: controller.signal })
    const text = thrownBy(response.text())
    controller.abort(new Error('enough'))
    expect(await text).toMatchObject({ message: 'enough' })
    await server.allClosed()
  })

  test('redirects are handed over, not followed', async () => {
    await using server = await jsonServer(() => ({
      status: 307,
      headers: { location: 'http://evil.example/' },
      body: {},
    }))
    const { fetch } = await using(server)
    expect(await fetch(`${server.url}/x`)).toMatchObject({ status: 307 })
    expect(await thrownBy(fetch(`${server.url}/x`, { redirect: 'error' }))).toBeInstanceOf(TypeError)
    expect(server.requests).toHaveLength(2)
  })
})

describe('what Holdfast adds', () => {
  test('reads are retried; so are writes with an idempotency key, with body and key as they were', async () => {
    const seen: unknown[] = []
    await using server = await jsonServer(({ number, body, headers }) => {
      seen.push([body, headers['idempotency-key']])
      return number % 2 === 1 ? { status: 500, body: {} } : { body: {} }
    })
    const { fetch } = await using(server)
    expect((await fetch(`${server.url}/x`)).status).toBe(200)
    const headers = { 'Idempotency-Key': 'k1' }
    expect((await fetch(`${server.url}/x`, { method: 'POST', body: 'pay', headers })).status).toBe(200)
    expect(seen.slice(2)).toEqual([
      ['pay', 'k1'],
      ['pay', 'k1'],
    ])
  })

  test('rule 3: a write without a key is not repeated, and the SDK is told not to do it either', async () => {
    await using server = await jsonServer(() => ({ status: 500, body: { message: 'boom', list: 'x'.repeat(400_000) } }))
    const { fetch } = await using(server)
    const response = await fetch(`${server.url}/x`, { method: 'POST', body: 'pay' })
    expect(response.status).toBe(500)
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(((await response.json()) as { list: string }).list).toHaveLength(400_000)
    expect(server.requests).toHaveLength(1)
  })

  test('a streamed request body is sent once, whatever happens', async () => {
    await using server = await jsonServer(() => ({ status: 503, body: {} }))
    const { fetch } = await using(server)
    const body = ReadableStream.from([Buffer.from('x')]) as ReadableStream
    const init = { method: 'PUT', body, duplex: 'half' } as RequestInit
    expect((await fetch(`${server.url}/x`, init)).status).toBe(503)
    expect(server.requests).toHaveLength(1)
  })

  test("the caller's credentials win; ours fill in", async () => {
    await using server = await jsonServer(({ headers }) => ({
      body: {
        authorization: headers.authorization,
        correlation: headers['x-correlation-id'],
        trace: headers['traceparent'],
      },
    }))
    const { fetch } = await using(server)
    const seen = async (headers: Record<string, string>) =>
      (await (await fetch(`${server.url}/x`, { headers })).json()) as Record<string, string>
    expect((await seen({}))['authorization']).toBe('Bearer the-secret-token')
    expect((await seen({ Authorization: 'Bearer own' }))['authorization']).toBe('Bearer own')
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    expect(await seen({ 'X-Correlation-Id': 'c1', traceparent })).toMatchObject({
      correlation: 'c1',
      trace: traceparent,
    })
    expect((await seen({}))['trace']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  test('another origin is refused, so that our credentials never go there', async () => {
    await using server = await jsonServer(() => ({ body: {} }))
    const { fetch } = await using(server)
    const error = await thrownBy(fetch('http://127.0.0.1:1/x'))
    expect(error).toMatchObject({ code: 'foreign_origin', class: 'configuration' })
  })

  test('endpoints below the path of the base URL keep their settings', async () => {
    await using server = await rawServer(() => {})
    const timeouts = { connectMs: 500, headersMs: 80, bodyMs: 500, totalMs: 500 }
    const retry = { ...testEndpoint('GET /slow').retry, maxAttempts: 1 }
    const { fetch } = await using(server, {
      baseUrl: `${server.url}/v1`,
      endpoints: { 'GET /slow/{id}': testEndpoint('GET /slow/{id}', { timeouts, retry }) },
    })
    expect(await thrownBy(fetch(`${server.url}/v1/slow/7`))).toMatchObject({ cause: { code: 'timeout_headers' } })
    expect(server.requests[0]?.head).toContain('GET /v1/slow/7 ')
  })

  test('what holds the call is a TypeError with the cause; nothing is sent', async () => {
    await using server = await jsonServer(() => ({ status: 503, body: {} }))
    const { fetch, parts } = await using(server)
    for (let round = 0; round < 3; round++) await fetch(`${server.url}/x`).catch(() => {})
    const sent = server.requests.length
    expect(await thrownBy(fetch(`${server.url}/x`))).toMatchObject({ cause: { code: 'breaker_open' } })
    expect(server.requests).toHaveLength(sent)
    expect(JSON.stringify(parts.seen)).not.toContain('the-secret-token')
  })

  test('the connection is free again once an answer was read, also after errors and retries', async () => {
    await using server = await rawServer(({ socket, number }) =>
      socket.write(number === 1 ? HTTP_OK('{"message":"later"}').replace('200 OK', '503 Later') : HTTP_OK('{}')),
    )
    const { fetch, parts } = await using(server)
    for (let round = 0; round < 10; round++) await (await fetch(`${server.url}/x`)).text()
    expect(server.openSockets.size).toBeLessThanOrEqual(2)
    await parts[Symbol.asyncDispose]()
    await server.allClosed()
  })
})
