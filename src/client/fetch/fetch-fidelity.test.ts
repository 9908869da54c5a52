/**
 * `hf.fetch` beside the platform's own `fetch`, against one server: what a caller can see must be the same, case by case.
 * Where it differs on purpose, the last part says how.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../system/system-clock.ts'
import { type TestParts, testIntegration, testParts } from '../test-kit.ts'
import { createFetch } from './fetch-adapter.ts'

type Fetch = typeof globalThis.fetch
type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

let parts: TestParts
let base: string
let ours: Fetch
const server = createServer(async (request, response) => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  const path = (request.url ?? '').split('?')[0] as string
  const answer = ANSWERS[path] ?? echo
  answer(request, response, Buffer.concat(pieces))
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  parts = await testParts(systemClock)
  const { defaults } = testIntegration(base)
  // One attempt each: the platform makes no more either.
  const once = { ...defaults, retry: { ...defaults.retry, maxAttempts: 1 } }
  ours = createFetch(parts, testIntegration(base, { auth: { type: 'none' }, defaults: withoutBreaker(once) }))
})

afterAll(async () => {
  await parts[Symbol.asyncDispose]()
  server.closeAllConnections()
  server.close()
})

function withoutBreaker<Settings extends { breaker: object }>(settings: Settings): Settings {
  return { ...settings, breaker: { ...settings.breaker, consecutiveFailures: 1000, minimumCalls: 1000 } }
}

const echo: Answer = ({ method, url, headers }, response, body) => {
  const { 'content-type': type, 'content-length': length, 'x-custom': custom, authorization, cookie } = headers
  response.writeHead(200, { 'content-type': 'application/json' })
  // The boundary of a form is drawn by chance.
  const plain = body.toString('latin1').replaceAll(/-{4,}\S+/g, 'BOUNDARY')
  const shown = { method, url, type: type?.replace(/boundary=.*/, 'boundary'), length: length && true, custom }
  response.end(JSON.stringify({ ...shown, authorization, cookie, body: plain }))
}

const redirect =
  (status: number, location: string): Answer =>
  (_request, response) =>
    response.writeHead(status, { location }).end('moved')

const encoded =
  (encoding: string, bytes: Buffer): Answer =>
  (_request, response) =>
    response.writeHead(200, { 'content-encoding': encoding, 'content-type': 'text/plain' }).end(bytes)

const TEXT = 'a text that is worth compressing, '.repeat(50)
const ANSWERS: Record<string, Answer> = {
  '/cookies': (_request, response) =>
    response
      .writeHead(200, [
        ['set-cookie', 'a=1; Path=/'],
        ['set-cookie', 'b=2, with a comma'],
        ['x-twice', 'one'],
        ['x-twice', 'two'],
      ] as never)
      .end('ok'),
  '/204': (_request, response) => response.writeHead(204, { 'x-kept': '1' }).end(),
  '/205': (_request, response) => response.writeHead(205, { 'content-length': 0 }).end(),
  '/304': (_request, response) => response.writeHead(304, { etag: '"1"' }).end(),
  '/empty': (_request, response) => response.writeHead(200, { 'content-length': 0 }).end(),
  '/404': (_request, response) => response.writeHead(404, { 'content-type': 'text/plain' }).end('nothing here'),
  '/500': (_request, response) => response.writeHead(500).end('broken'),
  '/html': (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'),
  '/gzip': encoded('gzip', gzipSync(TEXT)),
  '/br': encoded('br', brotliCompressSync(TEXT)),
  '/deflate': encoded('deflate', deflateSync(TEXT)),
  '/not-gzip': encoded('gzip', Buffer.from('this is not gzip')),
  '/301': redirect(301, '/echo?from=301'),
  '/302': redirect(302, 'echo?from=302'),
  '/303': redirect(303, '/echo?from=303'),
  '/307': redirect(307, '/echo?from=307'),
  '/308': redirect(308, '/301'),
  '/loop': redirect(302, '/loop'),
  '/no-location': (_request, response) => response.writeHead(302).end('nowhere'),
  '/with-credentials': (request, response) =>
    response.writeHead(302, { location: `http://user:secret@${request.headers.host}/echo` }).end(),
  '/reset': (request) => request.socket.resetAndDestroy(),
  '/cut': (request, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('the beginning')
    systemClock.nextTurn(() => request.socket.destroy())
  },
}

/** What a caller can see of a call. */
async function seen(fetch: Fetch, path: string, init?: RequestInit, asRequest = false): Promise<unknown> {
  let response: Response
  try {
    response = await (asRequest ? fetch(new Request(base + path, init)) : fetch(base + path, init))
  } catch (error) {
    return { threw: shapeOf(error) }
  }
  const { status, statusText, ok, url, redirected, headers } = response
  const kept = Object.fromEntries([...headers].filter(([name]) => !DIFFERENT_HEADERS.includes(name)))
  const shown = { status, statusText, ok, url: url.replace(base, ''), redirected, hasBody: response.body !== null }
  const cookies = headers.getSetCookie()
  try {
    const copy = response.clone()
    const text = await response.text()
    return { ...shown, headers: kept, cookies, text, same: (await copy.text()) === text, used: response.bodyUsed }
  } catch (error) {
    return { ...shown, bodyThrew: shapeOf(error) }
  }
}

/** Of the connection, or about a body that is decoded by now; and what Holdfast adds. */
const DIFFERENT_HEADERS = [
  ...['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-encoding', 'content-length', 'set-cookie'],
  ...['x-should-retry', 'stripe-should-retry'],
]

function shapeOf(error: unknown): object {
  const { name, message } = error as Error
  return { name, isTypeError: error instanceof TypeError, isAbort: name === 'AbortError', message: stable(message) }
}

/** The platform's messages name the URL, or say more. */
function stable(message: string): string {
  return message.startsWith('Request cannot be constructed from a URL that includes credentials')
    ? 'credentials'
    : message
}

function form(): FormData {
  const data = new FormData()
  data.set('field', 'value')
  data.set('file', new Blob(['content'], { type: 'text/plain' }), 'name.txt')
  return data
}

const streamed = () => ReadableStream.from([Buffer.from('in '), Buffer.from('pieces')]) as ReadableStream
const failing = () =>
  new ReadableStream({
    pull() {
      throw new Error('the disk is gone')
    },
  })
const half = (init: RequestInit): RequestInit => ({ ...init, duplex: 'half' }) as RequestInit

const CASES: Record<string, [path: string, init?: () => RequestInit]> = {
  'a GET with a query and a fragment': ['/echo?q=a%20b&q=c#part'],
  'a path with letters outside ASCII': ['/écho/日本?ü=ö'],
  'headers as an object': ['/echo', () => ({ headers: { 'X-Custom': '1' } })],
  'headers as Headers': ['/echo', () => ({ headers: new Headers([['x-custom', '1, 2']]) })],
  'headers as pairs, repeated': ['/echo', () => ({ headers: [['x-custom', '1'], ['x-custom', '2']] })], // biome-ignore format: one line
  'a method in lower case': ['/echo', () => ({ method: 'post', body: 'x' })],
  text: ['/echo', () => ({ method: 'POST', body: 'text with ünïcode' })],
  'an empty text': ['/echo', () => ({ method: 'POST', body: '' })],
  'a POST without a body': ['/echo', () => ({ method: 'POST' })],
  URLSearchParams: ['/echo', () => ({ method: 'POST', body: new URLSearchParams({ a: '1', b: 'ü' }) })],
  'a Blob': ['/echo', () => ({ method: 'PUT', body: new Blob(['blob'], { type: 'image/png' }) })],
  'a Blob with a content-type of its own': [
    '/echo',
    () => ({ method: 'PUT', body: new Blob(['blob'], { type: 'image/png' }), headers: { 'content-type': 'a/b' } }),
  ],
  bytes: ['/echo', () => ({ method: 'PATCH', body: new Uint8Array([1, 2, 255]) })],
  'an ArrayBuffer': ['/echo', () => ({ method: 'POST', body: new Uint8Array([0, 128]).buffer })],
  'a DataView': ['/echo', () => ({ method: 'POST', body: new DataView(new Uint8Array([7, 8, 9]).buffer, 1) })],
  'a form': ['/echo', () => ({ method: 'POST', body: form() })],
  'a stream': ['/echo', () => half({ method: 'POST', body: streamed() })],
  'a stream that fails': ['/echo', () => half({ method: 'POST', body: failing() })],
  'a DELETE with a body': ['/echo', () => ({ method: 'DELETE', body: '{}' })],
  'a GET with a body is refused': ['/echo', () => ({ method: 'GET', body: 'x' })],
  'a wrong header is refused': ['/echo', () => ({ headers: { 'x-wrong': 'line\nbreak' } })],
  HEAD: ['/echo', () => ({ method: 'HEAD' })],
  'HEAD of something that is not there': ['/404', () => ({ method: 'HEAD' })],
  'HEAD of something compressed': ['/gzip', () => ({ method: 'HEAD' })],
  OPTIONS: ['/echo', () => ({ method: 'OPTIONS' })],
  'several cookies and repeated headers': ['/cookies'],
  'no content': ['/204'],
  'reset content': ['/205'],
  'not modified': ['/304', () => ({ headers: { 'if-none-match': '"1"' } })],
  'an empty body': ['/empty'],
  'a 404': ['/404'],
  'a 500': ['/500', () => ({ method: 'POST', body: 'x' })],
  'a page, where pages are welcome': ['/html'],
  gzip: ['/gzip'],
  brotli: ['/br'],
  deflate: ['/deflate'],
  '301 after GET': ['/301'],
  '301 after POST becomes GET': ['/301', () => ({ method: 'POST', body: 'x', headers: { 'content-type': 'a/b' } })],
  '301 after PUT stays PUT': ['/301', () => ({ method: 'PUT', body: 'x' })],
  '302 to a relative address': ['/302'],
  '302 after POST becomes GET': ['/302', () => ({ method: 'POST', body: form() })],
  '303 after PUT becomes GET': ['/303', () => ({ method: 'PUT', body: 'x' })],
  '303 after HEAD stays HEAD': ['/303', () => ({ method: 'HEAD' })],
  '307 keeps method, body and headers': [
    '/307',
    () => ({ method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json', 'x-custom': 'kept' } }),
  ],
  '307 with a form': ['/307', () => ({ method: 'POST', body: form() })],
  '307 with a stream is refused': ['/307', () => half({ method: 'POST', body: streamed() })],
  '303 with a stream is not': ['/303', () => half({ method: 'POST', body: streamed() })],
  'a chain of redirects': ['/308'],
  'a redirect with a fragment': ['/301#part'],
  'a redirect without an address': ['/no-location'],
  'a redirect to an address with credentials': ['/with-credentials'],
  'endless redirects': ['/loop'],
  'redirect: error': ['/301', () => ({ redirect: 'error' })],
  'redirect: error, and none': ['/304', () => ({ redirect: 'error' })],
  'redirect: manual': ['/301', () => ({ redirect: 'manual' })],
  'a signal that is aborted already': ['/echo', () => ({ signal: AbortSignal.abort() })],
  'a connection that breaks': ['/reset', () => ({ method: 'POST', body: 'x' })],
  'a body that breaks off': ['/cut'],
  'a body that is not what it says': ['/not-gzip'],
}

describe('the same as the platform', () => {
  test.each(Object.entries(CASES))('%s', async (_name, [path, init]) => {
    expect(await seen(ours, path, init?.())).toEqual(await seen(globalThis.fetch, path, init?.()))
  })

  // The stream in a Request does not show: it is read before it is sent, as far as it can be sent again then.
  const asRequests = Object.entries(CASES).filter(([name]) => !name.includes('refused') && name !== 'a stream')
  test.each(asRequests)('%s, as a Request', async (_name, [path, init]) => {
    expect(await seen(ours, path, init?.(), true)).toEqual(await seen(globalThis.fetch, path, init?.(), true))
  })

  test('credentials in a URL are refused', async () => {
    const url = base.replace('//', '//user:secret@')
    const refusal = async (fetch: Fetch) => shapeOf(await fetch(`${url}/echo`).catch((error: unknown) => error))
    expect(await refusal(ours)).toMatchObject({ isTypeError: true, message: 'credentials' })
    expect(await refusal(globalThis.fetch)).toMatchObject({ isTypeError: true })
  })

  test('a body that was used cannot be sent', async () => {
    const request = new Request(`${base}/echo`, { method: 'POST', body: 'x' })
    await request.text()
    await expect(ours(request)).rejects.toThrow(TypeError)
  })

  test('an abort ends a call whose body is still being read', async () => {
    for (const fetch of [ours, globalThis.fetch]) {
      const controller = new AbortController()
      const cancelled = Promise.withResolvers<unknown>()
      const reading = Promise.withResolvers<void>()
      const body = new ReadableStream({
        pull() {
          reading.resolve()
          return new Promise(() => {})
        },
        cancel: (reason) => cancelled.resolve(reason),
      })
      const request = new Request(`${base}/echo`, half({ method: 'POST', body }))
      const call = fetch(request, { signal: controller.signal }).catch((thrown: unknown) => thrown)
      await reading.promise
      const reason = new Error('enough')
      controller.abort(reason)
      expect(await call).toBe(reason)
      // The platform leaves the body as it is.
      if (fetch === ours) expect(await cancelled.promise).toBe(reason)
    }
  })

  test('a Request that is sent is used, and its signal counts', async () => {
    const request = new Request(`${base}/echo`, { method: 'POST', body: 'x' })
    await ours(request)
    expect(request.bodyUsed).toBe(true)
    const controller = new AbortController()
    controller.abort(new Error('enough'))
    await expect(ours(new Request(`${base}/echo`, { signal: controller.signal }))).rejects.toThrow('enough')
  })
})

describe('different on purpose', () => {
  test('errors carry what is known: code, class and certainty', async () => {
    const error = (await ours(`${base}/reset`, { method: 'POST' }).catch((thrown: unknown) => thrown)) as TypeError
    expect(error).toMatchObject({ cause: { code: 'ECONNRESET', class: 'transient', certainty: 'maybe_applied' } })
    const response = await ours(`${base}/cut`, { method: 'POST' })
    const broken = (await response.text().catch((thrown: unknown) => thrown)) as TypeError
    expect(broken).toMatchObject({ message: 'terminated', cause: { class: 'transient', certainty: 'maybe_applied' } })
  })

  test('R027: a page where only JSON was asked for is an error, not a result', async () => {
    const headers = { accept: 'application/json' }
    const write = ours(`${base}/html`, { method: 'POST', headers }).catch((thrown: unknown) => thrown)
    expect(await write).toMatchObject({ cause: { code: 'html_response', certainty: 'applied' } })
    const read = ours(`${base}/html`, { headers }).catch((thrown: unknown) => thrown)
    expect(await read).toMatchObject({ cause: { class: 'malformed_response', certainty: 'not_sent' } })
  })
})
