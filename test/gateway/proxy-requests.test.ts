/** What of a request reaches the API, and what does not. */
import http from 'node:http'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { raw, rawRequest } from '../support/raw-http.ts'
import { openProxy, started, upstream } from './support/proxy-bench.ts'

describe('the proxy', () => {
  test('method, path, query, headers and body arrive as they were sent', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base` } })
    const path = "/a%2Fb/c%20d;x=1/%7B?q=a+b%20c&q='x'&empty=&path=/../b"
    const headers = [
      'content-type: text/x-odd; a=b',
      'x-twice: 1',
      'X-Twice: 2',
      'cookie: a=1; b=2',
      'content-length: 5',
    ]
    const head = rawRequest(`PATCH /proxy/crm${path}`, headers)
    const { status } = await raw(proxy.port, `${head}h\xe9llo`)
    expect(status).toBe(200)
    expect(api.seen).toHaveLength(1)
    const [seen] = api.seen
    expect(seen).toMatchObject({ method: 'PATCH', url: `/base${path}` })
    expect(seen?.headers).toMatchObject({
      'content-type': 'text/x-odd; a=b',
      'x-twice': '1, 2',
      cookie: 'a=1; b=2',
      'content-length': '5',
      host: api.url.slice(7),
      via: '1.1 holdfast',
    })
  })

  test('RFC 9110, 7.6.1: headers of the connection, and those it names, stay here', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const own = ['te: trailers', 'keep-alive: timeout=5', 'x-own-hop: 1', 'proxy-authorization: Basic eA==']
    const ours = ['x-holdfast-timeout: 5s', 'x-forwarded-for: 10.0.0.1', 'forwarded: for=10.0.0.1', 'x-keep: yes']
    const head = rawRequest('GET /proxy/crm/x', [...own, ...ours, 'upgrade: websocket'])
    await raw(proxy.port, head.replace('connection: close', 'connection: close, X-Own-Hop, upgrade'))
    const names = Object.keys(api.seen[0]?.headers ?? {})
    expect(names).toContain('x-keep')
    for (const name of [
      'te',
      'x-own-hop',
      'proxy-authorization',
      'x-holdfast-timeout',
      'x-forwarded-for',
      'forwarded',
      'upgrade',
    ]) {
      expect(names).not.toContain(name)
    }
  })

  test('rule 7: the credential for Holdfast goes no further; that of the integration goes with the call', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({
      bearer: { baseUrl: api.url, auth: { type: 'bearer', token: 'the-real-token' } },
      keyed: { baseUrl: api.url, auth: { type: 'header', name: 'X-Api-Key', value: 'the-real-key' } },
    })
    const headers = {
      authorization: 'Bearer for-holdfast',
      'x-api-key': 'for-holdfast',
      'x-holdfast-upstream-authorization': 'Bearer smuggled',
    }
    await fetch(`${proxy.url}/proxy/bearer/x`, { headers })
    await fetch(`${proxy.url}/proxy/keyed/x`, { headers })
    expect(api.seen[0]?.headers['authorization']).toBe('Bearer the-real-token')
    expect(api.seen[1]?.headers).toMatchObject({ 'x-api-key': 'the-real-key' })
    expect(api.seen[1]?.headers).not.toHaveProperty('authorization')
    expect(JSON.stringify(api.seen[1])).not.toMatch(/for-holdfast|smuggled/)
  })

  test('a caller may bring a credential of its own where that is allowed', async () => {
    await using api = await upstream()
    const integration = { baseUrl: api.url, auth: { type: 'bearer', token: 'the-real-token' } } as const
    await using proxy = await openProxy(
      { open: integration, closed: integration },
      { callersCredential: (name) => name === 'open' },
    )
    const headers = { authorization: 'Bearer for-holdfast', 'x-holdfast-upstream-authorization': 'Bearer own' }
    await fetch(`${proxy.url}/proxy/open/x`, { headers })
    await fetch(`${proxy.url}/proxy/closed/x`, { headers })
    expect(api.seen.map((seen) => seen.headers['authorization'])).toEqual(['Bearer own', 'Bearer the-real-token'])
  })

  test('a long upload goes through as it comes, with its length, and is sent once', async () => {
    let read = 0
    await using api = await upstream((_request, response, echo) => {
      read = echo.body.length
      response.writeHead(503).end()
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const piece = Buffer.alloc(256 * 1024, 'x')
    const body = Readable.toWeb(Readable.from(Array.from({ length: 24 }, () => piece)))
    const length = String(piece.length * 24)
    const answer = await fetch(`${proxy.url}/proxy/crm/upload`, {
      ...{ method: 'PUT', body: body as ReadableStream<Uint8Array>, duplex: 'half' },
      headers: { 'content-length': length },
    } as RequestInit)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('x-holdfast-attempts')).toBe('1')
    expect(read).toBe(piece.length * 24)
    expect(api.seen).toHaveLength(1)
    expect(api.seen[0]?.headers['content-length']).toBe(length)
  })

  test('a refusal in the middle of a long upload reaches the caller', async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(413, { 'content-type': 'text/plain', connection: 'close' }).end('too long')
    })
    await using api = await started(server)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const piece = Buffer.alloc(64 * 1024, 'x')
    const body = Readable.toWeb(Readable.from(Array.from({ length: 100 }, () => piece)))
    const answer = await fetch(`${proxy.url}/proxy/crm/upload`, {
      ...{ method: 'POST', body: body as ReadableStream<Uint8Array>, duplex: 'half' },
    } as RequestInit)
    // Whether the refusal is read before the connection breaks is for the network to say: never is it a success, or a crash.
    expect([413, 502]).toContain(answer.status)
    await answer.text()
    expect(proxy.troubles).toEqual([])
    expect((await fetch(`${proxy.url}/proxy/crm/x`)).status).toBe(413)
  })

  test('a short body is sent again where that is safe', async () => {
    await using api = await upstream((_request, response, echo) => {
      response.writeHead(api.seen.length < 3 ? 503 : 200, { 'content-type': 'text/plain' }).end(echo.body)
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await fetch(`${proxy.url}/proxy/crm/x`, { method: 'PUT', body: 'hello' })
    expect(await answer.text()).toBe('hello')
    expect(answer.headers.get('x-holdfast-attempts')).toBe('3')
    expect(answer.headers.get('x-holdfast-breaker')).toBe('closed')
  })

  test('an upload in chunks of unknown length arrives', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const head = rawRequest('POST /proxy/crm/x', ['transfer-encoding: chunked', 'trailer: x-sum'])
    await raw(proxy.port, `${head}5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n`)
    expect(api.seen[0]?.body).toBe('hello')
    expect(api.seen[0]?.headers).not.toHaveProperty('x-sum')
  })

  test('traces and correlation go on', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const headers = { traceparent, 'x-correlation-id': 'order-7' }
    const answer = await fetch(`${proxy.url}/proxy/crm/x`, { headers })
    expect(answer.headers.get('x-correlation-id')).toBe('order-7')
    expect(api.seen[0]?.headers).toMatchObject({ 'x-correlation-id': 'order-7', traceparent })
    const other = await fetch(`${proxy.url}/proxy/crm/x`, {
      headers: { 'x-correlation-id': 'no good: too many words' },
    })
    expect(other.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
})
