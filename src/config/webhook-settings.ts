/** The settings of a source of webhooks after loading. */
import type { WebhookProvider } from './webhook-providers.ts'

export interface WebhookSettings {
  /** Part of its address (`/webhooks/NAME`) and of the key of each run. */
  readonly name: string
  readonly provider: WebhookProvider
  /** The present one and, while it is replaced, others. Empty only where the provider sends it with its first call (Notion). */
  readonly secrets: readonly string[]
  readonly pipeline: string
  /** How far the signed time may be off, either way. `undefined`: what is usual for the provider. */
  readonly toleranceMs: number | undefined
  readonly maxBodyBytes: number
  /** What a run gets: the event alone, or the request around it too. */
  readonly input: 'event' | 'request'
  /** The address as the provider knows it, where a proxy changes it; signed by Twilio and HubSpot. */
  readonly publicUrl: string | undefined
  /** Of the provider `hmac` only. */
  readonly hmac: HmacSettings | undefined
}

/** Where something stands: in a header, or in the JSON body by a dot path. */
export type WebhookPlace = { readonly header: string } | { readonly body: string }

export type TimestampUnit = 'seconds' | 'milliseconds' | 'iso'

/** A signature made with a shared secret, as data. */
export interface HmacSettings {
  readonly header: string
  /** Before the signature itself: `sha256=`. Default none. */
  readonly prefix?: string
  /** Several signatures may stand in the header. Default: one. */
  readonly separator?: ',' | ' '
  /** Default `sha256`. */
  readonly algorithm?: 'sha256' | 'sha1' | 'sha512'
  /** Default `hex`, in lower case. */
  readonly encoding?: 'hex' | 'base64'
  /** What is signed, of `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}` and fixed text. Default `{body}`. */
  readonly signedText?: string
  /** How the secret is written. Default `text`. */
  readonly secretEncoding?: 'text' | 'base64'
  readonly timestamp?: { readonly header: string; readonly unit?: TimestampUnit }
  /** What names an event, equal when it is sent again. Default: a digest of the body. */
  readonly id?: WebhookPlace
  readonly type?: WebhookPlace
  /** A JSON array holds several events. Default false. */
  readonly batch?: boolean
}
