/** Requests that mean harm, by chance: from the corpus, changed; from parts, put together; and several in one go. */
import fc from 'fast-check'
import { corpus } from './corpus.ts'

/** What is written to one connection, piece by piece (`latin1`). */
export type HostileRequest = readonly string[]

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND', 'TRACE', 'QUERY'] as const
const PATHS = [
  '/webhooks/github',
  '/webhooks/nobody',
  '/proxy/crm/things',
  '/proxy/crm/redirect',
  '/proxy/nobody/x',
  '/v1/pipelines/arrive/runs',
  '/v1/requests',
  '/v1/runs/x',
  '/v1/items',
  '/v1/items/a.b/resolve',
  '/v1/dead-letters',
  '/v1/dead-letters/groups',
  '/v1/dead-letters/replay',
  '/v1/integrations',
  '/v1/breakers/toString/reset',
  '/v1/stats',
  '/v1/actions',
  '/openapi.json',
  '/healthz',
] as const
const ODD = [
  ...[
    '..',
    '%2e%2e',
    '%00',
    '%ff',
    '%',
    '//',
    '\\',
    ';',
    '?',
    '#',
    '@',
    '[',
    '{{ 1 }}',
    '${HOME}',
    "' OR 1=1 --",
    '\xff',
  ],
  ...['__proto__', 'constructor', '\0', '\r', '\n', '\t', '%0d%0a', '<script>', '-1', '99999999999999999999', 'NaN'],
] as const
const NAMES = [
  ...['content-type', 'content-length', 'transfer-encoding', 'connection', 'expect', 'host', 'origin', 'accept'],
  ...['idempotency-key', 'x-correlation-id', 'traceparent', 'prefer', 'authorization', 'via', 'upgrade', 'cookie'],
  ...['x-holdfast-timeout', 'x-hub-signature-256', 'x-github-delivery', 'sec-fetch-site', '__proto__'],
] as const
const VALUES = [
  ...['application/json', 'application/x-ndjson', 'text/plain', 'chunked', 'close', 'keep-alive', '100-continue'],
  ...['respond-async', 'wait=1', 'null', '*/*', 'http://evil.test', 'Bearer x', '"a"', '0', '5', 'websocket', ''],
] as const

const odd = fc.constantFrom(...ODD)
const path = fc.tuple(fc.constantFrom(...PATHS), fc.array(fc.oneof(odd, fc.string()), { maxLength: 3 }))
const header = fc.tuple(fc.constantFrom(...NAMES), fc.oneof(fc.constantFrom(...VALUES), odd, fc.string()))
const bytes = fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all).toString('latin1'))
const body = fc.oneof(fc.constant(''), fc.json(), fc.string(), bytes, fc.constantFrom(...ODD))
const framing = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('length', 'chunked') },
  { weight: 2, arbitrary: fc.constantFrom('none', 'short', 'long', 'both') },
)
/** Half of them say what they are, so that they get past the first question. */
const headers = fc.tuple(fc.boolean(), fc.array(header, { maxLength: 3 })).map(([isJson, others]) => {
  return isJson ? [['content-type', 'application/json'] as const, ...others] : others
})

const composed = fc.record({ method: fc.constantFrom(...METHODS), path, headers, body, framing }).map((parts) => {
  const lines = parts.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const [route, tail] = parts.path
  const target = tail.length === 0 ? route : `${route}/${tail.join('/')}`
  const [framed, sent] = framedBy(parts.framing, parts.body)
  return `${parts.method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines}${framed}\r\n${sent}`
})

function framedBy(kind: 'none' | 'length' | 'chunked' | 'short' | 'long' | 'both', body: string): [string, string] {
  const chunked = `${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
  const length = (bytes: number) => `Content-Length: ${Math.max(0, bytes)}\r\n`
  switch (kind) {
    case 'none':
      return ['', body]
    case 'length':
      return [length(body.length), body]
    case 'short':
      return [length(body.length - 1), body]
    case 'long':
      return [length(body.length + 1), body]
    case 'chunked':
      return ['Transfer-Encoding: chunked\r\n', chunked]
    case 'both':
      return [`${length(body.length)}Transfer-Encoding: chunked\r\n`, chunked]
  }
}

/** @param canary see {@link corpus} */
export function hostileRequest(canary: string): fc.Arbitrary<HostileRequest> {
  const known = fc.constantFrom(...corpus(canary))
  const changed = fc.tuple(known, fc.nat(), fc.oneof(odd, bytes), fc.nat({ max: 20 })).map(([text, at, put, cut]) => {
    const from = at % (text.length + 1)
    return text.slice(0, from) + put + text.slice(from + cut)
  })
  const one = fc.oneof(
    { weight: 1, arbitrary: known },
    { weight: 2, arbitrary: changed },
    { weight: 5, arbitrary: composed },
    { weight: 1, arbitrary: bytes },
  )
  const several = fc.array(one, { minLength: 1, maxLength: 3 }).map((all) => all.join(''))
  return fc
    .tuple(fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: several }), fc.option(fc.nat()))
    .map(([text, cutAt]) => {
      if (cutAt === null) return [text]
      const at = cutAt % (text.length + 1)
      return [text.slice(0, at), text.slice(at)]
    })
}
