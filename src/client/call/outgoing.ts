/** From a call to what goes over the wire: address, headers, body. */
import type { AuthSettings, IdempotencySettings, IntegrationSettings } from '../../config/settings.ts'
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import { sha256Hex, toJson } from '../../core/json.ts'
import type { Random } from '../../core/random.ts'
import type { TransportRequest } from '../wire/transport.ts'
import type { OutboundCall } from './call.ts'

type Headers = Readonly<Record<string, string>>

/** What all calls of an integration have in common, worked out once. */
export interface Address {
  readonly origin: string
  /** Path of the base URL, without a slash at its end. */
  readonly basePath: string
  /** Names in lower case; authentication apart, so that callers who bring their own can go without ours. */
  readonly headers: Headers
  readonly authHeader: { readonly name: string; readonly value: string } | undefined
  /** Both together: the base of most calls. */
  readonly allHeaders: Headers
}

const addresses = new WeakMap<IntegrationSettings, Address>()

/** @throws HoldfastError `invalid_base_url`, `invalid_header` */
export function addressOf(integration: IntegrationSettings): Address {
  let address = addresses.get(integration)
  if (!address) {
    address = makeAddress(integration)
    addresses.set(integration, address)
  }
  return address
}

function makeAddress(integration: IntegrationSettings): Address {
  const url = URL.parse(integration.baseUrl)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw configurationError(
      'invalid_base_url',
      `The baseUrl of integration "${integration.name}" is not an http(s) URL`,
      'Write it like "https://api.example.com".',
      { integration: integration.name },
    )
  }
  const headers = { accept: 'application/json', 'user-agent': 'holdfast', ...lowerCased(integration.headers) }
  const authHeader = authHeaderOf(integration.auth)
  if (authHeader) checkHeader(authHeader.name, authHeader.value)
  return {
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    headers,
    authHeader,
    allHeaders: authHeader ? { ...headers, [authHeader.name]: authHeader.value } : headers,
  }
}

function authHeaderOf(auth: AuthSettings): Address['authHeader'] {
  switch (auth.type) {
    case 'none':
      return undefined
    case 'bearer':
      return { name: 'authorization', value: `Bearer ${auth.token}` }
    case 'basic':
      return {
        name: 'authorization',
        value: `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`,
      }
    case 'header':
      return { name: auth.name.toLowerCase(), value: auth.value }
    default:
      // Placed for each call: see `credentials/`.
      return undefined
  }
}

/**
 * One attempt as the transport takes it.
 * @throws HoldfastError `invalid_header`, `not_json`, `unsupported_body`: nothing was sent.
 */
export function outgoingRequest(call: OutboundCall, random: Random): TransportRequest {
  const address = addressOf(call.integration)
  const headers: Record<string, string> = { ...address.allHeaders }
  const body = serialiseBody(call.body)
  if (body.contentType) headers['content-type'] = body.contentType
  for (const name in call.headers) {
    const value = call.headers[name]
    if (value !== undefined) headers[checkHeader(name, value)] = value
  }
  const { idempotency } = call.endpoint
  if (idempotency.kind === 'key' && call.idempotencyKey !== undefined) {
    const key = keyAsSent(idempotency, call.idempotencyKey)
    headers[checkHeader(idempotency.header, key)] = key
  }
  headers['x-correlation-id'] = checkValue('x-correlation-id', call.correlationId)
  headers['traceparent'] = traceparent(call.traceId, random)
  return {
    origin: address.origin,
    path: address.basePath + call.path,
    method: call.method,
    headers,
    body: body.content,
    timeouts: call.endpoint.timeouts,
    maxResponseBytes: call.endpoint.maxResponseBytes,
    signal: call.signal,
    mayBegin: call.maySend,
    streamBody: false,
  }
}

/**
 * Bare, or as a structured-field string, which takes visible ASCII only (RFC 9651, section 3.3.3).
 * @throws HoldfastError `invalid_header`
 */
export function keyAsSent({ quoted }: Extract<IdempotencySettings, { kind: 'key' }>, key: string): string {
  if (!quoted) return key
  if (/^[\x20-\x7e]*$/.test(key)) return `"${key.replace(/["\\]/g, '\\$&')}"`
  throw configurationError(
    'invalid_header',
    'The idempotency key has characters that a quoted key cannot hold',
    'Use letters, digits and punctuation of ASCII for keys, or leave out "quoted".',
  )
}

export interface SerialisedBody {
  readonly content: string | Uint8Array | undefined
  /** What it is, unless the caller says otherwise. */
  readonly contentType: string | undefined
}

const NO_BODY: SerialisedBody = { content: undefined, contentType: undefined }

/**
 * Text and bytes as they are, form fields encoded, anything else as JSON; `undefined` and `null` are no body.
 * @throws HoldfastError `not_json`; `unsupported_body` for streams, blobs and multipart forms.
 */
export function serialiseBody(body: unknown): SerialisedBody {
  if (body === undefined || body === null) return NO_BODY
  if (typeof body === 'string') return { content: body, contentType: 'text/plain;charset=UTF-8' }
  if (body instanceof Uint8Array) return { content: body, contentType: 'application/octet-stream' }
  if (body instanceof URLSearchParams) {
    return { content: body.toString(), contentType: 'application/x-www-form-urlencoded;charset=UTF-8' }
  }
  if (
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ReadableStream ||
    body instanceof ArrayBuffer
  ) {
    throw configurationError(
      'unsupported_body',
      `A body of type ${body.constructor.name} cannot be sent again, so it cannot be part of a call`,
      'Pass plain data, text, a Uint8Array or URLSearchParams, or use the `fetch` adapter.',
    )
  }
  return { content: toJson(body), contentType: 'application/json' }
}

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are what must not get into a header.
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/

/**
 * The name in lower case.
 * @throws HoldfastError `invalid_header`
 */
export function checkHeader(name: string, value: string): string {
  const lowerName = name.toLowerCase()
  if (!HEADER_NAME.test(lowerName)) {
    throw invalidHeader(`${JSON.stringify(name)} cannot be the name of a header`, lowerName)
  }
  checkValue(lowerName, value)
  return lowerName
}

/** Line breaks in a value would let data become headers of its own. The error does not show it: it may be a secret. */
function checkValue(name: string, value: string): string {
  if (!FORBIDDEN_IN_VALUE.test(value)) return value
  throw invalidHeader(`The value of the header "${name}" contains a line break or another control character`, name)
}

function invalidHeader(message: string, header: string): HoldfastError {
  return configurationError('invalid_header', message, 'Headers are one line of text each.', { header })
}

function lowerCased(headers: Headers): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [checkHeader(name, value), value]))
}

const TRACE_ID = /^[0-9a-f]{32}$/
const NO_TRACE = '0'.repeat(32)
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/

/** The trace of an incoming `traceparent`; `undefined` where it is not a valid one. */
export function traceIdOf(traceparentHeader: string | undefined): string | undefined {
  const traceId = traceparentHeader === undefined ? undefined : TRACEPARENT.exec(traceparentHeader)?.[1]
  return traceId !== NO_TRACE ? traceId : undefined
}

/**
 * W3C trace context: the same trace on all attempts, each with a span of its own. An id that is not 32 hex digits stands
 * for the trace by its hash.
 */
export function traceparent(traceId: string, random: Random): string {
  const trace = TRACE_ID.test(traceId) && traceId !== NO_TRACE ? traceId : sha256Hex(traceId).slice(0, 32)
  return `00-${trace}-${spanId(random)}-01`
}

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** 64 random bits, never all zero, which trace context forbids. By table: `toString(16)` costs as much as a breaker. */
function spanId(random: Random): string {
  return hexWord(random.next() * 0x1_0000_0000) + hexWord((random.next() * 0x1_0000_0000) | 1)
}

function hexWord(word: number): string {
  return (
    (HEX_BYTES[word >>> 24] as string) +
    HEX_BYTES[(word >>> 16) & 255] +
    HEX_BYTES[(word >>> 8) & 255] +
    HEX_BYTES[word & 255]
  )
}
