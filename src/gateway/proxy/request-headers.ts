/** Which headers of a caller go on to the API. */

type Headers = Readonly<Record<string, string | undefined>>

const UPSTREAM_AUTHORIZATION = 'x-holdfast-upstream-authorization'
const OURS = 'x-holdfast-'
const PSEUDONYM = 'holdfast'
/** A chain of proxies has its sense; one that comes back to us has none. */
const MOST_PASSES = 3

/**
 * - of one connection (RFC 9110, section 7.6.1), or told anew by whoever sends the request;
 * - credentials for Holdfast, and for proxies;
 * - about the caller's network, which is no business of the API, and which anybody can write;
 * - `accept-encoding`: answers are asked for, and handed back, as they are;
 * - preferences, which are for us.
 */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
  ],
  ...['host', 'expect', 'content-length', 'max-forwards'],
  ...['authorization', 'proxy-authorization', 'proxy-authenticate'],
  ...[
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-forwarded-prefix',
  ],
  ...['x-forwarded-server', 'x-real-ip', 'x-original-url', 'x-rewrite-url', 'x-http-method-override', 'via'],
  ...['accept-encoding', 'set-cookie', 'prefer', 'x-correlation-id', '__proto__'],
])

export interface ForwardedHeaders {
  readonly headers: Record<string, string>
  /** True: the request has been here before, too often. */
  readonly isLoop: boolean
}

/**
 * @param own names in lower case
 * @param credentialHeader carries the integration's credential: a caller's value of it is dropped
 * @param callersCredential whether the caller may bring a credential for the API in `X-Holdfast-Upstream-Authorization`
 */
export function forwardedHeaders(
  own: Headers,
  credentialHeader: string | undefined,
  callersCredential: boolean,
): ForwardedHeaders {
  const listed = listedIn(own['connection'])
  const headers: Record<string, string> = {}
  for (const name in own) {
    const value = own[name]
    if (value === undefined || NOT_FORWARDED.has(name) || name === credentialHeader) continue
    if (name.startsWith(OURS) || listed?.has(name)) continue
    headers[name] = value
  }
  const upstream = own[UPSTREAM_AUTHORIZATION]
  if (callersCredential && upstream !== undefined) headers['authorization'] = upstream
  const via = own['via']
  headers['via'] = via === undefined ? `1.1 ${PSEUDONYM}` : `${via}, 1.1 ${PSEUDONYM}`
  const passes = via?.split(',').filter((hop) => hop.trim().split(/\s+/)[1] === PSEUDONYM).length ?? 0
  return { headers, isLoop: passes >= MOST_PASSES }
}

/** Headers that `Connection` names belong to that connection too. */
export function listedIn(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
}
