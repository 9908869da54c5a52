/** Which headers of an API's answer go back to the caller, and how those that name addresses are written. */
import { listedIn } from './request-headers.ts'

export type HeaderValue = string | string[]
export type AnswerHeaders = Record<string, HeaderValue>

/**
 * - of one connection (RFC 9110, section 7.6.1);
 * - rules for browsers about the host that answered, which is not the API's: `clear-site-data` would sign people out of the
 *   dashboard, `strict-transport-security` close a plain port, `access-control-*` let any page read what the token opens;
 * - `refresh`, a redirect in disguise.
 */
const NOT_HANDED_BACK: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-authenticate', 'proxy-authentication-info', 'alt-svc', 'alt-used', 'strict-transport-security'],
  ...['clear-site-data', 'public-key-pins', 'public-key-pins-report-only', 'expect-ct', 'nel', 'report-to'],
  ...['reporting-endpoints', 'service-worker-allowed', 'origin-agent-cluster', 'refresh', 'sourcemap', 'x-sourcemap'],
  ...['content-security-policy', 'content-security-policy-report-only', 'x-frame-options', 'permissions-policy'],
  ...['x-content-type-options', 'speculation-rules', 'x-accel-redirect', 'x-sendfile', '__proto__'],
])
const NOT_HANDED_BACK_FAMILIES = /^(?:access-control-|x-holdfast-|cross-origin-)/

export interface Addresses {
  /** Origin and base path of the integration. */
  readonly origin: string
  readonly basePath: string
  /** What the caller calls it by: `http://127.0.0.1:4180/proxy/github`. */
  readonly publicBase: string
}

export function handedBack(answered: Readonly<Record<string, string>>, addresses: Addresses): AnswerHeaders {
  const listed = listedIn(answered['connection'])
  const headers: AnswerHeaders = {}
  for (const name in answered) {
    const value = answered[name] as string
    if (NOT_HANDED_BACK.has(name) || NOT_HANDED_BACK_FAMILIES.test(name) || listed?.has(name)) continue
    const written = writtenFor(name, value, addresses)
    if (written !== undefined) headers[name] = written
  }
  // A page of the API is shown by nobody as one of ours.
  headers['content-security-policy'] = "default-src 'none'; sandbox"
  headers['x-content-type-options'] = 'nosniff'
  return headers
}

function writtenFor(name: string, value: string, addresses: Addresses): HeaderValue | undefined {
  switch (name) {
    case 'set-cookie':
      return value.split('\n')
    case 'location':
    case 'content-location':
      return addressFor(value, addresses)
    case 'link':
      return value.replace(/<([^<>]*)>/g, (whole, target: string) => {
        const written = /^[a-z][a-z0-9+.-]*:/i.test(target) ? addressFor(target, addresses) : target
        return written === undefined ? whole : `<${written}>`
      })
    default:
      return value
  }
}

/**
 * An address below the base URL is one below the proxy, so that following it stays with us; any other web address is the
 * caller's to follow or not. `undefined`: not a web address.
 */
function addressFor(value: string, { origin, basePath, publicBase }: Addresses): string | undefined {
  const url = URL.parse(value, `${origin}${basePath}/`)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.origin !== origin) return url.href
  const { pathname, search, hash } = url
  if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) return url.href
  return publicBase + pathname.slice(basePath.length) + search + hash
}
