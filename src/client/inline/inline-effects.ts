/** Inline operations with a key of their own are recorded before they are sent, and done once (R089-R092, D17-D19). */
import { HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import { fingerprintOf, toJson } from '../../core/json.ts'
import type { EffectReceipt, EndedEffect, NewEffect } from '../../ledger/port.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import type { InlineParts } from '../attempt/persistence.ts'
import { cancelledError } from '../attempt/waiting.ts'
import type { OutboundCall } from '../call/call.ts'
import type { CallAnswer, CallOptions } from './client-types.ts'

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
  const reserved = await reserve(parts, call, newEffect(parts, operation), startedMs + patienceMs)
  if ('stored' in reserved) return operation.replayed(reserved.stored)
  const { effect, inDoubt } = reserved
  try {
    const answer = await run(startedMs + deadlineMs - parts.clock.monotonicMs())
    const end = operation.endOf(answer)
    if (end?.done) await record(parts, { ...endOf(effect), ...end })
    else if (end && !inDoubt) await free(parts, effect)
    else await afterDoubt(parts, call, effect)
    return answer
  } catch (thrown) {
    if (surelyWithoutEffect(thrown) && !inDoubt) await free(parts, effect)
    else await afterDoubt(parts, call, effect)
    throw thrown
  }
}

/**
 * It may have happened. By nature it may be repeated at any time; by key only while the API knows the key (D19), so that its
 * beginning must stay known; else its reservation stands until someone finds out.
 */
async function afterDoubt(parts: InlineParts, call: OutboundCall, effect: NewEffect): Promise<void> {
  const { kind } = call.endpoint.idempotency
  if (kind === 'unsafe') return
  if (kind !== 'key') return free(parts, effect)
  const nowMs = parts.clock.wallMs()
  await recorded(parts, 'client.beginEffects', () =>
    parts.ledger.beginEffects([{ ...effect, reservedUntilMs: nowMs }], nowMs),
  )
}

/** True while the API still knows a key that was first sent then, and will when the call arrives. */
function stillKnown(parts: InlineParts, { endpoint }: OutboundCall, sentMs: number): boolean {
  const { idempotency, timeouts } = endpoint
  return idempotency.kind === 'key' && parts.clock.wallMs() + timeouts.totalMs < sentMs + idempotency.lifetimeMs
}

function free(parts: InlineParts, effect: NewEffect): Promise<void> {
  return record(parts, { ...endOf(effect), done: false })
}

/** Who began it, and when: what the key's lifetime counts from. */
function ownerSince(sentMs: number, id: string): string {
  return `inline:${sentMs}:${id}`
}

function sentMsOf(owner: string): number | undefined {
  const text = /^inline:(\d+):/.exec(owner)?.[1]
  return text === undefined ? undefined : Number(text)
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
    owner: ownerSince(nowMs, parts.newId()),
    reservedUntilMs: nowMs + deadlineMs + RESERVATION_MARGIN_MS,
    keepUntilMs: nowMs + Math.max(KEEP_MS, retry.maxAgeMs + retry.slowLane.spanMs),
  }
}

function comparable(body: unknown): unknown {
  if (body instanceof Uint8Array) return Buffer.from(body).toString('base64')
  if (body instanceof URLSearchParams) return body.toString()
  return body ?? null
}

type Reserved =
  | { readonly stored: string }
  /** The operation is ours. `inDoubt`: someone began it before, and it may have happened. */
  | { readonly effect: NewEffect; readonly inDoubt: boolean }

async function reserve(parts: InlineParts, call: OutboundCall, fresh: NewEffect, endsAtMs: number): Promise<Reserved> {
  let effect = fresh
  let lookMs = FIRST_LOOK_MS
  for (;;) {
    const [receipt] = await parts.ledger.beginEffects([effect], parts.clock.wallMs())
    switch (receipt?.outcome) {
      case 'started':
        return { effect, inDoubt: effect !== fresh }
      case 'done':
        return { stored: receipt.output }
      case 'unknown':
        effect = takenOver(parts, call, fresh, receipt.owner)
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

/** Where repeating it has no second effect, the reservation of the one that was lost is taken, with its beginning. */
function takenOver(parts: InlineParts, call: OutboundCall, fresh: NewEffect, owner: string): NewEffect {
  const { idempotency } = call.endpoint
  if (!isRepeatable(idempotency)) throw unknownOutcome(fresh)
  if (idempotency.kind !== 'key') return { ...fresh }
  const sentMs = sentMsOf(owner)
  if (sentMs === undefined || !stillKnown(parts, call, sentMs)) throw unknownOutcome(fresh)
  return { ...fresh, owner: ownerSince(sentMs, parts.newId()) }
}

async function lookAgain(parts: InlineParts, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await parts.clock.sleep(delayMs, signal)
  } catch (reason) {
    throw cancelledError('not_sent', reason)
  }
}

function record(parts: InlineParts, ended: EndedEffect): Promise<void> {
  return recorded(parts, 'client.endEffects', () => parts.ledger.endEffects([ended], parts.clock.wallMs()))
}

/** A record that cannot be written makes a later repeat ask a person; the answer in hand is true all the same. */
async function recorded(parts: InlineParts, where: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    const message = `the end of an operation was not recorded: ${messageOf(cause)}`
    parts.events.emit('engine.trouble', parts.clock.wallMs(), { where, message, cause })
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
