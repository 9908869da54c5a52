import type { Duration } from '../../core/duration.ts'

/**
 * Everything that can go wrong between a request and its answer (R197, R198), as data: the same faults serve the twin,
 * the proxy, scripts in tests and descriptions in YAML.
 *
 * `executed_then_...` faults do what the request asks for, and then spoil the answer: the caller cannot tell them from a
 * request that was never executed. Faults with an `executed` option do the same unless it is `false`.
 */
export type Fault =
  /** Answers this instead of executing. */
  | ({ readonly kind: 'status' } & StatusOptions)
  /** Executes, and answers this although it worked. */
  | ({ readonly kind: 'executed_then_status' } & StatusOptions)
  /** Waits, then executes (also when the caller has left by then, as real servers do) and answers. Default 1s. */
  | { readonly kind: 'delay'; readonly delay?: Duration }
  /** Executes at once, answers late. Default 30s. */
  | { readonly kind: 'executed_then_delayed'; readonly delay?: Duration }
  /** Resets the connection as soon as the request's headers are there. */
  | { readonly kind: 'reset_before_reading' }
  /** Reads the whole request, then resets the connection. */
  | { readonly kind: 'reset_before_executing' }
  /** Executes, then resets the connection: "did it happen?" at its purest (R019). */
  | { readonly kind: 'executed_then_reset' }
  /** Takes the request and never answers; the connection stays open until one side closes. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'executed_then_hang' }
  /** Promises the whole body in content-length, sends half of it and closes. */
  | ({ readonly kind: 'truncated_body' } & Executed)
  /** Sends all but the end of the JSON as a complete answer. */
  | ({ readonly kind: 'malformed_json' } & Executed)
  /** A proxy's sign-in or error page, with status 200 (R027). */
  | ({ readonly kind: 'html_ok' } & Executed)
  | ({ readonly kind: 'empty_body' } & Executed)
  /** The right body, labelled `text/plain`. */
  | ({ readonly kind: 'wrong_content_type' } & Executed)
  /** Sends the body in small pieces. Default 1 byte every 100ms. */
  | ({ readonly kind: 'slow_drip'; readonly chunkBytes?: number; readonly every?: Duration } & Executed)
  /** Closes in the middle of the answer's headers. */
  | ({ readonly kind: 'cut_headers' } & Executed)
  /** Executes twice, as behind a load balancer that repeats by itself, and answers once. */
  | { readonly kind: 'duplicated_execution' }
  /** A body far beyond what anybody expects. Default 100 MiB. */
  | ({ readonly kind: 'huge_body'; readonly bytes?: number } & Executed)

interface StatusOptions {
  /** Default 503. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as it is, everything else as JSON. Default a small JSON error. */
  readonly body?: unknown
}

interface Executed {
  /** Whether the request is executed before its answer is spoilt. Default true: the harder case. */
  readonly executed?: boolean
}

export type FaultKind = Fault['kind']
export type FaultOf<Kind extends FaultKind> = Extract<Fault, { kind: Kind }>

/** A fault, or just its name where the defaults will do. */
export type FaultInput = Fault | FaultKind

/** When a fault happens. All conditions that are given must hold; the first rule that fires wins. */
export interface FaultRule {
  readonly fault: FaultInput
  /** `POST /contacts`, `GET /contacts/{id}`. Default every route. */
  readonly route?: string
  /** Only requests with this effect key. */
  readonly key?: string | readonly string[]
  /** Only the n-th request of its route, counted from 1. */
  readonly nth?: number | readonly number[]
  /** From 0 to 1, default 1. Drawn from the seed, the key and how often the key came: not from the order of arrival. */
  readonly probability?: number
  /** The most times this rule fires. Default no limit. */
  readonly times?: number
  /** Called each time it fires. */
  readonly onFired?: () => void
}

export function toFault(input: FaultInput): Fault {
  return typeof input === 'string' ? ({ kind: input } as Fault) : input
}
