/** How the gateway listens, and who may do what. */
import type { RateSettings } from './settings.ts'

/**
 * What a token allows. `submit`: send records and requests. `read`: see everything. `operate`: replay, discard, suspend, resume,
 * reset; and read. `admin`: everything.
 */
export const SCOPES = ['submit', 'read', 'operate', 'admin'] as const

export type Scope = (typeof SCOPES)[number]

export interface TokenSettings {
  readonly name: string
  readonly scopes: readonly Scope[]
  /** `sha256:` and 64 hex digits: never the token itself. */
  readonly hash: string
}

export interface GatewaySettings {
  /** Default `127.0.0.1`. */
  readonly host: string
  /** Default 4180; 0 takes a free one. */
  readonly port: number
  /** Further names by which callers may address it while there is no token. */
  readonly hosts: readonly string[]
  /** `stripe.api.localhost` is the integration `stripe`. Default `api.localhost`. */
  readonly proxyDomain: string
  /** None: only this machine is served. */
  readonly tokens: readonly TokenSettings[]
  /** Requests at the same time; those above are refused with 503. Default 1,000. */
  readonly maxInFlight: number
  /** Of each token, or of each address where there are no tokens. Default none. */
  readonly rate?: RateSettings
  /** How long a request may take to arrive; of a stream, how long it may stand still. Default 30 s. */
  readonly arrivalMs: number
}
