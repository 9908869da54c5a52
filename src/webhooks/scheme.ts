/** How a provider signs, as a value: everything about it that is not data is one of two functions. */
import type { KeyObject } from 'node:crypto'
import type { WebhookPlace } from '../config/webhook-settings.ts'
import type { ReadRequest } from './request.ts'

/** Why a request is not believed. Told to us, never to the sender. */
export type RefusalReason =
  | 'no_secret'
  | 'signature_missing'
  | 'signature_malformed'
  | 'signature_mismatch'
  | 'timestamp_missing'
  | 'timestamp_malformed'
  | 'timestamp_too_old'
  | 'timestamp_in_future'
  | 'id_missing'

/** A secret, decoded once. */
export type Key =
  /** The same twice: a digest takes bytes, and an HMAC is four times as fast with a key that is made once. */
  | { readonly kind: 'shared'; readonly bytes: Uint8Array; readonly key: KeyObject }
  | { readonly kind: 'pair'; readonly key: KeyObject }

export type Checked =
  | { readonly ok: true; readonly timestampMs?: number }
  | { readonly ok: false; readonly refused: RefusalReason }

/** Answers that a provider asks for instead of an event. */
export interface Handshake {
  readonly body: string
  readonly contentType: string
  /** A secret that the provider chose and sent: for a person to configure. */
  readonly secret?: string
}

export interface EventFacts {
  /** What names an event: the first of these whose parts are all there. Default: a digest of what was sent. */
  readonly id: readonly (readonly WebhookPlace[])[]
  readonly type: readonly WebhookPlace[]
  /** A JSON array holds one event in each element. */
  readonly batch?: boolean
}

export interface ToSign {
  readonly method: string
  readonly url: string
  readonly body: Uint8Array
  readonly id: string
  readonly timestampMs: number
}

export interface WebhookScheme {
  readonly event: EventFacts
  /** How far the signed time may be off, by default. `undefined`: the provider signs none, or its retries may be older. */
  readonly toleranceMs: number | undefined
  /** In lower case: never kept with the request. */
  readonly signatureHeaders: readonly string[]
  /** @throws HoldfastError `webhook_secret_invalid` */
  readonly key: (secret: string) => Key
  /** Never throws, whatever it is given. */
  readonly check: (request: ReadRequest, keys: readonly Key[]) => Checked
  /** The headers that a signed request has. Absent where only the provider can sign. */
  readonly sign?: (key: Key, request: ToSign) => Record<string, string>
  /** Of a request that was verified. */
  readonly handshake?: (json: unknown) => Handshake | undefined
  /** Of a request that carries no signature, because there is no secret yet. */
  readonly unsignedHandshake?: (json: unknown) => Handshake | undefined
  /** What a good answer holds. Default nothing. */
  readonly acknowledgement?: { readonly body: string; readonly contentType: string }
}

export function refused(reason: RefusalReason): Checked {
  return { ok: false, refused: reason }
}
