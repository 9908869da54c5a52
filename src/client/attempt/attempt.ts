/** One attempt of one call: admission, sending, checking, judging, reporting (design.md, "the request lifecycle"). */
import type { Clock } from '../../core/clock.ts'
import type { EventBus, HeldBy } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import type { Random } from '../../core/random.ts'
import {
  type CallFacts,
  classifyAnswer,
  classifyMalformed,
  classifyNetworkFault,
} from '../../policy/classify/classify.ts'
import { readRateLimits } from '../../policy/rate-limits/rate-limits.ts'
import type { Answer, AttemptResult, OutboundCall } from '../call/call.ts'
import { checkSchema, readAnswer, whyMalformed } from '../call/incoming.ts'
import { outgoingRequest } from '../call/outgoing.ts'
import { bringsOwnCredential, type Credentials, isMadePerCall, type SentWith } from '../credentials/credentials.ts'
import { hideInFailure, secretsInHeaders } from '../credentials/known-secrets.ts'
import type { CallRecorder } from '../health/endpoint-recorder.ts'
import type { CallEnd, Health, Permit } from '../health/health.ts'
import type { Transport, TransportAnswer, TransportRequest, TransportResult } from '../wire/transport.ts'

export interface AttemptParts {
  readonly health: Health
  readonly transport: Transport
  readonly credentials: Credentials
  readonly clock: Clock
  readonly random: Random
  readonly events: EventBus
  readonly statistics: CallRecorder
}

/** What an answer turned out to be. */
export type Judged =
  | { readonly failure: Failure; readonly answer?: Answer }
  | { readonly failure?: undefined; readonly answer: Answer }

export type Judge = (call: OutboundCall, parts: AttemptParts, raw: TransportAnswer) => Promise<Judged>

const SUCCEEDED: CallEnd = { type: 'succeeded' }
const THROTTLED: CallEnd = { type: 'throttled' }
const NEUTRAL: CallEnd = { type: 'neutral' }
const NO_READINGS: NonNullable<OutboundCall['integration']['rateLimits']> = []

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
  if (isMadePerCall(call.integration) && !bringsOwnCredential(call)) return withCredential(call, parts, request, judge)
  const result = await sendOnce(call, parts, request, judge)
  if (isRefused(result)) await parts.credentials.refused(call, sentWith(0, result, parts), result.failure)
  return result
}

/** A refused credential is renewed once, and the call made once more, which is no attempt of its own (D01). */
async function withCredential(
  call: OutboundCall,
  parts: AttemptParts,
  request: TransportRequest,
  judge: Judge,
): Promise<AttemptResult> {
  const { credentials } = parts
  const first = await credentials.authorize(call, request)
  if (first.kind === 'held') return held(call, parts, { by: 'credentials', ...first })
  const result = await sendOnce(call, parts, first.request, judge)
  if (!isRefused(result)) return result
  const second = await credentials.renew(call, request, sentWith(first.version, result, parts), result.failure)
  if (!second || request.body instanceof ReadableStream) return result
  await discard(result.answer)
  if (second.kind === 'held') return held(call, parts, { by: 'credentials', ...second })
  const again = await sendOnce(call, parts, second.request, judge)
  if (isRefused(again)) await credentials.refused(call, sentWith(second.version, again, parts), again.failure)
  return again
}

type Failed = Extract<AttemptResult, { kind: 'failed' }>

function isRefused(result: AttemptResult): result is Failed {
  return result.kind === 'failed' && result.failure.class === 'authentication'
}

function sentWith(version: number, { latencyMs }: Failed, { clock }: AttemptParts): SentWith {
  return { version, sentAtMs: clock.wallMs() - latencyMs }
}

/** A streamed answer that nobody will read would hold its connection. */
export async function discard(answer: Answer | undefined): Promise<void> {
  if (answer?.data instanceof ReadableStream) await answer.data.cancel()
}

async function sendOnce(
  call: OutboundCall,
  parts: AttemptParts,
  request: TransportRequest,
  judge: Judge,
): Promise<AttemptResult> {
  const admission = parts.health.admit(call)
  if (!admission.admitted) return held(call, parts, admission)
  const startedMs = parts.clock.monotonicMs()
  const { sent, judged } = await exchange(call, parts, request, judge, admission.permit)
  const latencyMs = parts.clock.monotonicMs() - startedMs
  parts.statistics.count(call, sent, judged.failure, latencyMs)
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
): Promise<{ sent: TransportResult; judged: Judged }> {
  let end: CallEnd = NEUTRAL
  try {
    const result = await parts.transport.send(request)
    const receivedAtMs = parts.clock.wallMs()
    const judged: Judged = withoutSecrets(
      call,
      parts,
      result.ok
        ? await judge(call, parts, result.answer)
        : { failure: classifyNetworkFault(factsOf(call), result.fault) },
    )
    if (result.ok) {
      const answer = { headers: result.answer.headers, body: judged.answer?.data as Json | undefined }
      const told = readRateLimits(answer, call.integration.rateLimits ?? NO_READINGS, receivedAtMs)
      if (told.length > 0) parts.health.learnLimits(permit, told)
    }
    end = judged.failure ? endOf(judged.failure) : SUCCEEDED
    return { sent: result, judged }
  } finally {
    parts.health.report(permit, end)
  }
}

/** An escape of JSON may have hidden one from the first search. */
function withoutSecrets(call: OutboundCall, { credentials }: AttemptParts, judged: Judged): Judged {
  if (!judged.failure) return judged
  const secrets = credentials.secrets.of(call.integration)
  return { ...judged, failure: hideInFailure(judged.failure, (text) => secrets.hide(text)) }
}

/** What an API repeats of a secret goes no further (rule 7). */
export function withoutEchoes(
  call: OutboundCall,
  { credentials }: AttemptParts,
  raw: TransportAnswer,
): TransportAnswer {
  const clean = credentials.secrets.of(call.integration).withoutEchoes(raw)
  return raw.status < 300 ? clean : secretsInHeaders(call.headers).withoutEchoes(clean)
}

/** The usual way to read and judge an answer. */
export async function judgeAnswer(call: OutboundCall, parts: AttemptParts, received: TransportAnswer): Promise<Judged> {
  const raw = withoutEchoes(call, parts, received)
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
  // A 4xx that counts as success (a DELETE that found nothing, D04) has an error's body: there is nothing to hold to.
  if (status >= 300) return { answer }
  const malformed = whyMalformed(call, raw, read)
  if (malformed) return { failure: classifyMalformed(facts, { status, bodyText: read.text }, malformed), answer }
  if (!call.responseSchema) return { answer }
  const checked = await checkSchema(call, answer.data)
  if (checked.ok) return { answer: { status, headers, data: checked.data } }
  return { failure: classifyMalformed(facts, { status, bodyText: read.text }, checked.reason), answer }
}

export function factsOf(call: Pick<OutboundCall, 'method' | 'endpoint'>): CallFacts {
  return { method: call.method, endpoint: call.endpoint.endpoint, idempotency: call.endpoint.idempotency }
}

/** How a failure counts for the breakers (D12). */
function endOf(failure: Failure): CallEnd {
  if (failure.class === 'rate_limited') return THROTTLED
  return failure.countsAgainstBreaker ? { type: 'failed', code: failure.code } : NEUTRAL
}

type HeldResult = Extract<AttemptResult, { kind: 'held' }>

function held(
  call: OutboundCall,
  parts: AttemptParts,
  { by, untilMs, reason }: Pick<HeldResult, 'by' | 'untilMs' | 'reason'>,
): HeldResult {
  reportHeld(call, parts, by, untilMs)
  return { kind: 'held', by, untilMs, reason }
}

function reportHeld(call: OutboundCall, { events, clock }: AttemptParts, by: HeldBy, untilMs: number): void {
  if (!events.wants('call.held')) return
  events.emit('call.held', clock.wallMs(), {
    integration: call.integration.name,
    endpoint: call.endpoint.endpoint,
    lane: call.lane,
    by,
    untilMs,
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
