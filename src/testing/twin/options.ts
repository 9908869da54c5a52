import type { FaultServerOptions } from '../faults/fault-server.ts'
import type { FaultOptions } from '../faults/faulty-service.ts'
import type { Effect } from './effects.ts'
import type { RateLimitOptions } from './rate-limit.ts'
import type { TwinRequest } from './request.ts'
import type { TwinProblem, TwinResponse, TwinRoute } from './route.ts'

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
  /** A whole answer of its own for a problem, status and headers too; goes before `errorBody`. */
  readonly answerProblem?: (problem: SentProblem, arrived: ArrivedRequest) => TwinResponse | undefined
  /** The route of what `routes` do not name. Default none: such requests are answered 404. */
  readonly otherwise?: (method: string, path: string) => TwinRoute | undefined
  /** Sees every request before its body is read, and every answer before it is sent. Called once, as the twin begins. */
  readonly guard?: (around: Pick<FaultOptions, 'clock' | 'random'>) => Guard
  /** Answers `GET /_twin/effects`, `/_twin/duplicates` and `/_twin/requests`, past all faults and limits. Default false. */
  readonly tells?: boolean
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

/** Credentials, limits and the like: what a whole API does, whatever the route. */
export interface Guard {
  arrive(arrived: ArrivedRequest): Arrival
}

export interface Arrival {
  /** Sent at once, and nothing is done. */
  readonly refusal?: TwinResponse
  /** How a refusal is counted: `rate_limited`, ... */
  readonly outcome?: string
  /** Every answer of the API to this request passes here. */
  finish(response: TwinResponse): TwinResponse
}

export interface SentProblem extends TwinProblem {
  readonly status: number
  readonly requestId: string
}
