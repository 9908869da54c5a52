import type { Duration } from '../../core/duration.ts'
import { sha256Hex } from '../../core/json.ts'
import type { FaultRule } from '../faults/fault.ts'
import type { RateLimitOptions } from './rate-limit.ts'
import type { RecordStore } from './record-store.ts'
import type { TwinRequest } from './request.ts'

/** What a route answers. */
export interface TwinResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as it is, everything else as JSON. */
  readonly body?: unknown
  /** Sent in the twin's own error shape instead of `body`. */
  readonly problem?: TwinProblem
}

export interface TwinProblem {
  /** `validation_failed`, `already_exists`, `not_found`, ... */
  readonly code: string
  readonly message: string
  readonly fields?: readonly FieldProblem[]
  /** The record that is in the way. */
  readonly existingId?: string
}

export interface FieldProblem {
  readonly field: string
  /** `required`, `invalid`, ... */
  readonly code: string
  readonly message: string
}

export interface IdempotencyOptions {
  /** Default `idempotency-key`. */
  readonly header?: string
  /** Refuses requests without a key with 400. Default false. */
  readonly required?: boolean
  /** After this long the key is forgotten. Default 24h. */
  readonly lifetime?: Duration
}

export interface RouteOptions {
  /**
   * What makes two effects the same effect: a field of the body by its dot path, or a function, which also sees the
   * answer; several keys where one request does several things. Default: method, path and body; nothing for reads.
   * Faults for a key ask before anything was executed: the function then sees a bare 200 as the answer.
   */
  readonly effectKey?:
    | string
    | ((request: TwinRequest, response: TwinResponse) => string | readonly string[] | undefined)
  /** Does it. Default: answers 200 with `{ "ok": true }`. */
  readonly apply?: (request: TwinRequest, store: RecordStore) => TwinResponse | Promise<TwinResponse>
  /** What is wrong with the request; anything makes it a 422. */
  readonly validate?: (request: TwinRequest, store: RecordStore) => readonly FieldProblem[]
  /** Honours an idempotency key. Default not. */
  readonly idempotency?: boolean | IdempotencyOptions
  readonly rateLimit?: RateLimitOptions
  /** How long the work takes; meanwhile the idempotency key is in flight. Default none. */
  readonly work?: Duration
  readonly faults?: readonly Omit<FaultRule, 'route'>[]
  /** About the twin itself: no fault, limit or count concerns it. Default false. */
  readonly exempt?: boolean
}

export interface TwinRoute extends RouteOptions {
  readonly method: string
  /** `/contacts/{id}` */
  readonly path: string
  /** `POST /contacts/{id}` */
  readonly name: string
}

/** Declares one route of a twin. */
export function route(method: string, path: string, options: RouteOptions = {}): TwinRoute {
  return { ...options, method: method.toUpperCase(), path, name: `${method.toUpperCase()} ${path}` }
}

/** An error answer in the twin's own shape. */
export function refusal(
  status: number,
  code: string,
  message: string,
  more: Omit<TwinProblem, 'code' | 'message'> = {},
): TwinResponse {
  return { status, problem: { code, message, ...more } }
}

export interface RouteMatch {
  readonly route: TwinRoute
  readonly params: Readonly<Record<string, string>>
}

/** The first route that matches; `other_method` where only the path does. */
export function findRoute(
  routes: readonly TwinRoute[],
  method: string,
  path: string,
): RouteMatch | 'other_method' | undefined {
  let pathIsKnown = false
  for (const candidate of routes) {
    const params = matchPath(candidate.path, path)
    if (!params) continue
    if (candidate.method === method) return { route: candidate, params }
    pathIsKnown = true
  }
  return pathIsKnown ? 'other_method' : undefined
}

/** The values of a template's places in a path; `undefined` where the path is another. */
export function matchPath(template: string, path: string): Record<string, string> | undefined {
  const wanted = template.split('/')
  const parts = path.split('/')
  if (wanted.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of wanted.entries()) {
    const part = parts[index] as string
    const place = /^\{(\w+)\}$/.exec(segment)?.[1]
    if (place === undefined ? segment !== part : part === '') return undefined
    if (place !== undefined) params[place] = decodeSegment(part)
  }
  return params
}

/** The keys of the effects that a request has, or would have. */
export function effectKeys(of: TwinRoute, request: TwinRequest, response: TwinResponse): readonly string[] {
  if (typeof of.effectKey === 'function') {
    const keys = of.effectKey(request, response) ?? []
    return typeof keys === 'string' ? [keys] : keys
  }
  if (of.effectKey !== undefined) {
    const key = request.field(of.effectKey)
    if (key !== undefined) return [key]
  }
  return READING.has(of.method) ? [] : [`${of.method} ${request.path} ${sha256Hex(request.text).slice(0, 16)}`]
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // A stray percent sign is part of the value.
    return segment
  }
}
