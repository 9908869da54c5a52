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

/** Statuses of codes that their class does not tell. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  unknown_pipeline: 404,
  unknown_webhook: 404,
  unknown_integration: 404,
  invalid_cursor: 400,
  invalid_json: 400,
  json_too_deep: 400,
  dangerous_key: 400,
  invalid_idempotency_key: 400,
  body_incomplete: 400,
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
  key_conflict: 422,
  store_value_too_long: 422,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  overloaded: 503,
  closed: 503,
  draining: 503,
  canary_not_ended: 504,
}

const STATUS_BY_CLASS: Readonly<Partial<Record<HoldfastError['class'], number>>> = {
  configuration: 422,
  validation: 422,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
  transient: 503,
}

const RETRY_AFTER_SECONDS = 5

export function statusOf(error: HoldfastError): number {
  if (/^(store|ledger)_/.test(error.code)) return 503
  return STATUS_BY_CODE[error.code] ?? STATUS_BY_CLASS[error.class] ?? 500
}

/** What was not meant tells nothing about the inside. */
export function toProblem(error: unknown, correlationId: string): Problem {
  const known = isHoldfastError(error) ? error : unexpected(error)
  const status = statusOf(known)
  const { retryAfterMs: _, ...details } = known.details
  return {
    type: `urn:holdfast:problem:${known.code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code: known.code,
    detail: known.message,
    hint: known.hint,
    correlationId,
    ...(Object.keys(details).length > 0 && { details }),
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
