/** Requests that mean harm: none leaves the base URL, reaches another host, brings a header of its own, or hurts the proxy. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkProxyPath, proxyTarget } from '../../src/gateway/proxy/target.ts'
import { raw, rawRequest } from '../support/raw-http.ts'
import { openProxy, upstream } from './support/proxy-bench.ts'

const REFUSED_PATHS = [
  '/../secret',
  '/..',
  '/a/../../secret',
  '/a/..',
  '/.',
  '/%2e%2e/secret',
  '/.%2E/secret',
  '/a%2f..%2fsecret',
  '/a%2F%2e%2e%2Fsecret',
  '/..%5csecret',
  '/a\\..\\secret',
  '/\\evil.example',
  '/%252e%252e/secret',
  '/%25252e%25252e%25252fsecret',
  '/..;/secret',
  '/..;a=b/secret',
  '/%2e%2e;/secret',
  '//evil.example/x',
  '///evil.example',
  '/a%00b',
  '/a%2500b',
  '/a%0d%0aHost:%20evil',
  '/a%0ab',
  '/a%7fb',
  '/%zz',
  '/%',
  '/a%2',
]
const REFUSED_LINES = [
  'GET http://evil.example/proxy/crm/x',
  'GET //evil.example/proxy/crm/x',
  'GET /proxy/crm@evil.example/x',
  'GET /proxy/crm%2f..%2f..%2fv1/x',
  'GET /proxy/../x',
  'GET /proxy//x',
  'GET /proxy/%63rm/x',
  'OPTIONS *',
  'CONNECT evil.example:443',
  'TRACE /proxy/crm/x',
  'TRACK /proxy/crm/x',
]
const SMUGGLING = [
  ['content-length: 5', 'transfer-encoding: chunked'],
  ['content-length: 5', 'content-length: 6'],
  ['content-length: +5'],
  ['content-length: 0x5'],
  ['transfer-encoding: xchunked'],
  ['transfer-encoding: chunked, identity'],
  ['transfer-encoding : chunked'],
  ['x-a: b\rx-c: d'],
  ['x-a: b\nhost: evil\0'],
  [' x-folded: 1'],
  [`x-huge: ${'x'.repeat(64 * 1024)}`],
]

describe('the proxy', () => {
  test('a corpus of hostile requests', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base` } })
    const lines = [...REFUSED_PATHS.map((path) => `GET /proxy/crm${path}`), ...REFUSED_LINES]
    for (const line of lines) {
      const { status } = await raw(proxy.port, rawRequest(line))
      // 0: Node has closed the connection of a CONNECT without a word.
      expect([0, 400, 404, 405], line).toContain(status || 0)
    }
    for (const headers of SMUGGLING) {
      const smuggled = 'GET /proxy/crm/smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
      const { status } = await raw(proxy.port, `${rawRequest('POST /proxy/crm/x', headers)}0\r\n\r\n${smuggled}`)
      expect([400, 431], headers.join().slice(0, 50)).toContain(status)
    }
    expect(api.seen).toEqual([])
    expect(proxy.troubles).toEqual([])
    const { status } = await raw(proxy.port, rawRequest('GET /proxy/crm/still/there'))
    expect(status).toBe(200)
  })

  test('a prototype is no header, and Host chooses nothing', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base` } })
    const own = ['__proto__: polluted', 'constructor: c', 'x-forwarded-host: evil.example', 'x-original-url: /secret']
    const request = rawRequest('GET /proxy/crm/x', own).replace('host: 127.0.0.1', 'host: evil.example')
    expect((await raw(proxy.port, request)).status).toBe(200)
    expect(api.seen[0]?.headers['host']).toBe(api.url.slice(7))
    expect(api.seen[0]?.rawHeaders.join()).not.toMatch(/polluted|evil|secret/)
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

/** Pieces that attacks are made of, among harmless ones. */
const piece = fc.constantFrom(
  ...['/', '//', '.', '..', '%2e', '%2E', '%2f', '%5c', '%25', '%252e', '%252f', ';', ';a=b', '\\', '%00', '%0d%0a'],
  ...[
    '?',
    '#',
    '@',
    ':',
    'a',
    'evil.example',
    'x y',
    '%',
    '%u002e',
    '%c0%ae',
    'é',
    '\t',
    '*',
    '%ff',
    '~',
    'http://evil',
  ],
)
const hostilePath = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

test('whatever path is let through stays below the base URL, however often it is decoded', () => {
  let passed = 0
  fc.assert(
    fc.property(hostilePath, (path) => {
      try {
        checkProxyPath(path)
      } catch (error) {
        expect((error as { code?: string }).code).toBe('invalid_path')
        return
      }
      passed += 1
      let plain = path.split('?')[0] as string
      for (let round = 0; round < 4; round++) {
        const url = URL.parse(`https://api.example/base${plain.replaceAll(/;[^/]*/g, '')}`)
        expect(url?.host).toBe('api.example')
        expect(url?.pathname === '/base' || url?.pathname.startsWith('/base/')).toBe(true)
        expect(plain).not.toMatch(/(?:^|[/\\])\.\.?(?:[/\\;]|$)/)
        plain = plain.replaceAll(/%(?:2e|2f|5c|25)/gi, (sign) => decodeURIComponent(sign))
      }
    }),
    { numRuns: 100_000 },
  )
  expect(passed).toBeGreaterThan(1000)
})

test('any request line names a configured integration, or nothing', () => {
  fc.assert(
    fc.property(fc.oneof(hostilePath, fc.string()), (path) => {
      const target = proxyTarget(`/proxy/${path}`)
      if (target) expect(target.integration).toMatch(/^\w[\w.-]*$/)
    }),
    { numRuns: 20_000 },
  )
})

const headerName = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/)
const headerValue = fc.stringMatching(/^[\x20-\x7e]{0,40}$/)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PROPFIND', 'OPTIONS')
const request = fc.record({
  method,
  path: hostilePath,
  headers: fc.array(fc.tuple(headerName, headerValue), { maxLength: 6 }),
  body: fc.constantFrom(undefined, '', 'x', '{"__proto__":{"polluted":1}}'),
})

test('over sockets: no crash, no answer of 5xx that is not meant, nothing outside the base URL, no leak', async () => {
  await using api = await upstream()
  const auth = { type: 'bearer', token: 'the-real-token' } as const
  await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base`, auth } })
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, headers, body }) => {
      const own = headers.map(([name, value]) => `${name}: ${value}`)
      const length = body === undefined ? [] : [`content-length: ${body.length}`]
      const line = `${method} /proxy/crm${path.replaceAll(/[\r\n]/g, '')}`
      const head = rawRequest(line, [...own, ...length, 'authorization: Bearer for-holdfast'])
      const answer = await raw(proxy.port, head + (body ?? ''))
      expect(answer.status).toBeLessThan(500)
      expect(proxy.troubles).toEqual([])
    }),
    { numRuns: 400, endOnFailure: true },
  )
  expect(api.seen.length).toBeGreaterThan(20)
  for (const { url, headers } of api.seen) {
    expect(url === '/base' || /^\/base[/?]/.test(url)).toBe(true)
    expect(headers['authorization']).toBe('Bearer the-real-token')
    expect(JSON.stringify(headers)).not.toContain('for-holdfast')
  }
})
