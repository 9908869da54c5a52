/**
 * Secrets never leave (design.md, rule 7; D28): what every text, header and body passes through before it is logged, stored
 * with a failure, or shown. All of it runs in time linear in the input. Where in doubt, it hides too much.
 */
import type { Json } from '../core/json.ts'

export const REDACTED = '[redacted]'

const TOO_DEEP = '[nested too deep]'
const LEFT_OUT = '[left out]'
const MAXIMUM_DEPTH = 64

/**
 * Names whose values are secret, as they stand in headers, bodies, query strings and forms. Compared without case, `-`, `_`,
 * `.` and spaces, so `X-Api-Key`, `apiKey` and `api_key` are one.
 */
export const SECRET_NAMES = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api_key',
  'x-auth-token',
  'x-access-token',
  'x-amz-security-token',
  'x-shopify-access-token',
  'x-goog-api-key',
  'private-token',
  'ocp-apim-subscription-key',
  'clay-api-key',
  'stripe-signature',
  'x-hub-signature-256',
  'x-slack-signature',
  'webhook-signature',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'auth_token',
  'bearer',
  'jwt',
  'secret',
  'client_secret',
  'webhook_secret',
  'password',
  'passwd',
  'pwd',
  'passphrase',
  'pass',
  'credential',
  'credentials',
  'private_key',
  'access_key',
  'access_key_id',
  'signing_key',
  'encryption_key',
  'master_key',
  'subscription_key',
  'session_id',
  'session_key',
  'otp',
  'cvv',
  'cvc',
  'card_number',
  'ssn',
] as const

/** Beside the names themselves: every name that contains, or ends with, one of these words. */
const SECRET_PARTS = ['password', 'passwd', 'passphrase', 'secret', 'apikey', 'privatekey', 'accesskey', 'credential']
const SECRET_ENDINGS = ['token', 'cookie', 'signature', 'signature256', 'authorization', 'jwt']

/** Secret only as a query parameter: elsewhere these are ordinary words. */
const QUERY_SECRET_NAMES = new Set(['key', 'sig', 'code', 'auth'])

/** Words of prose that stand where a secret could: "bearer authentication failed", "token: expired". */
const PROSE = new Set(
  (
    'token tokens auth authentication authorization credential credentials scheme realm error header is was or and not ' +
    'no the a expired invalid missing required revoked unknown null undefined true false none empty cannot must has'
  ).split(' '),
)

/** A prefix that only secrets have. The look-behind keeps a run of prefixes from being read again from each of them. */
const SECRET_SHAPES = new RegExp(
  [
    '-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]{0,30}-----|$)',
    '(?<![\\w-])eyJ[\\w-]{8,}\\.[\\w-]+(?:\\.[\\w-]*)*',
    '(?<![\\w-])(?:sk|pk|rk)_(?:live|test)_\\w{8,}',
    '(?<![\\w-])sk-[\\w-]{16,}',
    '(?<![\\w-])gh[pousr]_\\w{16,}',
    '(?<![\\w-])github_pat_\\w{16,}',
    '(?<![\\w-])xox[a-z]-[\\w-]{8,}',
    '(?<![\\w-])(?:AKIA|ASIA)[0-9A-Z]{16}',
    '(?<![\\w-])shp(?:at|ca|pa|ss)_[0-9a-fA-F]{16,}',
    '(?<![\\w-])wh(?:sec|sk)_[\\w+/=]{8,}',
    '(?<![\\w-])SG\\.[\\w-]{8,}\\.[\\w-]{8,}',
    '(?<![\\w-])pat-[a-z]{2}\\d-[\\w-]{8,}',
  ].join('|'),
  'g',
)
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/?#"'<>]+@/gi
const SCHEME_AND_VALUE = /\b(bearer|basic)(\s{1,3})([^\s"'`,;<>]+)/gi

function plainName(name: string): string {
  return name.toLowerCase().replace(/[-_.\s[\]]/g, '')
}

const PLAIN_SECRET_NAMES: ReadonlySet<string> = new Set(SECRET_NAMES.map(plainName))
const NO_FIELDS: ReadonlySet<string> = new Set()

/** Is the value of a header, field or parameter of this plain name secret? */
function isSecret(plain: string, extra: ReadonlySet<string>): boolean {
  return (
    PLAIN_SECRET_NAMES.has(plain) ||
    extra.has(plain) ||
    SECRET_PARTS.some((part) => plain.includes(part)) ||
    SECRET_ENDINGS.some((ending) => plain.endsWith(ending))
  )
}

/** A dotted path counts by its last name: hiding a namesake too many is better than one too few. */
function fieldSet(extraFields: readonly string[]): ReadonlySet<string> {
  if (extraFields.length === 0) return NO_FIELDS
  return new Set(extraFields.map((field) => plainName(field.slice(field.lastIndexOf('.') + 1))))
}

/** Headers with secret values replaced; other values are searched for secrets inside. */
export function redactHeaders(
  headers: Readonly<Record<string, string>>,
  extraNames: readonly string[] = [],
): Record<string, string> {
  const extra = fieldSet(extraNames)
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      isSecret(plainName(name), extra) ? REDACTED : redactWith(value, extra),
    ]),
  )
}

export interface RedactionLimits {
  /** Values kept; what comes after is left out. Default: all. */
  readonly maximumValues?: number
}

/**
 * A copy of a JSON value with the values of secret fields replaced (whole, however deep they are), and every text searched
 * for secrets inside. Below 64 levels the copy ends. Never throws.
 */
export function redactJson(value: unknown, extraFields: readonly string[] = [], limits: RedactionLimits = {}): Json {
  return copyRedacted(value, 0, { extra: fieldSet(extraFields), valuesLeft: limits.maximumValues ?? Infinity })
}

interface CopyState {
  readonly extra: ReadonlySet<string>
  valuesLeft: number
}

function copyRedacted(value: unknown, depth: number, state: CopyState): Json {
  state.valuesLeft -= 1
  if (typeof value === 'string') return redactWith(value, state.extra)
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value !== 'object' || value === null) return null
  if (depth >= MAXIMUM_DEPTH) return TOO_DEEP
  return Array.isArray(value) ? copyArray(value, depth, state) : copyObject(value, depth, state)
}

function copyArray(array: readonly unknown[], depth: number, state: CopyState): Json {
  const copy: Json[] = []
  for (const element of array) {
    if (state.valuesLeft <= 0) {
      copy.push(LEFT_OUT)
      break
    }
    copy.push(copyRedacted(element, depth + 1, state))
  }
  return copy
}

function copyObject(object: object, depth: number, state: CopyState): Json {
  const copy: [string, Json][] = []
  for (const [name, member] of Object.entries(object)) {
    if (state.valuesLeft <= 0) {
      copy.push([LEFT_OUT, true])
      break
    }
    const hidden = isSecret(plainName(name), state.extra)
    copy.push([name, hidden ? REDACTED : copyRedacted(member, depth + 1, state)])
  }
  // fromEntries defines own members: a field called __proto__ stays data.
  return Object.fromEntries(copy)
}

/**
 * Text with secrets replaced: `Bearer ...`, `Basic ...`, credentials in URLs, `api_key=...`, `"password": "..."`, and tokens
 * known by their shape. Also for text that was cut in the middle of a value.
 */
export function redactText(text: string, extraFields: readonly string[] = []): string {
  return redactWith(text, fieldSet(extraFields))
}

function redactWith(text: string, extra: ReadonlySet<string>): string {
  if (text.length < 4) return text
  return redactNamedValues(text, extra)
    .replace(URL_CREDENTIALS, `$1${REDACTED}@`)
    .replace(SCHEME_AND_VALUE, (whole, scheme: string, space: string, value: string) =>
      isProse(value) ? whole : `${scheme}${space}${REDACTED}`,
    )
    .replace(SECRET_SHAPES, REDACTED)
}

function isProse(value: string): boolean {
  return PROSE.has(value.toLowerCase().replace(/[.:!?]+$/, ''))
}

const LONGEST_NAME = 128
const NAME_CHARACTER = /[\w.\-[\]]/

/** Looks back from each `:` and `=` for a name, and forward for the value that belongs to it. */
function redactNamedValues(text: string, extra: ReadonlySet<string>): string {
  let result = ''
  let done = 0
  for (const { index } of text.matchAll(/[:=]/g)) {
    if (index < done) continue
    const name = nameBefore(text, index)
    if (name.plain === '' || !(isSecret(name.plain, extra) || (name.inQuery && QUERY_SECRET_NAMES.has(name.plain)))) {
      continue
    }
    const span = valueAfter(text, index + 1, /authorization$|cookie$/.test(name.plain))
    if (span.end <= span.start || (span.isWord && isProse(text.slice(span.start, span.end)))) continue
    result += text.slice(done, span.start) + REDACTED
    done = span.end
  }
  return done === 0 ? text : result + text.slice(done)
}

function nameBefore(text: string, separator: number): { plain: string; inQuery: boolean } {
  let end = separator
  while (end > 0 && separator - end < 3 && text[end - 1] === ' ') end -= 1
  if (end > 0 && isQuote(text[end - 1])) end -= 1
  if (end > 0 && text[end - 1] === '\\') end -= 1
  let start = end
  while (start > 0 && end - start < LONGEST_NAME && NAME_CHARACTER.test(text[start - 1] ?? '')) start -= 1
  const before = text[start - 1]
  return { plain: plainName(text.slice(start, end)), inQuery: before === '?' || before === '&' }
}

interface ValueSpan {
  readonly start: number
  readonly end: number
  /** Neither in quotes nor a whole line: could be prose. */
  readonly isWord: boolean
}

/**
 * Where the value stands: in its quotes or brackets, else up to white space or a separator, else (header lines) up to the
 * line's end. What was cut off before its end ends with the text.
 */
function valueAfter(text: string, from: number, wholeLine: boolean): ValueSpan {
  let start = from
  while (text[start] === ' ' || text[start] === '\t') start += 1
  const escaped = text[start] === '\\' && isQuote(text[start + 1])
  if (escaped) start += 1
  const quote = text[start]
  if (isQuote(quote)) return { start: start + 1, end: quotedEnd(text, start + 1, quote, escaped), isWord: false }
  if (quote === '{' || quote === '[') return { start, end: bracketedEnd(text, start), isWord: false }
  const ending = wholeLine ? /[\r\n"'<>]/g : /[\s&,;"'<>)}]/g
  ending.lastIndex = start
  return { start, end: ending.exec(text)?.index ?? text.length, isWord: !wholeLine }
}

function quotedEnd(text: string, start: number, quote: string, escaped: boolean): number {
  for (let position = start; position < text.length; position += 1) {
    if (text[position] === '\\') {
      if (escaped && text[position + 1] === quote) return position
      position += 1
    } else if (text[position] === quote) return position
  }
  return text.length
}

function bracketedEnd(text: string, start: number): number {
  let depth = 0
  for (let position = start; position < text.length; position += 1) {
    const character = text[position]
    if (character === '"') position = quotedEnd(text, position + 1, character, false)
    else if (character === '{' || character === '[') depth += 1
    else if ((character === '}' || character === ']') && --depth === 0) return position + 1
  }
  return text.length
}

function isQuote(character: string | undefined): character is '"' | "'" {
  return character === '"' || character === "'"
}
