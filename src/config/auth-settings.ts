/** How calls are signed, after loading: every default filled in. */

export type AuthSettings =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'basic'; readonly user: string; readonly password: string }
  | { readonly type: 'header'; readonly name: string; readonly value: string }
  /** Where a vendor forces it: addresses are logged by everything between here and the API. */
  | { readonly type: 'query'; readonly name: string; readonly value: string }
  | StoredAuthSettings
  | OAuthSettings
  | { readonly type: 'signed'; readonly sign: RequestSigner }

/** The secret itself is in the store, encrypted: `holdfast credentials set` puts it there, and changes it without a restart. */
export interface StoredAuthSettings {
  readonly type: 'stored'
  /** `basic` takes a secret of the form `user:password`. */
  readonly sendAs: 'bearer' | 'basic' | 'header' | 'query'
  /** Of the header or the query parameter; empty for the others. */
  readonly name: string
}

/** Tokens of a token endpoint (RFC 6749, sections 4.4 and 6), kept in the store, encrypted. */
export interface OAuthSettings {
  readonly type: 'oauth2'
  readonly grant: 'client_credentials' | 'refresh_token'
  readonly tokenUrl: string
  readonly clientId: string
  /** `undefined` for public clients. */
  readonly clientSecret: string | undefined
  /** Where the client names itself: in the Authorization header, or in the body. Default `basic`. */
  readonly clientAuth: 'basic' | 'post'
  /** The first one; those that follow it are in the store. */
  readonly refreshToken: string | undefined
  readonly scopes: readonly string[]
  /** Sent to the token endpoint as well: `audience`, `resource`, ... */
  readonly parameters: Readonly<Record<string, string>>
  /** Renewed so long before its end. Default: a fifth of its life, at most 5 min. */
  readonly refreshAheadMs: number | undefined
  /** How long a token lives where the endpoint does not say it. Default: until it is refused. */
  readonly lifetimeMs: number | undefined
  /** The token endpoint is asked no more often than this. Default 0; Outreach allows once per user and 60 s. */
  readonly minIntervalMs: number
  /** A 401 that says one of these is not the token's fault: refreshing would go on for ever. */
  readonly neverRefreshOn: readonly string[]
}

/** What is about to be sent, as the signing hook sees it. */
export interface RequestToSign {
  readonly method: string
  /** With its query. */
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Exactly the bytes that are sent; empty where there is no body. */
  readonly body: Uint8Array
  /** Now: signatures with a time of their own would be wrong on a simulated clock. */
  readonly atMs: number
}

/** Gives the headers that sign the request; they are added to it. Called for every attempt, never for a body that is a stream. */
export type RequestSigner = (
  request: RequestToSign,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>
