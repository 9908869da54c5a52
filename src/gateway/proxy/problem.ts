/** Errors as RFC 9457 problem details: what is wrong, what is known about the effect, what to do, when to come back. */
import { STATUS_CODES } from 'node:http'
import { HoldfastError } from '../../core/errors.ts'
import type { FailureClass } from '../../core/failure.ts'

export interface Problem {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** Seconds. */
  readonly retryAfter: number | undefined
}

/** Errors of ours whose class alone does not tell the status. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  invalid_path: 400,
  invalid_header: 400,
  invalid_timeout: 400,
  invalid_idempotency_key: 400,
  credential_not_durable: 400,
  body_not_json: 400,
  body_incomplete: 400,
  unknown_integration: 404,
  method_not_allowed: 405,
  body_too_slow: 408,
  idempotency_in_progress: 409,
  unknown_outcome: 409,
  answer_not_kept: 409,
  body_not_replayable: 413,
  body_too_large: 413,
  payload_too_large: 413,
  unsupported_body: 413,
  idempotency_key_reused: 422,
  invalid_input: 422,
  key_conflict: 422,
  gate_closed: 429,
  rate_limit_reached: 429,
  concurrency_limit_reached: 429,
  quota_spent: 429,
  closed: 503,
  overloaded: 503,
  proxy_loop: 508,
}

/** For what was sent and brought no answer, or could not be sent. */
const STATUS_BY_CLASS: Readonly<Record<FailureClass, number>> = {
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
  configuration: 500,
}

/** @param nowMs on the wall clock, as `details.untilMs` of what holds a call */
export function problemOf(thrown: unknown, correlationId: string, nowMs: number): Problem {
  const error = thrown instanceof HoldfastError ? thrown : internalError()
  const status = statusOf(error)
  const retryAfterMs = retryAfterOf(error, nowMs)
  const tries = error.details['tries']
  return {
    status,
    retryAfter: retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000)),
    body: {
      type: `urn:holdfast:problem:${error.code}`,
      title: STATUS_CODES[status] ?? 'Client Closed Request',
      status,
      detail: error.message,
      code: error.code,
      class: error.class,
      certainty: error.certainty,
      hint: error.hint,
      userMessage: error.userMessage,
      correlationId,
      ...(typeof tries === 'number' && { attempts: tries }),
      ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
    },
  }
}

function statusOf({ code, class: kind }: HoldfastError): number {
  const own = Object.hasOwn(STATUS_BY_CODE, code) ? STATUS_BY_CODE[code] : undefined
  if (own !== undefined) return own
  if (code.startsWith('store_')) return 503
  const ranOutOfTime = kind === 'transient' && (code.startsWith('timeout_') || code === 'ETIMEDOUT')
  return ranOutOfTime || code === 'UND_ERR_CONNECT_TIMEOUT' ? 504 : STATUS_BY_CLASS[kind]
}

function retryAfterOf({ details, failure, code }: HoldfastError, nowMs: number): number | undefined {
  const { untilMs, reservedUntilMs, retryAfterMs } = details
  if (typeof untilMs === 'number' && Number.isFinite(untilMs)) return Math.max(0, untilMs - nowMs)
  if (typeof retryAfterMs === 'number') return retryAfterMs
  if (code === 'idempotency_in_progress' && typeof reservedUntilMs === 'number') return 1000
  return failure?.retryAfterMs
}

/** What an unforeseen error says may be anything: it is for the log. */
function internalError(): HoldfastError {
  return new HoldfastError({
    code: 'internal_error',
    class: 'configuration',
    message: 'The proxy failed by itself',
    hint: 'The log of the gateway tells more, under the same correlation id.',
  })
}
