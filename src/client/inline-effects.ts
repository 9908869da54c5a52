/** Inline operations with a key of their own are recorded before they are sent, and done once (R089-R092, D17-D19). */
import { HoldfastError, isHoldfastError, messageOf } from '../core/errors.ts'
import { fingerprintOf, toJson } from '../core/json.ts'
import type { EffectReceipt, EndedEffect, NewEffect } from '../ledger/port.ts'
import { isRepeatable } from '../policy/classify.ts'
import type { OutboundCall } from './call.ts'
import type { CallAnswer, CallOptions } from './client-types.ts'
import type { InlineParts } from './persistence.ts'
import { cancelledError } from './waiting.ts'

/** D19: never shorter than three days. */
const KEEP_MS = 72 * 3_600_000
/** Beyond the caller's deadline, for the answer to be recorded by a slow process. */
const RESERVATION_MARGIN_MS = 30_000
const FIRST_LOOK_MS = 50
const LONGEST_LOOK_MS = 1000
/** The answer's headers that a replayed answer still has. Others may be secrets (set-cookie) or untrue by then. */
export const KEPT_HEADERS = ['content-type', 'location', 'etag', 'x-request-id', 'request-id']

/** An operation that is done once, whoever asks for it how often. */
export interface Operation<Answer> {
  readonly call: OutboundCall
  /** Names it among all operations of the tenant. */
  readonly key: string
  /** Of what is sent. */
  readonly fingerprint: string
  readonly deadlineMs: number
  /** How long to wait for another caller who is at it. */
  readonly patienceMs: number
  /** What is kept of it. `{ done: false }`: it had no effect, the key is free again. `undefined`: nobody knows. */
  readonly endOf: (answer: Answer) => { done: true; output: string } | { done: false } | undefined
  readonly replayed: (output: string) => Answer
}

/** As {@link once}, for the callers of `hf.client`: they wait for another caller who is at it. */
export function onceByKey(
  parts: InlineParts,
  call: OutboundCall,
  options: CallOptions,
  deadlineMs: number,
  run: (leftMs: number) => Promise<CallAnswer>,
): Promise<CallAnswer> {
  const operation: Operation<CallAnswer> = {
    call,
    key: `${call.integration.name}:${call.endpoint.endpoint}:${options.idempotencyKey}`,
    fingerprint: fingerprintOf([call.method, call.path, comparable(options.body)]),
    deadlineMs,
    patienceMs: deadlineMs,
    endOf: (answer) => ({ done: true, output: outputOf(answer) }),
    replayed,
  }
  return once(parts, operation, run)
}

/**
 * Runs the call unless it was done before.
 * @throws HoldfastError `idempotency_key_reused` (other content), `idempotency_in_progress` (another caller is at it and
 *   does not end in time), `unknown_outcome` (someone began it and never reported back).
 */
export async function once<Answer>(
  parts: InlineParts,
  operation: Operation<Answer>,
  run: (leftMs: number) => Promise<Answer>,
): Promise<Answer> {
  const { call, deadlineMs, patienceMs } = operation
  const startedMs = parts.clock.monotonicMs()
  const effect = newEffect(parts, operation)
  const stored = await reserve(parts, call, effect, startedMs + patienceMs)
  if (stored !== undefined) return operation.replayed(stored)
  try {
    const answer = await run(startedMs + deadlineMs - parts.clock.monotonicMs())
    const end = operation.endOf(answer)
    if (end) await record(parts, { ...endOf(effect), ...end })
    return answer
  } catch (thrown) {
    if (isRepeatable(call.endpoint.idempotency) || surelyWithoutEffect(thrown)) {
      await record(parts, { ...endOf(effect), done: false })
    }
    throw thrown
  }
}

function newEffect(
  parts: InlineParts,
  { call, key, fingerprint, deadlineMs }: Pick<Operation<unknown>, 'call' | 'key' | 'fingerprint' | 'deadlineMs'>,
): NewEffect {
  const nowMs = parts.clock.wallMs()
  const { retry } = call.endpoint
  return {
    tenant: call.tenant,
    key,
    fingerprint,
    owner: `inline:${parts.newId()}`,
    reservedUntilMs: nowMs + deadlineMs + RESERVATION_MARGIN_MS,
    keepUntilMs: nowMs + Math.max(KEEP_MS, retry.maxAgeMs + retry.slowLane.spanMs),
  }
}

function comparable(body: unknown): unknown {
  if (body instanceof Uint8Array) return Buffer.from(body).toString('base64')
  if (body instanceof URLSearchParams) return body.toString()
  return body ?? null
}

/** What is stored of it, or `undefined` once the operation is ours. */
async function reserve(
  parts: InlineParts,
  call: OutboundCall,
  effect: NewEffect,
  endsAtMs: number,
): Promise<string | undefined> {
  let lookMs = FIRST_LOOK_MS
  for (;;) {
    const [receipt] = await parts.ledger.beginEffects([effect], parts.clock.wallMs())
    switch (receipt?.outcome) {
      case 'started':
        return undefined
      case 'done':
        return receipt.output
      case 'unknown':
        if (!isRepeatable(call.endpoint.idempotency)) throw unknownOutcome(effect)
        // Repeating it has no second effect: take the reservation of the one that was lost.
        await parts.ledger.endEffects([{ ...endOf(effect), owner: receipt.owner, done: false }], parts.clock.wallMs())
        break
      case 'in_progress':
        if (parts.clock.monotonicMs() + lookMs >= endsAtMs) throw inProgress(effect, receipt)
        await lookAgain(parts, lookMs, call.signal)
        lookMs = Math.min(lookMs * 2, LONGEST_LOOK_MS)
        break
      default:
        throw keyReused(effect)
    }
  }
}

async function lookAgain(parts: InlineParts, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await parts.clock.sleep(delayMs, signal)
  } catch (reason) {
    throw cancelledError('not_sent', reason)
  }
}

/** A record that cannot be written makes a later repeat ask a person; the answer in hand is true all the same. */
async function record(parts: InlineParts, ended: EndedEffect): Promise<void> {
  try {
    await parts.ledger.endEffects([ended], parts.clock.wallMs())
  } catch (cause) {
    const message = `the end of an operation was not recorded: ${messageOf(cause)}`
    parts.events.emit('engine.trouble', parts.clock.wallMs(), { where: 'client.endEffects', message, cause })
  }
}

function endOf({ tenant, key, owner }: NewEffect): Pick<EndedEffect, 'tenant' | 'key' | 'owner'> {
  return { tenant, key, owner }
}

function outputOf({ status, headers, data }: CallAnswer): string {
  const kept = Object.fromEntries(KEPT_HEADERS.flatMap((name) => (headers[name] ? [[name, headers[name]]] : [])))
  return toJson({ status, headers: kept, data: data ?? null })
}

function replayed(output: string): CallAnswer {
  const { status, headers, data } = JSON.parse(output) as Pick<CallAnswer, 'status' | 'headers' | 'data'>
  return { status, headers, data, attempts: 0, replayed: true }
}

function surelyWithoutEffect(thrown: unknown): boolean {
  return isHoldfastError(thrown) && thrown.certainty === 'not_sent'
}

function unknownOutcome({ key }: NewEffect): HoldfastError {
  return new HoldfastError({
    code: 'unknown_outcome',
    class: 'unknown',
    certainty: 'maybe_applied',
    message: `Operation "${key}" was begun before and never reported back: it may have happened`,
    hint: 'Look at the API whether it happened. Use a new key only if it did not.',
    details: { key },
  })
}

function inProgress({ key }: NewEffect, receipt: Extract<EffectReceipt, { outcome: 'in_progress' }>): HoldfastError {
  return new HoldfastError({
    code: 'idempotency_in_progress',
    class: 'conflict',
    message: `Operation "${key}" is being done by ${receipt.owner}`,
    hint: 'Call again with the same key: you get its result once it has ended.',
    details: { key, owner: receipt.owner, reservedUntilMs: receipt.reservedUntilMs },
  })
}

function keyReused({ key }: NewEffect): HoldfastError {
  return new HoldfastError({
    code: 'idempotency_key_reused',
    class: 'validation',
    message: `Operation "${key}" was already begun with other content`,
    hint: 'One key names one operation: use another key for other content.',
    details: { key },
  })
}
