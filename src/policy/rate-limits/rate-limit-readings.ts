/** Readings made ready: names in lower case, and with them the ways that many vendors share (facts.md section 1). */
import type {
  BodyReading,
  FractionReading,
  HeadersReading,
  PolicyReading,
  RateLimitReading,
} from '../../config/rate-limits.ts'
import { isJsonObject, type Json } from '../../core/json.ts'

export type CompiledReading = CompiledHeaders | FractionReading | BodyReading
interface CompiledHeaders extends Omit<HeadersReading, 'reset'> {
  /** The most precise first. */
  readonly resets: readonly NonNullable<HeadersReading['reset']>[]
}

export interface CompiledReadings {
  readonly own: readonly CompiledReading[]
  readonly policies: readonly PolicyReading[]
  /** Tried beside them. */
  readonly common: readonly CompiledHeaders[]
  /** The IETF fields are read. */
  readonly readsStandard: boolean
  readonly needsBody: boolean
}

function common(name: string, remaining: string, limit: string, resets: readonly string[]): CompiledHeaders {
  return {
    kind: 'headers',
    name,
    unit: name.includes('tokens') || name.includes('complexity') ? 'points' : 'calls',
    remaining,
    limit,
    resets: resets.map((header) => ({ header, unit: header.endsWith('-after') ? 'delta_seconds' : 'guess' })),
  }
}

function anthropic(name: string): CompiledHeaders {
  const prefix = `anthropic-ratelimit-${name}`
  return common(name, `${prefix}-remaining`, `${prefix}-limit`, [`${prefix}-reset`])
}

/** Without a profile the unit of a reset is guessed from its form and size. */
const COMMON: readonly CompiledHeaders[] = [
  common('requests', 'x-ratelimit-remaining', 'x-ratelimit-limit', ['x-ratelimit-reset-after', 'x-ratelimit-reset']),
  common('requests', 'x-rate-limit-remaining', 'x-rate-limit-limit', ['x-rate-limit-reset']),
  ...['requests', 'tokens'].map((what) =>
    common(what, `x-ratelimit-remaining-${what}`, `x-ratelimit-limit-${what}`, [`x-ratelimit-reset-${what}`]),
  ),
  ...['requests', 'complexity'].map((what) =>
    common(what, `x-ratelimit-${what}-remaining`, `x-ratelimit-${what}-limit`, [`x-ratelimit-${what}-reset`]),
  ),
  ...['requests', 'tokens', 'input-tokens', 'output-tokens'].map(anthropic),
]

const compiledReadings = new WeakMap<readonly RateLimitReading[], CompiledReadings>()

/** Once for each list. */
export function compileReadings(readings: readonly RateLimitReading[]): CompiledReadings {
  let compiled = compiledReadings.get(readings)
  if (!compiled) {
    compiled = compile(readings)
    compiledReadings.set(readings, compiled)
  }
  return compiled
}

function compile(readings: readonly RateLimitReading[]): CompiledReadings {
  const policies = readings.filter((reading) => reading.kind === 'policy')
  const own = readings.filter((reading) => reading.kind !== 'policy').map(inLowerCase)
  // What a reading names is its alone: the common way could read another unit into it.
  const named = new Set(own.flatMap(headersOf))
  return {
    own,
    policies,
    common: COMMON.filter((reading) => !headersOf(reading).some((header) => named.has(header))),
    readsStandard: !['ratelimit', 'ratelimit-remaining', 'ratelimit-reset'].some((header) => named.has(header)),
    needsBody: readings.some(({ kind }) => kind === 'body'),
  }
}

function inLowerCase(reading: Exclude<RateLimitReading, PolicyReading>): CompiledReading {
  if (reading.kind === 'body') return reading
  if (reading.kind === 'fraction') return { ...reading, header: reading.header.toLowerCase() }
  const { reset, ...rest } = reading
  return {
    ...rest,
    ...lowered('nameHeader', reading.nameHeader),
    ...lowered('limit', reading.limit),
    ...lowered('remaining', reading.remaining),
    ...lowered('used', reading.used),
    ...lowered('cost', reading.cost),
    resets: reset ? [{ ...reset, header: reset.header.toLowerCase() }] : [],
  }
}

function lowered<Name extends string>(name: Name, header: string | undefined): Partial<Record<Name, string>> {
  return header === undefined ? {} : ({ [name]: header.toLowerCase() } as Record<Name, string>)
}

function headersOf(reading: CompiledReading): string[] {
  if (reading.kind === 'body') return []
  if (reading.kind === 'fraction') return [reading.header]
  return [reading.remaining, reading.used, ...reading.resets.map(({ header }) => header)].filter(
    (header) => header !== undefined,
  )
}

/** The value at a dot path, own members only; numbers are list places. */
export function jsonAt(value: Json | undefined, path: string): Json | undefined {
  let found = value
  for (const part of path.split('.')) {
    if (Array.isArray(found)) found = /^\d{1,6}$/.test(part) ? found[Number(part)] : undefined
    else found = isJsonObject(found) && Object.hasOwn(found, part) ? found[part] : undefined
  }
  return found
}
