/**
 * An action that runs once at a time across all processes on one store: the refresh of a token whose use ends the one before it.
 * Who comes while it runs gets its result, wherever it runs. The word of who runs it is a lease in a shared health record,
 * by compare-and-swap; when its holder dies, the next runs the action when the lease is over.
 */
import type { Clock } from '../core/clock.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import type { HealthRecord, Ledger } from '../ledger/port.ts'
import { createSharedTime, type SharedTime } from './wire/shared-time.ts'

export interface SingleFlightOptions {
  /** A result from this wall-clock time on is as good as a new one: when what it replaces was read. */
  readonly sinceMs: number
  /** How long the action may take; then it is told to stop, and another process may run it. */
  readonly leaseMs: number
  /** Ends the waiting of this caller only: the action goes on for the others. */
  readonly signal?: AbortSignal
}

export interface SingleFlight {
  /**
   * The result of `action`, run here or elsewhere. What is small and JSON is handed to other processes through the store: secrets
   * are encrypted by the caller.
   * @throws HoldfastError `single_flight_failed` where it failed in another process, which names only its code; `single_flight_too_long`;
   *   what `action` throws, where it ran here; the signal's reason
   */
  run<Result extends Json>(
    key: string,
    options: SingleFlightOptions,
    action: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result>
}

export interface SingleFlightParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth'>
  readonly clock: Clock
  /** Unique among all processes. */
  readonly workerId: string
}

export function createSingleFlight(parts: SingleFlightParts): SingleFlight {
  const time = createSharedTime(parts.clock)
  const flights = new Map<string, Flight>()

  return {
    async run<Result extends Json>(
      key: string,
      { sinceMs, leaseMs, signal }: SingleFlightOptions,
      action: (signal: AbortSignal) => Promise<Result>,
    ): Promise<Result> {
      const sinceSharedMs = time.nowMs() - (parts.clock.wallMs() - sinceMs)
      const flight = flights.get(key) ?? new Flight(parts, time, key)
      flights.set(key, flight)
      const outcome = await unlessAborted(signal, () => flight.outcomeAfter(sinceSharedMs, leaseMs, action)).finally(
        () => {
          if (flight.isIdle) flights.delete(key)
        },
      )
      if ('failure' in outcome) throw outcome.cause ?? failedElsewhere(key, outcome.failure)
      return outcome.result as Result
    },
  }
}

type Ending =
  | { readonly atMs: number; readonly result: Json }
  | { readonly atMs: number; readonly failure: string; readonly cause?: unknown }

interface FlightState {
  /** Of the clock that all share. */
  readonly atMs: number
  readonly running?: { readonly holder: string; readonly untilMs: number }
  readonly ended?: Ending
}

interface Known {
  readonly revision: number
  readonly state: FlightState
}

type Action = (signal: AbortSignal) => Promise<Json>

const RECORD_PREFIX = 'flight:'
const NEVER_RUN: Known = { revision: 0, state: { atMs: 0 } }
/** Between two looks at an action that runs elsewhere. */
const LONGEST_LOOK_MS = 200

/** One key as this process sees it. */
class Flight {
  readonly #parts: SingleFlightParts
  readonly #time: SharedTime
  readonly #name: string
  readonly #key: string
  #known: Known = NEVER_RUN
  #current: Promise<Ending> | undefined

  constructor(parts: SingleFlightParts, time: SharedTime, name: string) {
    this.#parts = parts
    this.#time = time
    this.#name = name
    this.#key = RECORD_PREFIX + name
  }

  get isIdle(): boolean {
    return this.#current === undefined
  }

  async outcomeAfter(sinceMs: number, leaseMs: number, action: Action): Promise<Ending> {
    for (;;) {
      this.#current ??= this.#fly(sinceMs, leaseMs, action).finally(() => {
        this.#current = undefined
      })
      const ending = await this.#current
      // It was waited for by somebody who needs less.
      if (ending.atMs >= sinceMs) return ending
    }
  }

  /** Looks whether it is done, waits while somebody does it, or does it. */
  async #fly(sinceMs: number, leaseMs: number, action: Action): Promise<Ending> {
    const { clock, workerId } = this.#parts
    for (;;) {
      const { ended, running } = this.#known.state
      if (ended && ended.atMs >= sinceMs) return ended
      const nowMs = this.#time.nowMs()
      if (running && running.untilMs > nowMs) {
        await clock.sleep(Math.min(LONGEST_LOOK_MS, Math.max(1, running.untilMs - nowMs)))
        await this.#look()
        continue
      }
      const untilMs = nowMs + leaseMs
      const mine = { atMs: nowMs, running: { holder: workerId, untilMs }, ...(ended && { ended }) }
      if (!(await this.#write(mine))) continue
      const ending = await this.#perform(action, untilMs)
      if (await this.#writeWithin(untilMs, { atMs: ending.atMs, ended: withoutCause(ending) })) return ending
      // The lease was over, and somebody else is at it: what they find out counts.
    }
  }

  async #perform(action: Action, untilMs: number): Promise<Ending> {
    const tooLong = new AbortController()
    const timer = this.#parts.clock.setTimer(untilMs - this.#time.nowMs(), () => tooLong.abort(tookTooLong(this.#name)))
    try {
      const result = await unlessAborted(tooLong.signal, () => action(tooLong.signal))
      return { atMs: this.#time.nowMs(), result }
    } catch (cause) {
      return { atMs: this.#time.nowMs(), failure: isHoldfastError(cause) ? cause.code : 'unknown', cause }
    } finally {
      timer.cancel()
    }
  }

  /** A result that nobody hears of would be made twice: while the lease lasts, a store in trouble is asked again. */
  async #writeWithin(untilMs: number, state: FlightState): Promise<boolean> {
    for (;;) {
      try {
        return await this.#write(state)
      } catch (error) {
        if (this.#time.nowMs() + LONGEST_LOOK_MS >= untilMs) throw error
        await this.#parts.clock.sleep(LONGEST_LOOK_MS)
      }
    }
  }

  /** False: somebody was quicker, and what they wrote is known now. */
  async #write(state: FlightState): Promise<boolean> {
    const { ledger, clock } = this.#parts
    const change = { key: this.#key, fromRevision: this.#known.revision, state: state as unknown as Json }
    const [receipt] = await ledger.updateHealth([change], clock.wallMs())
    if (receipt?.applied) {
      this.#known = { revision: receipt.revision, state }
      return true
    }
    if (receipt?.current) this.#learn(receipt.current)
    // An attempt whose answer was lost may have been written.
    return sameState(this.#known.state, state)
  }

  async #look(): Promise<void> {
    const { records } = await this.#parts.ledger.readHealth(this.#known.revision)
    for (const record of records) if (record.key === this.#key) this.#learn(record)
  }

  #learn({ revision, state }: HealthRecord): void {
    const known = stateFromJson(state)
    this.#known = { revision, state: known }
    this.#time.learn(known.atMs)
  }
}

function sameState(one: FlightState, other: FlightState): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** A record that is damaged or another version's counts as never run. */
function stateFromJson(value: Json): FlightState {
  const whole = isJsonObject(value) && Number.isSafeInteger(value.atMs)
  return whole ? (value as unknown as FlightState) : NEVER_RUN.state
}

/** Errors may hold secrets, and stay in their process. */
function withoutCause(ending: Ending): Ending {
  return 'failure' in ending ? { atMs: ending.atMs, failure: ending.failure } : ending
}

async function unlessAborted<Value>(signal: AbortSignal | undefined, work: () => Promise<Value>): Promise<Value> {
  signal?.throwIfAborted()
  if (!signal) return work()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work(), promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function failedElsewhere(key: string, code: string): HoldfastError {
  return new HoldfastError({
    code: 'single_flight_failed',
    class: 'transient',
    message: `${key} was done by another process for all, and failed there (${code})`,
    hint: 'That process tells why. The next attempt does it anew.',
    details: { key, code },
  })
}

function tookTooLong(key: string): HoldfastError {
  return new HoldfastError({
    code: 'single_flight_too_long',
    class: 'transient',
    message: `${key} took longer than its lease`,
    hint: 'Give it a longer lease, or find out what it waits for.',
    details: { key },
  })
}
