import type { FaultServerOptions } from '../faults/fault-server.ts'
import type { RateLimitOptions } from './rate-limit.ts'
import type { TwinProblem, TwinRoute } from './route.ts'

export interface TwinOptions extends FaultServerOptions {
  /** Told in the `server` header. Default `twin`. */
  readonly name?: string
  /** From `route(...)` and `resource(...)`; the first that matches is taken. */
  readonly routes?: readonly TwinRoute[]
  /** For all routes together, beside their own. */
  readonly rateLimit?: RateLimitOptions
  /** A file that lets a twin in another process go on where this one stopped. */
  readonly journal?: string
  /** The shape of errors. Default `{ code, message, fields?, existingId?, requestId }`. */
  readonly errorBody?: (problem: SentProblem) => unknown
}

export interface SentProblem extends TwinProblem {
  readonly status: number
  readonly requestId: string
}
