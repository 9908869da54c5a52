/** One attempt of one call: admission, sending, checking, judging, reporting (design.md, "the request lifecycle"). */
import type { Clock } from '../core/clock.ts'
import type { EventBus } from '../core/events.ts'
import type { Failure } from '../core/failure.ts'
import type { Random } from '../core/random.ts'
import { type CallFacts, classifyAnswer, classifyMalformed, classifyNetworkFault } from '../policy/classify.ts'
import { backpressureOf } from './backpressure.ts'
import type { Answer, AttemptResult, OutboundCall } from './call.ts'
import type { CallEnd, Health, Permit } from './health.ts'
import { checkSchema, readAnswer, whyMalformed } from './incoming.ts'
import { outgoingRequest } from './outgoing.ts'
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts'

export interface AttemptParts {
  readonly health: Health
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
}

/** What an answer turned out to be. */
export type Judged =
  | { readonly failure: Failure; readonly answer?: Answer }
  | { readonly failure?: undefined; readonly answer: Answer }

export type Judge = (call: OutboundCall, parts: AttemptParts, raw: TransportAnswer) => Promise<Judged>

const SUCCEEDED: CallEnd = { type: 'succeeded' }
const NEUTRAL: CallEnd = { type: 'neutral' }

/**
 * Makes one attempt. Whatever the API or the network does comes back as a value.
 * @throws HoldfastError for what the caller must fix before anything can be sent: `invalid_header`, `not_json`,
 *   `unsupported_body`, `invalid_base_url`.
 */
export function makeAttempt(call: OutboundCall, parts: AttemptParts): Promise<AttemptResult> {
  return attemptWith(call, parts, outgoingRequest, judgeAnswer)
}

/** The attempt around a request that is made, and an answer that is read, in the caller's way. */
export async function attemptWith(
  call: OutboundCall,
  parts: AttemptParts,
  prepare: (call: OutboundCall, random: Random) => TransportRequest,
  judge: Judge,
): Promise<AttemptResult> {
  const request = prepare(call, parts.random)
  const admission = parts.health.admit(call)
  if (!admission.admitted) {
    reportHeld(call, parts, admission)
    return { kind: 'held', by: admission.by, untilMs: admission.untilMs, reason: admission.reason }
  }
  const startedMs = parts.clock.monotonicMs()
  const judged = await exchange(call, parts, request, judge, admission.permit)
  const latencyMs = parts.clock.monotonicMs() - startedMs
  if (parts.events.wants('call.ended')) reportEnd(call, parts, judged, latencyMs)
  return judged.failure
    ? { kind: 'failed', latencyMs, ...judged }
    : { kind: 'succeeded', latencyMs, answer: judged.answer }
}

/** Sends and judges. The permit is reported exactly once, even where a part of ours breaks. */
async function exchange(
  call: OutboundCall,
  parts: AttemptParts,
  request: TransportRequest,
  judge: Judge,
  permit: Permit,
): Promise<Judged> {
  let end: CallEnd = NEUTRAL
  try {
    const result = await parts.transport.send(request)
    const judged: Judged = result.ok
      ? await judge(call, parts, result.answer)
      : { failure: classifyNetworkFault(factsOf(call), result.fault) }
    end = judged.failure ? endOf(judged.failure) : SUCCEEDED
    return judged
  } finally {
    parts.health.report(permit, end)
  }
}

/** The usual way to read and judge an answer. */
export async function judgeAnswer(call: OutboundCall, parts: AttemptParts, raw: TransportAnswer): Promise<Judged> {
  const receivedAtMs = parts.clock.wallMs()
  const facts = factsOf(call)
  const read = readAnswer(raw)
  const { status, headers } = raw
  const answer: Answer = { status, headers, data: read.json === undefined ? read.text || undefined : read.json }
  const failure = classifyAnswer(
    facts,
    { status, headers, body: read.json, bodyText: read.text, receivedAtMs },
    call.integration,
  )
  if (failure) return { failure, answer }
  obeyBackpressure(call, parts, headers, receivedAtMs)
  // A 4xx that counts as success (a DELETE that found nothing, D04) has an error's body: there is nothing to hold to.
  if (status >= 300) return { answer }
  const malformed = whyMalformed(call, raw, read)
  if (malformed) return { failure: classifyMalformed(facts, { status, bodyText: read.text }, malformed), answer }
  if (!call.responseSchema) return { answer }
  const checked = await checkSchema(call, answer.data)
  if (checked.ok) return { answer: { status, headers, data: checked.data } }
  return { failure: classifyMalformed(facts, { status, bodyText: read.text }, checked.reason), answer }
}

/** Slows the lane down before the API has to (R050). */
export function obeyBackpressure(
  call: OutboundCall,
  { health }: AttemptParts,
  headers: Answer['headers'],
  receivedAtMs: number,
): void {
  const pause = backpressureOf(headers, receivedAtMs)
  if (pause) health.closeGate(call.lane, receivedAtMs + pause.delayMs, pause.reason)
}

export function factsOf(call: Pick<OutboundCall, 'method' | 'endpoint'>): CallFacts {
  return { method: call.method, endpoint: call.endpoint.endpoint, idempotency: call.endpoint.idempotency }
}

/** How a failure counts for the breakers (D12). */
function endOf(failure: Failure): CallEnd {
  return failure.countsAgainstBreaker ? { type: 'failed', code: failure.code } : NEUTRAL
}

function reportHeld(
  call: OutboundCall,
  { events, clock }: AttemptParts,
  held: { readonly by: Extract<AttemptResult, { kind: 'held' }>['by']; readonly untilMs: number },
): void {
  if (!events.wants('call.held')) return
  events.emit('call.held', clock.wallMs(), {
    integration: call.integration.name,
    endpoint: call.endpoint.endpoint,
    lane: call.lane,
    by: held.by,
    untilMs: held.untilMs,
    ...(call.itemId !== undefined && { itemId: call.itemId }),
  })
}

function reportEnd(call: OutboundCall, { events, clock }: AttemptParts, judged: Judged, latencyMs: number): void {
  const { failure } = judged
  const status = judged.answer?.status ?? failure?.status
  events.emit('call.ended', clock.wallMs(), {
    integration: call.integration.name,
    endpoint: call.endpoint.endpoint,
    lane: call.lane,
    method: call.method,
    latencyMs,
    attempt: call.attempt,
    isRetry: call.attempt > 1,
    correlationId: call.correlationId,
    ...(status !== undefined && { status }),
    ...(call.idempotencyKey !== undefined && { idempotencyKey: call.idempotencyKey }),
    ...(call.itemId !== undefined && { itemId: call.itemId }),
    ...(failure && { failure }),
  })
}
