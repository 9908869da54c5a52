/** The limits of a vendor, really enforced: windows that slide, that open with the first call, that go by the clock; leaky buckets. */
import { parseRate } from '../../config/quantities.ts'
import type { RateLimitReading, RateLimitWindow } from '../../config/rate-limits.ts'
import type { WrittenRate } from '../../config/schema-parts.ts'
import type { Clock } from '../../core/clock.ts'
import { LEAST_SKEW_MS, windowEnd } from '../../policy/rate-limits/rate-limit-times.ts'
import type { ArrivedRequest } from '../twin/options.ts'
import type { LimitState } from './limit-headers.ts'

type Told = Exclude<RateLimitReading, { kind: 'policy' }>

/** A limit, and the readings that tell of it. */
export interface VendorLimit {
  readonly name: string
  readonly rate: WrittenRate
  /** None: the vendor keeps quiet about it until it is reached. */
  readonly readings: readonly Told[]
}

export interface LimitVerdict {
  /** The limit that was hit; the call then takes nothing from any. */
  readonly hit?: { readonly limit: VendorLimit; readonly waitMs: number }
  /** Of every limit that answers tell of. */
  readonly told: readonly { readonly reading: Told; readonly state: LimitState }[]
}

export interface LimitKeeper {
  take(arrived: ArrivedRequest, credential: string): LimitVerdict
}

/** A call's own part of what a limit gives. */
interface Account {
  /** Makes what has come back usable, and says what is there. */
  state(): LimitState
  take(cost: number): void
  /** Until so much can be taken. */
  waitMs(cost: number): number
}

const QUERY_COST = 10
const BYTES_PER_TOKEN = 4

export function createLimitKeeper(limits: readonly VendorLimit[], clock: Clock): LimitKeeper {
  const accounts = new Map<string, Account>()

  function accountOf(limit: VendorLimit, whose: string): Account {
    const name = `${limit.name}\n${whose}`
    const account = accounts.get(name) ?? createAccount(limit, clock)
    accounts.set(name, account)
    return account
  }

  return {
    take(arrived, credential) {
      const all = limits.map((limit) => {
        const bucket = bucketOf(limit, arrived)
        return {
          limit,
          bucket,
          cost: costOf(limit, arrived),
          account: accountOf(limit, `${credential}\n${bucket ?? ''}`),
        }
      })
      const waits = all.map(({ limit, account, cost }) => ({ limit, waitMs: account.waitMs(cost) }))
      const hit = waits.filter(({ waitMs }) => waitMs > 0).sort((one, other) => other.waitMs - one.waitMs)[0]
      if (!hit) for (const { account, cost } of all) account.take(cost)
      const told = all.flatMap(({ limit, account, bucket, cost }) => {
        const state = { ...account.state(), ...(bucket !== undefined && { bucket }), cost }
        return limit.readings.map((reading) => ({ reading, state }))
      })
      return { ...(hit && { hit }), told }
    },
  }
}

/** Limits that hold endpoints are counted for each, or for each kind where the vendor names kinds. */
function bucketOf({ readings }: VendorLimit, { route, target }: ArrivedRequest): string | undefined {
  if (readings.some((reading) => reading.kind === 'headers' && reading.nameHeader !== undefined)) {
    return /^\/(search|graphql)\b/.exec(target)?.[1] ?? 'core'
  }
  return readings.some(({ scope }) => scope === 'endpoint') ? route : undefined
}

/** Tokens by the length of the body, roughly as models count; queries at a price of their own. */
function costOf({ readings }: VendorLimit, { headers }: ArrivedRequest): number {
  const [reading] = readings
  if (reading?.unit !== 'points') return 1
  if (reading.kind === 'body') return QUERY_COST
  if (reading.kind === 'headers' && reading.cost !== undefined) return 1
  return Math.max(1, Math.ceil(Number(headers['content-length'] ?? 0) / BYTES_PER_TOKEN))
}

function createAccount({ rate, readings }: VendorLimit, clock: Clock): Account {
  const { limit, perMs } = parseRate(rate)
  const [reading] = readings
  const restores = reading !== undefined && 'restorePerSecond' in reading && reading.restorePerSecond !== undefined
  if (restores) return leakyBucket(limit, limit / (perMs / 1000), clock)
  const window = reading?.window
  if (window && 'calendar' in window) return fixedWindow(limit, perMs, clock, window)
  const tellsReset = reading?.kind === 'headers' && reading.reset !== undefined
  return tellsReset ? fixedWindow(limit, perMs, clock) : slidingWindow(limit, perMs, clock)
}

function leakyBucket(size: number, perSecond: number, clock: Clock): Account {
  let level = size
  let atMs = clock.monotonicMs()
  function refill(): number {
    const nowMs = clock.monotonicMs()
    level = Math.min(size, level + ((nowMs - atMs) / 1000) * perSecond)
    atMs = nowMs
    return level
  }
  return {
    state: () => ({ limit: size, remaining: Math.floor(refill()), restorePerSecond: perSecond }),
    take(cost) {
      level = refill() - cost
    },
    waitMs: (cost) => Math.max(0, ((Math.min(cost, size) - refill()) / perSecond) * 1000),
  }
}

/** Ends with the clock's own unit, or so long after its first call. */
function fixedWindow(limit: number, perMs: number, clock: Clock, calendar?: RateLimitWindow): Account {
  let used = 0
  let endsAtMs = Number.NEGATIVE_INFINITY
  const nextEndMs = (nowMs: number): number => {
    const end = calendar && windowEnd(calendar, { headers: {}, nowMs, leastSkewMs: LEAST_SKEW_MS }).resetAtMs
    return end ?? nowMs + perMs
  }
  function renew(): number {
    const nowMs = clock.wallMs()
    if (nowMs >= endsAtMs) {
      used = 0
      endsAtMs = nextEndMs(nowMs)
    }
    return nowMs
  }
  return {
    state() {
      renew()
      return { limit, remaining: Math.max(0, limit - used), windowMs: perMs, resetAtMs: endsAtMs }
    },
    take(cost) {
      renew()
      used += cost
    },
    waitMs(cost) {
      const nowMs = renew()
      return used + Math.min(cost, limit) > limit ? endsAtMs - nowMs : 0
    },
  }
}

function slidingWindow(limit: number, perMs: number, clock: Clock): Account {
  const calls: { readonly atMs: number; readonly cost: number }[] = []
  let used = 0
  let first = 0
  function forget(): number {
    const nowMs = clock.monotonicMs()
    for (let oldest = calls[first]; oldest && oldest.atMs <= nowMs - perMs; oldest = calls[first]) {
      used -= oldest.cost
      first += 1
    }
    // Seldom: removing from the front costs as much as what stays.
    if (first > 1000 && first > calls.length / 2) {
      calls.splice(0, first)
      first = 0
    }
    return nowMs
  }
  return {
    state() {
      forget()
      return { limit, remaining: Math.max(0, limit - used), windowMs: perMs }
    },
    take(cost) {
      calls.push({ atMs: forget(), cost })
      used += cost
    },
    waitMs(cost) {
      const nowMs = forget()
      let missing = used + Math.min(cost, limit) - limit
      for (let place = first; missing > 0; place++) {
        const call = calls[place]
        if (!call) return perMs
        missing -= call.cost
        if (missing <= 0) return call.atMs + perMs - nowMs
      }
      return 0
    },
  }
}
