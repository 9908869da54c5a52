import type { FaultServerOptions } from '../faults/fault-server.ts'
import type { FaultOptions } from '../faults/faulty-service.ts'
import type { Effect } from './effects.ts'
import type { RateLimitOptions } from './rate-limit.ts'
import type { TwinRequest } from './request.ts'
import type { TwinProblem, TwinRoute } from './route.ts'

/** What a twin does, however it is reached. */
export interface TwinDefinition extends FaultOptions {
  /** Told in the `server` header. Default `twin`. */
  readonly name?: string
  /** From `route(...)` and `resource(...)`; the first that matches is taken. */
  readonly routes?: readonly TwinRoute[]
  /** For all routes together, beside their own. */
  readonly rateLimit?: RateLimitOptions
  /** The shape of errors. Default `{ code, message, fields?, existingId?, requestId }`. */
  readonly errorBody?: (problem: SentProblem) => unknown
  /** Told of each request as it arrives, before anything is decided about it. */
  readonly onRequest?: (arrived: ArrivedRequest) => void
  /** Told of each effect as it happens. */
  readonly onEffect?: (effect: Effect, request: TwinRequest) => void
}

/** A twin that is reached over HTTP. */
export interface TwinOptions extends TwinDefinition, FaultServerOptions {
  /** A file that lets a twin in another process go on where this one stopped. */
  readonly journal?: string
}

export interface ArrivedRequest {
  /** `POST /contacts` */
  readonly route: string
  readonly method: string
  /** With its query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

export interface SentProblem extends TwinProblem {
  readonly status: number
  readonly requestId: string
}
