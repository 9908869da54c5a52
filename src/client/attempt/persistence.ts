/**
 * Retrying while a caller waits: what inline calls and the fetch adapter have in common. Knows what the tries so far have
 * shown, and decides about the next one; making it is the caller's.
 */
import type { EndpointSettings } from '../../config/settings.ts'
import { HoldfastError, messageOf } from '../../core/errors.ts'
import type { Certainty, Failure } from '../../core/failure.ts'
import type { Gate, Ledger } from '../../ledger/port.ts'
import { isAlreadyExists, isRepeatable } from '../../policy/classify/classify.ts'
import { decideInline, type InlineDecision } from '../../policy/retry/retry.ts'
import type { Answer, AttemptResult, OutboundCall } from '../call/call.ts'
import type { HealthRegistry } from '../health/health-registry.ts'
import { type AttemptParts, discard } from './attempt.ts'
import { cancelledError, type Held, heldError, type Patience, waitWhileHeld } from './waiting.ts'

export interface InlineParts extends AttemptParts {
  readonly health: HealthRegistry
  readonly ledger: Pick<Ledger, 'beginEffects' | 'endEffects' | 'closeGates'>
  /** A fresh, unique id. */
  readonly newId: () => string
}

export type PersistentEnd =
  | { readonly kind: 'succeeded'; readonly answer: Answer; readonly tries: number }
  | {
      readonly kind: 'gave_up'
      readonly error: HoldfastError
      readonly answer: Answer | undefined
      readonly tries: number
    }

/**
 * Tries until it succeeds, is not worth another try, or time is up. The first try goes straight through: what retries need
 * is made when the first one is needed.
 * @throws HoldfastError where nothing was sent at all (held), or the caller cancelled while it waited.
 */
export async function persevere(
  parts: InlineParts,
  call: OutboundCall,
  deadlineMs: number,
  attempt: (call: OutboundCall, parts: InlineParts) => Promise<AttemptResult>,
): Promise<PersistentEnd> {
  const startedMs = parts.clock.monotonicMs()
  let result = await attempt(withinDeadline(call, deadlineMs), parts)
  if (result.kind === 'succeeded') return { kind: 'succeeded', answer: result.answer, tries: 1 }
  const persistence = new Persistence(parts, call, startedMs, deadlineMs)
  while (result.kind !== 'succeeded') {
    if (result.kind === 'held') {
      await persistence.afterHeld(result)
    } else {
      if (result.answer && persistence.isOurs(result.failure)) break
      const reason = await persistence.afterFailure(result.failure)
      if (reason !== undefined) {
        const { tries } = persistence
        return { kind: 'gave_up', error: persistence.error(result.failure, reason), answer: result.answer, tries }
      }
      await discard(result.answer)
    }
    const next = { ...call, attempt: persistence.tries + 1 }
    result = await attempt(withinDeadline(next, persistence.remainingMs), parts)
  }
  return { kind: 'succeeded', answer: result.answer as Answer, tries: persistence.tries + 1 }
}

/** No try outlives the caller's patience. */
function withinDeadline(call: OutboundCall, leftMs: number): OutboundCall {
  if (leftMs >= call.endpoint.timeouts.totalMs) return call
  const totalMs = Math.max(1, leftMs)
  const endpoint: EndpointSettings = { ...call.endpoint, timeouts: { ...call.endpoint.timeouts, totalMs } }
  return { ...call, endpoint }
}

/** What the tries so far have shown. */
class Persistence {
  /** Tries made, whether they count or not. */
  tries = 0
  readonly #parts: InlineParts
  readonly #call: OutboundCall
  readonly #startedMs: number
  readonly #patience: Patience
  /** The worst that is known about the effect, over all tries. */
  #certainty: Certainty = 'not_sent'
  #attempts = 0
  #sameClassInARow = 0
  #notFound = 0
  #wokenForPlace = false
  #previousDelayMs: number | undefined
  #lastFailure: Failure | undefined

  constructor(parts: InlineParts, call: OutboundCall, startedMs: number, deadlineMs: number) {
    this.#parts = parts
    this.#call = call
    this.#startedMs = startedMs
    const { health, clock, random } = parts
    const { lane, signal } = call
    this.#patience = { health, clock, random, lane, signal, deadlineMs: startedMs + deadlineMs }
  }

  /** "Already there": our own earlier try, whose answer was lost, has done it (C19). */
  isOurs(failure: Failure): boolean {
    const mayBeOurs = this.#certainty !== 'not_sent' && this.#call.endpoint.idempotency.kind === 'natural'
    return mayBeOurs && isAlreadyExists(failure)
  }

  get remainingMs(): number {
    return this.#patience.deadlineMs - this.#parts.clock.monotonicMs()
  }

  /**
   * Waits until what holds the call is over.
   * @throws HoldfastError of the last failure, else of what holds it, where that does not end in time.
   */
  async afterHeld(held: Held): Promise<void> {
    const goOn = await this.#orCancelled(waitWhileHeld(held, this.#patience, this.#wokenForPlace))
    this.#wokenForPlace = held.by === 'concurrency'
    if (goOn) return
    throw this.#lastFailure ? this.error(this.#lastFailure, held.reason) : heldError(held, this.#call.lane)
  }

  /** Waits until the next try. `undefined`: go on. Else why not. */
  async afterFailure(failure: Failure): Promise<string | undefined> {
    this.tries += 1
    this.#wokenForPlace = false
    this.#certainty = worse(this.#certainty, failure.certainty)
    this.#sameClassInARow = failure.class === this.#lastFailure?.class ? this.#sameClassInARow + 1 : 1
    this.#lastFailure = failure
    if (failure.class !== 'rate_limited') this.#attempts += 1
    return this.#waitForRecord(failure) ?? (await this.#decide(failure))
  }

  async #decide(failure: Failure): Promise<string | undefined> {
    const { clock, random } = this.#parts
    const facts = {
      failure,
      repeatable: isRepeatable(this.#call.endpoint.idempotency),
      attempts: Math.max(1, this.#attempts),
      sameClassInARow: this.#sameClassInARow,
      ageMs: clock.monotonicMs() - this.#startedMs,
      ...(this.#previousDelayMs !== undefined && { previousDelayMs: this.#previousDelayMs }),
    }
    const decision = decideInline(facts, this.remainingMs, this.#call.endpoint.retry, random)
    const pauseMs = pauseOfLane(failure, decision)
    if (pauseMs !== undefined) await this.#closeGate(pauseMs, decision.reason)
    if (decision.kind === 'give_up') return decision.reason
    if (this.#call.body instanceof ReadableStream) return 'a body that is a stream cannot be sent again'
    this.#previousDelayMs = decision.delayMs
    await this.#orCancelled(clock.sleep(decision.delayMs, this.#call.signal))
    return undefined
  }

  /** D04: a record that shows up late is asked for again, where the endpoint is known for it. */
  #waitForRecord(failure: Failure): Promise<undefined> | undefined {
    const patience = this.#call.endpoint.eventuallyConsistent
    if (!patience || failure.class !== 'not_found') return undefined
    if (this.#notFound >= patience.retries || patience.delayMs >= this.remainingMs) return undefined
    this.#notFound += 1
    return this.#orCancelled(this.#parts.clock.sleep(patience.delayMs, this.#call.signal)).then(() => undefined)
  }

  /** One 429 slows the whole lane, in all processes (rule 4). */
  async #closeGate(delayMs: number, reason: string): Promise<void> {
    const { health, ledger, clock, events } = this.#parts
    const gate: Gate = { lane: this.#call.lane, untilMs: clock.wallMs() + delayMs, reason }
    health.closeGate(gate.lane, gate.untilMs, gate.reason)
    try {
      await ledger.closeGates([gate])
    } catch (cause) {
      // This process obeys it all the same; the others will meet the 429 themselves.
      events.emit('engine.trouble', clock.wallMs(), { where: 'client.closeGates', message: messageOf(cause), cause })
    }
  }

  /** The caller's error: the last failure, with what is known over all tries. */
  error(failure: Failure, reason: string): HoldfastError {
    if (failure.class === 'cancelled') return cancelledError(this.#certainty, this.#call.signal?.reason)
    return new HoldfastError({
      code: failure.code,
      class: failure.class,
      certainty: worse(this.#certainty, failure.certainty),
      message: failure.message,
      userMessage: failure.userMessage,
      hint: failure.hint,
      failure,
      details: { lane: this.#call.lane, endpoint: this.#call.endpoint.endpoint, tries: this.tries, reason },
    })
  }

  async #orCancelled<Value>(waiting: Promise<Value>): Promise<Value> {
    try {
      return await waiting
    } catch (reason) {
      throw cancelledError(this.#certainty, reason)
    }
  }
}

/** One 429 slows the whole lane (rule 4), also where this caller has no time left for another try. */
function pauseOfLane(failure: Failure, decision: InlineDecision): number | undefined {
  if (failure.class !== 'rate_limited') return undefined
  if (decision.kind === 'retry') return decision.delayMs
  return decision.disposition.kind === 'close_gate' ? decision.disposition.delayMs : failure.retryAfterMs
}

const SEVERITY: Record<Certainty, number> = { not_sent: 0, maybe_applied: 1, applied: 2 }

function worse(one: Certainty, other: Certainty): Certainty {
  return SEVERITY[one] >= SEVERITY[other] ? one : other
}
