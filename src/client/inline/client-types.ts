/** What callers of an inline client see: `hf.client('hubspot').post('/contacts', { body })`. */
import type { StandardSchemaV1 } from '@standard-schema/spec'

export interface ClientOptions {
  readonly tenant?: string
  readonly signal?: AbortSignal
}

export interface CallOptions {
  readonly body?: unknown
  readonly params?: Readonly<Record<string, string | number>>
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** Names the operation. Given: recorded in the ledger, so that a repeat returns the stored result without a call. */
  readonly idempotencyKey?: string
  readonly response?: StandardSchemaV1
  readonly signal?: AbortSignal
  /** All tries together may take this long. Default: the endpoint's `retry.inlineMs`. */
  readonly deadlineMs?: number
  readonly correlationId?: string
  /** W3C trace context to continue. */
  readonly traceparent?: string
}

export interface CallAnswer<Data = unknown> {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly data: Data
  /** Tries it took. */
  readonly attempts: number
  /** True: from the idempotency record, nothing was sent. */
  readonly replayed: boolean
}

/** Throws HoldfastError with `class`, `certainty`, `hint` and the whole `failure` when a call fails for good. */
export interface Client {
  get<Data = unknown>(path: string, options?: CallOptions): Promise<CallAnswer<Data>>
  post<Data = unknown>(path: string, options?: CallOptions): Promise<CallAnswer<Data>>
  put<Data = unknown>(path: string, options?: CallOptions): Promise<CallAnswer<Data>>
  patch<Data = unknown>(path: string, options?: CallOptions): Promise<CallAnswer<Data>>
  delete<Data = unknown>(path: string, options?: CallOptions): Promise<CallAnswer<Data>>
  request<Data = unknown>(method: string, path: string, options?: CallOptions): Promise<CallAnswer<Data>>
}
