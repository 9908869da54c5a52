import type { Wire } from '../faults/wire.ts'

/** A request as routes see it: read to its end. */
export interface TwinRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** The last value of each name. */
  readonly query: Readonly<Record<string, string>>
  /** Of the route's template: `{id}`. */
  readonly params: Readonly<Record<string, string>>
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** Parsed JSON or form; text where it is neither; `undefined` where there is none. */
  readonly body: unknown
  /** Said to be JSON, and is not. */
  readonly malformed: boolean
  readonly correlationId: string | undefined
  readonly idempotencyKey: string | undefined
  /** A value of the body as text, by its dot path: `request.field('contact.email')`. `undefined` where it is not there. */
  field(path: string): string | undefined
}

export interface Target {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
}

export function parseTarget(target: string): Target {
  const url = new URL(target, 'http://twin')
  return { path: url.pathname, query: Object.fromEntries(url.searchParams) }
}

export function parseRequest(
  { method, headers }: Wire,
  target: Target,
  content: Buffer,
  params: Readonly<Record<string, string>>,
  idempotencyHeader: string,
): TwinRequest {
  const text = content.toString('utf8')
  const { body, malformed } = parseBody(text, headers['content-type'] ?? '')
  return {
    method,
    ...target,
    params,
    headers,
    text,
    body,
    malformed,
    correlationId: headers['x-correlation-id'],
    idempotencyKey: headers[idempotencyHeader.toLowerCase()],
    field: (path) => textAt(body, path),
  }
}

function parseBody(text: string, contentType: string): { body: unknown; malformed: boolean } {
  if (text === '') return { body: undefined, malformed: false }
  if (contentType.includes('x-www-form-urlencoded')) {
    return { body: Object.fromEntries(new URLSearchParams(text)), malformed: false }
  }
  try {
    return { body: JSON.parse(text), malformed: false }
  } catch {
    // Not JSON: wrong where JSON was announced, plain text elsewhere.
    return { body: text, malformed: contentType.includes('json') }
  }
}

function textAt(body: unknown, path: string): string | undefined {
  let value = body
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
}
