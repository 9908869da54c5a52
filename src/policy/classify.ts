import type { ErrorRule, IdempotencySettings, IntegrationSettings } from '../config/settings.ts'
import type { Failure } from '../core/failure.ts'
import type { Json } from '../core/json.ts'

/** What is known about a call when its end is judged. */
export interface CallFacts {
  readonly method: string
  /** `GET /people/{email}` */
  readonly endpoint: string
  readonly idempotency: IdempotencySettings
}

/** An answer that arrived whole. */
export interface AnswerFacts {
  readonly status: number
  /** Names in lower case; several values joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON where the body is JSON, else undefined. */
  readonly body: Json | undefined
  /** Body text, where there is one (at most what the response limit allowed). */
  readonly bodyText: string
  /** Wall clock at receipt: dates in headers count from here. */
  readonly receivedAtMs: number
}

/** A call that ended without a whole answer. */
export interface NetworkFault {
  /** `ECONNRESET`, `UND_ERR_SOCKET`, `timeout_headers`, ... (facts.md, section 5) */
  readonly code: string
  /** How far it had come when it broke. */
  readonly phase: 'before_send' | 'connect' | 'sending' | 'waiting_for_headers' | 'reading_body'
  /** `connect`, `getaddrinfo`, `read`, ... where the system names it. */
  readonly syscall?: string
  /** Bytes that went into the socket of this request, where known. 0 proves that nothing was sent. */
  readonly bytesWritten?: number
  /** Status, where headers had arrived. */
  readonly status?: number
  readonly message: string
  /** True where the caller's own signal ended it. */
  readonly cancelledByCaller?: boolean
}

export type ClassificationSettings = Pick<IntegrationSettings, 'name' | 'errorPaths' | 'errors' | 'redact'> & {
  readonly extraRules?: readonly ErrorRule[]
}

/** Judges an answer; `undefined` means success. Never throws, whatever the API sent. */
export declare function classifyAnswer(
  call: CallFacts,
  answer: AnswerFacts,
  settings: ClassificationSettings,
): Failure | undefined
/** Judges a call that got no whole answer (facts.md, section 5). */
export declare function classifyNetworkFault(call: CallFacts, fault: NetworkFault): Failure
/** Judges an answer with a good status that is not what was promised (R027, D07). */
export declare function classifyMalformed(
  call: CallFacts,
  answer: Pick<AnswerFacts, 'status' | 'bodyText'>,
  reason: string,
): Failure
/** Judges what user code threw: a HoldfastError keeps its class and certainty, anything else is `unknown`. */
export declare function classifyThrown(thrown: unknown, safe: boolean): Failure
/** True where repeating the call has the effect of making it once: by nature, or by a key that the API honours (R096). */
export declare function isRepeatable(idempotency: IdempotencySettings): boolean
/** By method alone: reads, PUT and DELETE are safe, everything else is not (R096). */
export declare function defaultIdempotency(method: string): IdempotencySettings
