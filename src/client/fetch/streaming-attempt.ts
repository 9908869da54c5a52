/** Tries whose answers are handed on as they come: what `fetch` and the gateway's proxy have in common. */
import { HoldfastError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { classifyAnswer, classifyMalformed, classifyNetworkFault } from '../../policy/classify/classify.ts'
import { type AttemptParts, attemptWith, factsOf, type Judged, withoutEchoes } from '../attempt/attempt.ts'
import { type InlineParts, persevere } from '../attempt/persistence.ts'
import type { Answer, AttemptResult, OutboundCall } from '../call/call.ts'
import { readAnswer } from '../call/incoming.ts'
import { addressOf, traceparent } from '../call/outgoing.ts'
import type { TransportAnswer, TransportRequest } from '../wire/transport.ts'
import { hidesFailure, isPageForJson, isShortJson } from './fetch-reading.ts'
import { nestedRetriesOf } from './nested-retries.ts'
import { type Prebuffered, prebuffer } from './prebuffer.ts'

/** As much of an answer is read to understand it, where it may be an error; the caller gets all of it. */
const READ_AHEAD_BYTES = 256 * 1024

export interface StreamedEnd {
  /** As it was sent: a repeat by an SDK has got the key of the tries before. */
  readonly call: OutboundCall
  /** Its `data`: bytes where all was read ahead, else a stream. */
  readonly answer: Answer
  readonly tries: number
  /** What the answer means, where it is a failure that was given up on. */
  readonly error: HoldfastError | undefined
}

/**
 * Tries until there is an answer to hand over: a good one, or the last bad one.
 * @param ownKey the idempotency key that the caller brought
 * @throws HoldfastError where there is no answer
 */
export async function sendStreaming(
  parts: InlineParts,
  asked: OutboundCall,
  ownKey: string | undefined,
  deadlineMs: number = asked.endpoint.retry.inlineMs,
): Promise<StreamedEnd> {
  const watch = nestedRetriesOf(asked.integration)
  const repeat = watch.recognise(asked, ownKey, parts)
  if (repeat?.refusal) throw repeat.refusal
  const call = repeat?.madeKey === undefined ? asked : withKey(asked, repeat.madeKey)
  try {
    const end = await persevere(parts, call, deadlineMs, attempt)
    if (end.kind === 'succeeded') return { call, answer: end.answer, tries: end.tries, error: undefined }
    if (!end.answer) throw end.error
    watch.gaveUp(call, ownKey, end.error, true, parts)
    return { call, answer: end.answer, tries: end.tries, error: end.error }
  } catch (error) {
    if (call.body instanceof ReadableStream && !call.body.locked) await call.body.cancel(error)
    if (error instanceof HoldfastError) watch.gaveUp(call, ownKey, error, false, parts)
    throw error
  }
}

function withKey(call: OutboundCall, key: string): OutboundCall {
  const { idempotency } = call.endpoint
  if (idempotency.kind !== 'key') return call
  return { ...call, idempotencyKey: key, headers: { ...call.headers, [idempotency.header.toLowerCase()]: key } }
}

function attempt(call: OutboundCall, parts: AttemptParts): Promise<AttemptResult> {
  return attemptWith(call, parts, streamingRequest, judgeStream)
}

/** The headers are whole already: the caller's own win over the integration's. */
function streamingRequest(call: OutboundCall, random: Random): TransportRequest {
  const { path, method, headers, signal } = call
  return {
    origin: addressOf(call.integration).origin,
    path,
    method,
    headers:
      headers['traceparent'] === undefined ? { ...headers, traceparent: traceparent(call.traceId, random) } : headers,
    body: call.body as TransportRequest['body'],
    timeouts: call.endpoint.timeouts,
    maxResponseBytes: call.endpoint.maxResponseBytes,
    signal,
    streamBody: true,
  }
}

/** Good answers are handed on as they come. Those that may be bad are read first, because their body says what to do. */
async function judgeStream(call: OutboundCall, parts: AttemptParts, raw: TransportAnswer): Promise<Judged> {
  const receivedAtMs = parts.clock.wallMs()
  const { status, headers, stream } = raw
  const isPage = isPageForJson(call, status, headers)
  const mayBeBad = status >= 400 || isPage || hidesFailure(call.integration, status, headers)
  if (!stream || !(mayBeBad || isShortJson(call, headers, READ_AHEAD_BYTES))) {
    return { answer: { status, headers, data: stream } }
  }
  let buffered: Prebuffered
  try {
    buffered = await prebuffer(stream, READ_AHEAD_BYTES)
  } catch (error) {
    const message = error instanceof Error ? error.message : 'the body of the answer broke off'
    const fault = { code: 'terminated', phase: 'reading_body' as const, status, message }
    const cancelledByCaller = call.signal?.aborted === true
    return { failure: classifyNetworkFault(factsOf(call), { ...fault, cancelledByCaller }) }
  }
  const answer: Answer = { status, headers, data: buffered.rest ?? buffered.bytes }
  if (!mayBeBad) return { answer }
  // What is judged is logged and stored; what the caller gets is as it came.
  const clean = withoutEchoes(call, parts, { ...raw, body: buffered.bytes })
  const read = readAnswer(clean)
  const facts = { status, headers: clean.headers, body: read.json, bodyText: read.text, receivedAtMs }
  const failure = classifyAnswer(factsOf(call), facts, call.integration)
  if (failure) return { failure, answer }
  if (!isPage) return { answer }
  // Thrown, not handed over: SDKs would take the page for their result (R027).
  await buffered.rest?.cancel()
  const reason = 'the body is an HTML page where JSON was expected'
  return { failure: classifyMalformed(factsOf(call), { status, bodyText: read.text }, reason) }
}
