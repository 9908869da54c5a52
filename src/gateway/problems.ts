/** Errors as RFC 9457 problems: a stable `code`, what was wrong, what to do. */
import { STATUS_CODES } from 'node:http'
import { z } from '@hono/zod-openapi'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:holdfast:problem:` and the code.'),
    title: z.string().describe('Of the status.'),
    status: z.int(),
    code: z.string().describe('Stable: match on this.'),
    detail: z.string(),
    hint: z.string().describe('What to do about it.'),
    correlationId: z.string(),
    details: z.record(z.string(), z.unknown()).describe('As data: which fields, which line, how many.').optional(),
  })
  .openapi('Problem')

export type Problem = z.infer<typeof problemSchema>

/**
 * What went wrong: a `request` to the gateway itself, or a `call` that it hands through to an API, whose refusals are not the
 * caller's doing.
 */
type Concern = 'request' | 'call'

/** Statuses of codes that their class does not tell. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  internal_error: 500,
  unknown_pipeline: 404,
  unknown_webhook: 404,
  unknown_integration: 404,
  invalid_cursor: 400,
  invalid_json: 400,
  json_too_deep: 400,
  dangerous_key: 400,
  invalid_idempotency_key: 400,
  body_incomplete: 400,
  body_not_json: 400,
  malformed_request: 400,
  key_missing: 422,
  token_missing: 401,
  token_invalid: 401,
  scope_missing: 403,
  host_refused: 403,
  origin_refused: 403,
  route_not_found: 404,
  method_not_allowed: 405,
  body_too_slow: 408,
  idempotency_in_progress: 409,
  unknown_outcome: 409,
  answer_not_kept: 409,
  key_conflict: 422,
  invalid_input: 422,
  idempotency_key_reused: 422,
  store_value_too_long: 422,
  payload_too_large: 413,
  body_not_replayable: 413,
  body_too_large: 413,
  unsupported_body: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  token_asked_too_soon: 429,
  // Of the vendor's endpoint, and not of the caller's own token.
  token_not_renewed: 502,
  gate_closed: 429,
  rate_limit_reached: 429,
  concurrency_limit_reached: 429,
  quota_spent: 429,
  overloaded: 503,
  closed: 503,
  // Of contents that this process cannot read: another one may.
  encryption_key_missing: 503,
  encryption_key_unknown: 503,
  stored_payload_damaged: 500,
  draining: 503,
  canary_not_ended: 504,
  proxy_loop: 508,
}

/** Of calls: what stands in the request itself, and not in a field of its body. */
const STATUS_OF_CALL_BY_CODE: Readonly<Record<string, number>> = {
  invalid_path: 400,
  invalid_header: 400,
  invalid_timeout: 400,
  credential_not_durable: 400,
}

const STATUS_BY_CLASS: Readonly<Record<Concern, Readonly<Partial<Record<HoldfastError['class'], number>>>>> = {
  request: {
    configuration: 422,
    validation: 422,
    not_found: 404,
    conflict: 409,
    too_large: 413,
    rate_limited: 429,
    transient: 503,
  },
  // For what was sent and brought no answer, or could not be sent.
  call: {
    transient: 502,
    rate_limited: 429,
    wait_long: 503,
    authentication: 502,
    authorization: 502,
    not_found: 502,
    conflict: 409,
    validation: 502,
    schema: 502,
    too_large: 502,
    malformed_response: 502,
    unknown: 502,
    held: 503,
    // The status that nginx made known for it. Nobody is there to read it.
    cancelled: 499,
  },
}

const RETRY_AFTER_SECONDS = 5

export function statusOf(error: HoldfastError, concern: Concern = 'request'): number {
  const { code } = error
  const ofCall = concern === 'call' ? ownValue(STATUS_OF_CALL_BY_CODE, code) : undefined
  const known = ofCall ?? ownValue(STATUS_BY_CODE, code)
  if (known !== undefined) return known
  if (/^(store|ledger)_/.test(code)) return 503
  if (concern === 'call' && ranOutOfTime(error)) return 504
  return STATUS_BY_CLASS[concern][error.class] ?? 500
}

/** Codes of calls may be the API's own words. */
function ownValue(table: Readonly<Record<string, number>>, code: string): number | undefined {
  return Object.hasOwn(table, code) ? table[code] : undefined
}

function ranOutOfTime({ code, class: kind }: HoldfastError): boolean {
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return true
  return kind === 'transient' && (code.startsWith('timeout_') || code === 'ETIMEDOUT')
}

/** What was not meant tells nothing about the inside. */
export function toProblem(thrown: unknown, correlationId: string): Problem {
  const error = isHoldfastError(thrown) ? thrown : unexpected(thrown)
  const { retryAfterMs: _, ...details } = error.details
  return {
    ...wordsOf(error, statusOf(error), correlationId),
    ...(Object.keys(details).length > 0 && { details }),
  }
}

function wordsOf(error: HoldfastError, status: number, correlationId: string): Problem {
  return {
    type: `urn:holdfast:problem:${error.code}`,
    title: STATUS_CODES[status] ?? (status === 499 ? 'Client Closed Request' : 'Error'),
    status,
    code: error.code,
    detail: error.message,
    hint: error.hint,
    correlationId,
  }
}

export function problemResponse(error: unknown, correlationId: string): Response {
  const problem = toProblem(error, correlationId)
  const headers = new Headers({ 'content-type': 'application/problem+json' })
  if (problem.status === 401) headers.set('www-authenticate', 'Bearer realm="holdfast"')
  if (problem.status === 429 || problem.status === 503) headers.set('retry-after', String(retryAfterSeconds(error)))
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

function retryAfterSeconds(error: unknown): number {
  const waitMs = isHoldfastError(error) ? error.details['retryAfterMs'] : undefined
  return typeof waitMs === 'number' ? Math.max(1, Math.ceil(waitMs / 1000)) : RETRY_AFTER_SECONDS
}

export interface CallProblem {
  readonly status: number
  /** A problem, with what is known about the call and its effect. */
  readonly body: Problem & Readonly<Record<string, unknown>>
  /** Seconds. */
  readonly retryAfter: number | undefined
}

/** @param nowMs on the wall clock, as `details.untilMs` of what holds a call */
export function callProblem(thrown: unknown, correlationId: string, nowMs: number): CallProblem {
  const error = isHoldfastError(thrown) ? thrown : unexpected(thrown)
  const status = statusOf(error, 'call')
  const retryAfterMs = waitOf(error, nowMs)
  const tries = error.details['tries']
  return {
    status,
    retryAfter: retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000)),
    body: {
      ...wordsOf(error, status, correlationId),
      class: error.class,
      certainty: error.certainty,
      userMessage: error.userMessage,
      ...(typeof tries === 'number' && { attempts: tries }),
      ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
    },
  }
}

function waitOf({ details, failure, code }: HoldfastError, nowMs: number): number | undefined {
  const { untilMs, reservedUntilMs, retryAfterMs } = details
  if (typeof untilMs === 'number' && Number.isFinite(untilMs)) return Math.max(0, untilMs - nowMs)
  if (typeof retryAfterMs === 'number') return retryAfterMs
  if (code === 'idempotency_in_progress' && typeof reservedUntilMs === 'number') return 1000
  return failure?.retryAfterMs
}

function unexpected(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'internal_error',
    class: 'unknown',
    message: 'Something failed that was not expected to',
    hint: 'The log of `holdfast serve` has it under this correlation id.',
    cause,
  })
}

/** Refused because of what else is going on: nothing of it was stored. */
export function overloaded(message: string, retryAfterMs: number, code: 'overloaded' | 'rate_limited' = 'overloaded') {
  return new HoldfastError({
    code,
    class: code === 'rate_limited' ? 'rate_limited' : 'transient',
    message,
    hint: 'Wait as long as Retry-After says, then send it again: nothing of it was stored.',
    details: { retryAfterMs },
  })
}

const WHERE_LISTED = {
  run: 'GET /v1/items lists what there is.',
  item: 'GET /v1/items lists what there is.',
  breaker: 'GET /v1/breakers lists them.',
  job: 'GET /v1/jobs lists them.',
  credential: 'GET /v1/credentials lists them.',
  profile: 'GET /v1/profiles lists them.',
} as const

export function notFound(what: keyof typeof WHERE_LISTED, id: string): HoldfastError {
  return new HoldfastError({
    code: `${what}_not_found`,
    class: 'not_found',
    message: `There is no ${what} "${id}"`,
    hint: WHERE_LISTED[what],
  })
}

/** An error of a request: refused before anything was done. */
export function refusal(code: string, message: string, hint: string, details?: Record<string, unknown>): HoldfastError {
  return new HoldfastError({ code, class: 'validation', message, hint, ...(details && { details }) })
}
