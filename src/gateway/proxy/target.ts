/** Which integration a request names, and which path below its base URL: read from the request line as it came. */
import { HoldfastError } from '../../core/errors.ts'

export interface ProxyTarget {
  readonly integration: string
  /** As it came, encoded, with its query string; empty for the base URL itself. */
  readonly path: string
  /** What callers write before the path, after the host: `/proxy/github`, or nothing where the host names the integration. */
  readonly base: string
}

const PREFIX = '/proxy/'
const INTEGRATION = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/
/** Node takes no more for all headers together. */
const MAX_PATH_LENGTH = 16 * 1024
/** What a request line can carry; the backslash, which some servers take for a slash, left out. */
const SENDABLE = /^[\x21\x22\x24-\x5b\x5d-\x7e]*$/
const BROKEN_ESCAPE = /%(?![0-9a-fA-F]{2})/
const ENCODED_CONTROL = /%(?:[01][0-9a-f]|7f)/i
const ENCODED_PATH_SIGN = /%(?:2e|2f|5c|25)/gi
const PATH_SIGNS: Readonly<Record<string, string>> = { '%2e': '.', '%2f': '/', '%5c': '\\', '%25': '%' }
/** Encoded this often, an encoding hides something. */
const MAX_NESTING = 5

/**
 * The target of `/proxy/{integration}/{path}`. Give it the request line (`IncomingMessage.url`): a URL object has its dot
 * segments resolved and some characters encoded already.
 * @returns `undefined` for any other path, and for the absolute form
 */
export function proxyTarget(requestLine: string): ProxyTarget | undefined {
  if (!requestLine.startsWith(PREFIX)) return undefined
  const rest = requestLine.slice(PREFIX.length)
  const end = rest.search(/[/?]/)
  const integration = end < 0 ? rest : rest.slice(0, end)
  if (!INTEGRATION.test(integration)) return undefined
  return { integration, path: end < 0 ? '' : rest.slice(end), base: PREFIX + integration }
}

/**
 * Names by which integrations can be addressed, for SDKs that take a host and no path: `stripe.api.localhost`. Hosts make no
 * difference between cases: integrations whose names differ in nothing else have none.
 */
export function proxyHosts(integrations: readonly string[], domain: string): ReadonlyMap<string, string> {
  const byHost = Map.groupBy(integrations, (name) => `${name}.${domain}`.toLowerCase())
  return new Map(
    [...byHost].flatMap(([host, [name, ...others]]) => (name && others.length === 0 ? [[host, name]] : [])),
  )
}

/**
 * The target of a request to one of these hosts, whatever its port.
 * @returns `undefined` for any other host; what is no path is for {@link checkProxyPath} to refuse
 */
export function hostTarget(
  hosts: ReadonlyMap<string, string>,
  host: string | undefined,
  requestLine: string,
): ProxyTarget | undefined {
  const integration = host && hosts.get(host.replace(/:\d+$/, '').toLowerCase())
  return integration ? { integration, path: requestLine, base: '' } : undefined
}

/**
 * Lets through what stays below the base URL, however a server behind it decodes paths. The query string is the API's own
 * business: it only has to fit into a request line.
 * @throws HoldfastError `invalid_path`
 */
export function checkProxyPath(path: string): void {
  if (path.length > MAX_PATH_LENGTH) throw invalidPath(`longer than ${MAX_PATH_LENGTH} characters`)
  const question = path.indexOf('?')
  const plain = question < 0 ? path : path.slice(0, question)
  if (plain !== '' && !plain.startsWith('/')) throw invalidPath('not below the integration')
  if (!SENDABLE.test(plain)) throw invalidPath('with a character that must be encoded, or a backslash')
  if (plain.startsWith('//')) throw invalidPath('with two slashes at its start, which name a host')
  if (BROKEN_ESCAPE.test(plain)) throw invalidPath('with a "%" that encodes nothing')
  const decoded = decodedSigns(plain)
  if (ENCODED_CONTROL.test(decoded)) throw invalidPath('with an encoded control character')
  if (decoded.split(/[/\\]/).some(isDotSegment)) throw invalidPath('with a "." or ".." segment')
}

/** With every encoding of dots and slashes undone, also where it is encoded twice: servers differ in how often they decode. */
function decodedSigns(path: string): string {
  let decoded = path
  for (let round = 0; decoded.includes('%'); round++) {
    const next = decoded.replace(ENCODED_PATH_SIGN, (sign) => PATH_SIGNS[sign.toLowerCase()] as string)
    if (next === decoded) return decoded
    if (round >= MAX_NESTING) throw invalidPath('encoded several times over')
    decoded = next
  }
  return decoded
}

/** Some servers cut parameters (`..;x`) off a segment before they resolve it. */
function isDotSegment(segment: string): boolean {
  return /^\.{1,2}(?:;|$)/.test(segment)
}

function invalidPath(what: string): HoldfastError {
  return new HoldfastError({
    code: 'invalid_path',
    class: 'validation',
    message: `The path below the integration is ${what}`,
    hint: 'Write /proxy/{integration}/{path}, the path encoded as the API documents it.',
  })
}
