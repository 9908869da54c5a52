/** From what a caller writes (a path, parameters, a query) to what is sent, and to the endpoint it belongs to. */
import { configurationError } from '../../core/errors.ts'

type Params = Readonly<Record<string, string | number>>
type Query = Readonly<Record<string, string | number | boolean | undefined>>

const PARAMETER = /\{([^{}]+)\}/g
/** What may stand in a request line. Anything else belongs into `params`, which encodes it. */
const SENDABLE_PATH = /^\/[\x21\x22\x24-\x7e]*$/
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:[/?#]|$)/i

export { resolveEndpoint } from './endpoints.ts'

/**
 * Fills `{name}` places, each value encoded as one path segment.
 * @throws HoldfastError `missing_path_param`; `invalid_path_param` for a value that would change which resource is meant
 *   (empty, `.`, `..`); `invalid_path` for a path that cannot be sent as it is.
 */
export function expandPath(template: string, params: Params = {}): string {
  const path = template.includes('{')
    ? template.replace(PARAMETER, (_, name) => segment(template, name, params))
    : template
  return checkPath(path)
}

/** The path with its query string; `undefined` values are left out. */
export function withQuery(path: string, query: Query | undefined): string {
  if (!query) return path
  let result = path
  let separator = path.includes('?') ? '&' : '?'
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    result += `${separator}${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`
    separator = '&'
  }
  return result
}

/**
 * A path that goes over the wire as it stands.
 * @throws HoldfastError `invalid_path`
 */
export function checkPath(path: string): string {
  if (!SENDABLE_PATH.test(path)) {
    throw configurationError(
      'invalid_path',
      'A path must begin with "/" and be encoded: no spaces, control characters, letters outside ASCII or "#"',
      'Write a template such as "/people/{email}" and pass the values in `params`: they are encoded for you.',
    )
  }
  if (DOT_SEGMENT.test(path)) {
    throw configurationError(
      'invalid_path',
      'A path must not contain "." or ".." segments: they change which resource is meant',
      'Pass values that come from outside in `params`.',
    )
  }
  return path
}

function segment(template: string, name: string, params: Params): string {
  const value = Object.hasOwn(params, name) ? params[name] : undefined
  if (value === undefined || value === null) {
    throw configurationError(
      'missing_path_param',
      `The path "${template}" needs the parameter "${name}"`,
      `Pass params: { ${name}: ... }.`,
      { path: template, param: name },
    )
  }
  const text = String(value)
  const harmless = text !== '' && text !== '.' && text !== '..' && (typeof value === 'string' || Number.isFinite(value))
  if (harmless) return encode(text, template, name)
  throw configurationError(
    'invalid_path_param',
    `The parameter "${name}" of the path "${template}" is ${text === '' ? 'empty' : JSON.stringify(text)}`,
    'It would address another resource than the one meant.',
    { path: template, param: name },
  )
}

function encode(text: string, template: string, name: string): string {
  try {
    return encodeURIComponent(text)
  } catch (cause) {
    throw configurationError(
      'invalid_path_param',
      `The parameter "${name}" of the path "${template}" is not well-formed text`,
      'It contains half of a surrogate pair.',
      { path: template, param: name },
      cause,
    )
  }
}
