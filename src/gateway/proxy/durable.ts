/** The seam to durable requests: `Prefer: respond-async`. */

export interface DurableRequest {
  readonly integration: string
  readonly method: string
  /** Below the base URL, encoded, with its query string. */
  readonly path: string
  /** What goes on to the API; without credentials of the integration. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
  readonly idempotencyKey: string | undefined
  /** Each caller's keys are its own. */
  readonly caller: string | undefined
  readonly correlationId: string
  /** How long the caller would like to wait for the end of it. */
  readonly waitMs: number | undefined
}

/** It is on disk. */
export interface AcceptedRequest {
  readonly runId: string
  readonly itemId: string
  /** Where it can be looked up: `/v1/items/{id}`. */
  readonly location: string
  /** True: the same operation was accepted before. */
  readonly duplicate: boolean
}

/** Resolves once the request is durable. */
export type SubmitRequest = (request: DurableRequest) => Promise<AcceptedRequest>
