/**
 * One outbound call, as every part of Holdfast makes it: in-process callers, durable items and, later, the proxy
 * (design.md, "the request lifecycle"). The types are here; `attempt.ts` makes one attempt, `inline.ts` retries while a
 * caller waits, the engine retries durably.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import type { HeldBy } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'

export interface OutboundCall {
  readonly integration: IntegrationSettings
  readonly endpoint: EndpointSettings
  /** Integration + credential (+ tenant), see `laneName`. */
  readonly lane: string
  readonly tenant: string
  readonly method: string
  /** Expanded, below the integration's base URL, starting with `/`; with its query string. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** An object is sent as JSON; text and bytes as they are. */
  readonly body: unknown
  /** Checked against every good answer (R027). */
  readonly responseSchema: StandardSchemaV1 | undefined
  /** What a good answer must be; `any` also takes an empty one. */
  readonly expects: 'json' | 'text' | 'any'
  /** Equal on all attempts of one operation (R080, R081). */
  readonly idempotencyKey: string | undefined
  readonly correlationId: string
  /** The trace this belongs to; each attempt makes its own span id below it. */
  readonly traceId: string
  readonly itemId: string | undefined
  /** Whose step it is: the quota may be shared out between pipelines (R051). */
  readonly pipeline?: string | undefined
  /** 1 for the first. */
  readonly attempt: number
  readonly signal: AbortSignal | undefined
  /** Whether the caller sends a credential of its own in the place of ours. Absent: its `headers` tell. */
  readonly ownCredential?: boolean
  /** Asked again right before it is written; false: it is not sent (C1: the lease has run out meanwhile). */
  readonly maySend?: (() => boolean) | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parsed and, where a schema is given, validated. Text where the answer is not JSON. */
  readonly data: unknown
}

export type AttemptResult =
  | { readonly kind: 'succeeded'; readonly answer: Answer; readonly latencyMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly latencyMs: number; readonly answer?: Answer }
  /** Nothing was sent: a gate, a breaker or a limiter said no. Uses no attempt. */
  | { readonly kind: 'held'; readonly by: HeldBy; readonly untilMs: number; readonly reason: string }

/** `hubspot/default`, or `hubspot/default/acme` for a tenant of its own. */
export function laneName(integration: string, credential: string, tenant: string): string {
  return tenant === DEFAULT_TENANT ? `${integration}/${credential}` : `${integration}/${credential}/${tenant}`
}

export const DEFAULT_TENANT = 'default'
