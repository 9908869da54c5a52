/**
 * The IETF rate-limit fields of every draft (draft-ietf-httpapi-ratelimit-headers): three fields up to 06, one dictionary in 07, structured
 * lists since 08. A malformed field is ignored whole, as the draft demands.
 */
type BareItem = string | number | boolean

export interface ListItem {
  readonly value: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

/** What one policy says, as sent: nothing is judged here. */
export interface StandardLimit {
  /** Of the policy; empty for the drafts without names. */
  readonly name: string
  readonly remaining: number
  /** From receipt of the answer. */
  readonly resetSeconds?: number
  readonly limit?: number
  readonly windowSeconds?: number
  /** `requests`, `content-bytes`, `concurrent-requests`. */
  readonly quotaUnit?: string
}

type Headers = Readonly<Record<string, string>>

const LONGEST_FIELD = 4096

const BLANKS = /[ \t]*/y
const COMMA = /[ \t]*,[ \t]*/y
const SEMICOLON = /; */y
const KEY = /[a-z*][a-z0-9_\-.*]*/y
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y
const NUMBER = /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y
const TOKEN = /[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*/y
const BOOLEAN = /\?([01])/y
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y

/**
 * A list of items with parameters (RFC 9651, section 3.1); `undefined` for anything that is not one. Inner lists, dates and display
 * strings, which no rate-limit field has, are refused too.
 */
export function parseItemList(text: string): ListItem[] | undefined {
  if (text.length > LONGEST_FIELD) return undefined
  const reader = new Reader(text)
  reader.take(BLANKS)
  const items: ListItem[] = []
  do {
    const item = readItem(reader)
    if (!item) return undefined
    items.push(item)
  } while (reader.take(COMMA))
  reader.take(BLANKS)
  return reader.isAtEnd() ? items : undefined
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (!match) return undefined
    this.#at = pattern.lastIndex
    return match
  }

  /** Only where all of it is there. */
  takeCharacter(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length
  }
}

function readItem(reader: Reader): ListItem | undefined {
  const value = readBare(reader)
  if (value === undefined) return undefined
  const parameters = new Map<string, BareItem>()
  while (reader.take(SEMICOLON)) {
    const key = reader.take(KEY)?.[0]
    if (key === undefined) return undefined
    const parameter = reader.takeCharacter('=') ? readBare(reader) : true
    if (parameter === undefined) return undefined
    parameters.set(key, parameter)
  }
  return { value, parameters }
}

function readBare(reader: Reader): BareItem | undefined {
  const string = reader.take(STRING)
  if (string) return (string[1] as string).replace(/\\(["\\])/g, '$1')
  const number = reader.take(NUMBER)
  if (number) return Number(number[0])
  const token = reader.take(TOKEN)
  if (token) return token[0]
  const boolean = reader.take(BOOLEAN)
  if (boolean) return boolean[1] === '1'
  return reader.take(BYTES)?.[1]
}

/** All that the standard fields of an answer say. Names in lower case. */
export function readStandardLimits(headers: Headers): StandardLimit[] {
  const field = headers['ratelimit']
  if (field !== undefined) return /^\s*limit\s*=/i.test(field) ? draft07(field, headers) : structured(field, headers)
  return headers['ratelimit-remaining'] === undefined ? [] : threeFields(headers)
}

/** `RateLimit: "burst";r=50;t=30`, with `RateLimit-Policy: "burst";q=100;w=60;qu="requests"`. */
function structured(field: string, headers: Headers): StandardLimit[] {
  const policies = parseItemList(headers['ratelimit-policy'] ?? '') ?? []
  const limits = (parseItemList(field) ?? []).map(({ value, parameters }): StandardLimit | undefined => {
    const remaining = whole(parameters.get('r'))
    const resetSeconds = whole(parameters.get('t'))
    if (typeof value !== 'string' || remaining === undefined) return undefined
    if (parameters.has('t') && resetSeconds === undefined) return undefined
    const policy = policies.find((other) => other.value === value)?.parameters
    const quotaUnit = policy?.get('qu')
    return {
      name: value,
      remaining,
      ...optional('resetSeconds', resetSeconds),
      ...optional('limit', whole(policy?.get('q'))),
      ...optional('windowSeconds', whole(policy?.get('w'))),
      ...(typeof quotaUnit === 'string' && { quotaUnit }),
    }
  })
  return limits.every((limit) => limit !== undefined) ? limits : []
}

/** `RateLimit: limit=100, remaining=50, reset=30`, with `RateLimit-Policy: 100;w=60`. */
function draft07(field: string, headers: Headers): StandardLimit[] {
  if (field.length > LONGEST_FIELD) return []
  const values = new Map<string, string>()
  for (const part of field.split(',')) {
    const [, name = '', value = ''] = /^\s*([a-z]+)\s*=\s*(\d{1,15})\s*$/i.exec(part) ?? []
    if (name === '') return []
    values.set(name.toLowerCase(), value)
  }
  return oldForm(values.get('limit'), values.get('remaining'), values.get('reset'), headers)
}

/** `RateLimit-Limit: 100, 100;w=60`, `RateLimit-Remaining: 50`, `RateLimit-Reset: 30`. */
function threeFields(headers: Headers): StandardLimit[] {
  const { 'ratelimit-limit': limit, 'ratelimit-remaining': remaining, 'ratelimit-reset': reset } = headers
  return oldForm(limit, remaining?.trim(), reset?.trim(), headers)
}

function oldForm(
  limitText: string | undefined,
  remainingText: string | undefined,
  resetText: string | undefined,
  headers: Headers,
): StandardLimit[] {
  const remaining = digits(remainingText)
  if (remaining === undefined) return []
  const told = parseItemList(limitText ?? '') ?? []
  const limit = whole(told[0]?.value)
  const policies = [...told.slice(1), ...(parseItemList(headers['ratelimit-policy'] ?? '') ?? [])]
  const policy = policies.find(({ value, parameters }) => value === limit && parameters.has('w'))
  return [
    {
      name: '',
      remaining,
      ...optional('resetSeconds', digits(resetText)),
      ...optional('limit', limit),
      ...optional('windowSeconds', whole(policy?.parameters.get('w'))),
    },
  ]
}

function digits(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function whole(value: BareItem | undefined): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}

function optional<Name extends string>(name: Name, value: number | undefined): Partial<Record<Name, number>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, number>)
}
