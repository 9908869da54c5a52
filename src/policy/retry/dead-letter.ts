/** What dead letters say to people, how they are grouped, and when the slow lane tries them again (R130-R134, D23). */
import type { Failure, FailureClass } from '../../core/failure.ts'
import { sha256Hex } from '../../core/json.ts'
import { CERTAINTY_WORDS, CLASS_WORDS } from '../explain-words.ts'
import { redactText } from '../redact.ts'

/** Who or what can fix it (D23): outage causes redrive themselves, the others wait for a person. */
export type DeadLetterCause = 'outage' | 'data' | 'schema' | 'credentials' | 'configuration' | 'unknown'

export interface DeadLetterText {
  readonly fingerprint: string
  readonly summary: string
  readonly hint: string
  readonly cause: DeadLetterCause
}

interface Where {
  /** Empty for a step of code, which belongs to no integration. */
  readonly integration: string
  readonly endpoint: string
  readonly pipeline: string
  readonly step: string
}

const CAUSES: Readonly<Record<FailureClass, DeadLetterCause>> = {
  transient: 'outage',
  rate_limited: 'outage',
  wait_long: 'outage',
  held: 'outage',
  authentication: 'credentials',
  authorization: 'credentials',
  not_found: 'data',
  conflict: 'data',
  validation: 'data',
  too_large: 'data',
  schema: 'schema',
  // An answer that does not fit its schema; pages of proxies are told apart by their code.
  malformed_response: 'schema',
  configuration: 'configuration',
  unknown: 'unknown',
  cancelled: 'unknown',
}

/** Answers that cannot be used for another reason than their schema. */
const CAUSES_BY_CODE: Readonly<Record<string, DeadLetterCause>> = {
  html_response: 'outage',
  empty_response: 'outage',
  response_too_large: 'configuration',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'configuration',
}

/**
 * What a dead letter says to people (R130-R134). The fingerprint is equal for the same root cause: integration or pipeline
 * step, class, code and blamed subject, never values, ids or times. `reason` says why it was given up ("attempt 6 of 6").
 */
export function describeDeadLetter(failure: Failure, where: Where, reason: string): DeadLetterText {
  return {
    fingerprint: fingerprintOfFailure(failure, where),
    summary: summaryOf(failure, where, reason),
    hint: hintOf(failure),
    cause: causeOf(failure),
  }
}

export function causeOf(failure: Pick<Failure, 'class' | 'code'>): DeadLetterCause {
  const byCode = Object.hasOwn(CAUSES_BY_CODE, failure.code) ? CAUSES_BY_CODE[failure.code] : undefined
  return (failure.class === 'malformed_response' ? byCode : undefined) ?? CAUSES[failure.class]
}

/** 12 hex digits: short enough to say aloud, and 2^48 is far more than there are root causes. */
function fingerprintOfFailure(failure: Failure, where: Where): string {
  const place = where.integration === '' ? [where.pipeline, where.step] : [where.integration]
  const parts = [...place, failure.class, failure.code, kindOfSubject(failure.subject ?? '')]
  return sha256Hex(JSON.stringify(parts)).slice(0, 12)
}

/**
 * The kind of thing a subject names: `contacts[17].email` and `contacts[3].email` are one, whatever the order of several.
 * Quoted values, e-mail addresses, URLs' hosts, UUIDs, long hex and numbers are values, not kinds.
 */
function kindOfSubject(subject: string): string {
  return subject
    .slice(0, 500)
    .toLowerCase()
    .replace(/(["'`])[^"'`]{0,200}\1/g, '*')
    .replace(/[^\s@,;]{1,100}@[^\s@,;]{1,100}/g, '*')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '*')
    .replace(/\b(?=[a-f]*\d)[0-9a-f]{8,}\b/g, '*')
    .replace(/\d+/g, '*')
    .split(',')
    .map((part) => part.trim())
    .sort()
    .join(',')
}

/** Where the answer names what it blames, so does the hint (R132: "Fix source field X"). */
function hintOf(failure: Failure): string {
  if (failure.subject !== undefined && failure.class === 'validation') {
    return `Correct ${failure.subject} in the data, at its source or in the replay, then replay.`
  }
  return failure.hint === '' ? CLASS_WORDS[failure.class].hint : failure.hint
}

function summaryOf(failure: Failure, where: Where, reason: string): string {
  const place = where.integration === '' ? 'The code' : `The call ${where.endpoint} to ${where.integration}`
  const subject = failure.subject === undefined ? '' : `, ${failure.subject}`
  const effect = failure.certainty === 'not_sent' ? '' : ` ${CERTAINTY_WORDS[failure.certainty]}`
  // "Not worth a retry" is what the class says already; that a budget ran out is news.
  const isNews = reason.trim() !== '' && !reason.startsWith('not_retryable')
  const why = !isNews ? '' : ` Given up: ${redactText(reason.trim()).replace(/\.$/, '')}.`
  const meaning = CLASS_WORDS[failure.class].meaning
  return `${place} ${meaning} (${failure.code}${subject}), in step "${where.step}" of ${where.pipeline}.${why}${effect}`
}

/** When the slow lane tries next: 10 tries over 3 days, growing, outage causes only (D09, D23). `undefined`: never. */
export function slowLaneDelayMs(
  cause: DeadLetterCause,
  triesSoFar: number,
  settings: { readonly maxTries: number; readonly spanMs: number },
): number | undefined {
  const { maxTries, spanMs } = settings
  if (cause !== 'outage' || triesSoFar >= maxTries) return undefined
  // Waits grow in proportion 1 : 2 : ... : maxTries, and add up to the span.
  const shares = (maxTries * (maxTries + 1)) / 2
  return Math.floor((spanMs * (Math.max(0, triesSoFar) + 1)) / shares)
}
