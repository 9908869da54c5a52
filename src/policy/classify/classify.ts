import type { IdempotencySettings, IntegrationSettings } from '../../config/settings.ts'
import { type HoldfastError, isHoldfastError, messageOf } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import { CLASS_WORDS } from '../explain-words.ts'
import { redactText } from '../redact.ts'
import { looksLikeHtml } from './classify-body.ts'
import { effectOf, excerptOf, shorten } from './classify-shared.ts'
import { ruleForStatus } from './default-rules.ts'
import { certaintyOfFault, ruleForFault } from './network-faults.ts'

/** What is known about a call when its end is judged. */
export interface CallFacts {
  readonly method: string
  /** `GET /people/{email}` */
  readonly endpoint: string
  readonly idempotency: IdempotencySettings
}

/** An answer that arrived whole. */
export interface AnswerFacts {
  readonly status: number
  /** Names in lower case; several values joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON where the body is JSON, else undefined. */
  readonly body: Json | undefined
  /** Body text, where there is one (at most what the response limit allowed). */
  readonly bodyText: string
  /** Wall clock at receipt: dates in headers count from here. */
  readonly receivedAtMs: number
}

/** A call that ended without a whole answer. */
export interface NetworkFault {
  /** `ECONNRESET`, `UND_ERR_SOCKET`, `timeout_headers`, ... (facts.md, section 5) */
  readonly code: string
  /** How far it had come when it broke. */
  readonly phase: 'before_send' | 'connect' | 'sending' | 'waiting_for_headers' | 'reading_body'
  /** `connect`, `getaddrinfo`, `read`, ... where the system names it. */
  readonly syscall?: string
  /** Bytes that went into the socket of this request, where known. 0 proves that nothing was sent. */
  readonly bytesWritten?: number
  /** Status, where headers had arrived. */
  readonly status?: number
  readonly message: string
  /** True where the caller's own signal ended it. */
  readonly cancelledByCaller?: boolean
}

export type ClassificationSettings = Pick<
  IntegrationSettings,
  'name' | 'errorPaths' | 'errors' | 'redact' | 'rateLimits'
>

export { classifyAnswer } from './classify-answer.ts'

/**
 * Judges a call that got no whole answer (facts.md, section 5). Class and cap come from the table in network-faults.ts, the
 * certainty from how far the call had come; where headers had arrived, from their status too.
 */
export function classifyNetworkFault(call: CallFacts, fault: NetworkFault): Failure {
  const { rule, name } = ruleForFault(fault)
  const answered = fault.status === undefined ? undefined : ruleForStatus(fault.status)
  // The body is lost, but a refusal is a refusal: a 429 closes the gate, a 4xx had no effect.
  const isRateLimited = rule.class === 'transient' && answered?.class === 'rate_limited'
  const failureClass = isRateLimited ? 'rate_limited' : rule.class
  const words = CLASS_WORDS[failureClass]
  const said = shorten(redactText(fault.message), 300)
  return {
    class: failureClass,
    code: fault.code === '' ? 'network_error' : fault.code,
    message: `${call.endpoint} ${rule.meaning} (${[fault.code, fault.phase].filter(Boolean).join(', ')})${said && `: ${said}`}`,
    userMessage: words.userMessage,
    certainty: effectOf(call, answered?.certainty ?? certaintyOfFault(rule, fault)),
    hint: isRateLimited ? words.hint : rule.hint,
    rule: `default:network.${name} (by network error code)`,
    ...(fault.status !== undefined && { status: fault.status }),
    ...(rule.maxRetries !== undefined && { maxRetries: rule.maxRetries }),
    countsAgainstBreaker: rule.countsAgainstBreaker && !isRateLimited,
  }
}

/**
 * Judges an answer with a good status that is not what was promised (R027, D07): worth two more tries where repeating is
 * safe, and applied where it was a write, so that it is never resent blindly. `reason` says what is wrong with it.
 */
export function classifyMalformed(
  call: CallFacts,
  answer: Pick<AnswerFacts, 'status' | 'bodyText'>,
  reason: string,
): Failure {
  const words = CLASS_WORDS.malformed_response
  const excerpt = excerptOf(undefined, answer.bodyText, [])
  return {
    class: 'malformed_response',
    code: malformedCode(answer.bodyText),
    message: `${call.endpoint} was answered ${answer.status}, but ${shorten(redactText(reason), 500)}`,
    userMessage: words.userMessage,
    certainty: effectOf(call, 'applied'),
    hint: words.hint,
    rule: 'default:malformed (R027, D07)',
    status: answer.status,
    maxRetries: isRepeatable(call.idempotency) ? 2 : 0,
    // A proxy or maintenance page with a good status is an endpoint that does not work.
    countsAgainstBreaker: true,
    ...(excerpt !== '' && { bodyExcerpt: excerpt }),
  }
}

function malformedCode(bodyText: string): string {
  if (bodyText.trim() === '') return 'empty_response'
  return looksLikeHtml(bodyText) ? 'html_response' : 'malformed_response'
}

/**
 * Judges what user code threw: a HoldfastError keeps its class and certainty, anything else is `unknown`. `safe`: the code may
 * run again whatever it did, so there is no effect to look for.
 */
export function classifyThrown(thrown: unknown, safe: boolean): Failure {
  if (isHoldfastError(thrown)) return thrown.failure ?? failureOfError(thrown)
  const words = CLASS_WORDS.unknown
  return {
    class: 'unknown',
    code: codeOfThrown(thrown),
    message: shorten(redactText(textOfThrown(thrown)), 500),
    userMessage: words.userMessage,
    certainty: safe ? 'not_sent' : 'maybe_applied',
    hint: safe
      ? 'Look at the error and where the step threw it, correct the step, then replay.'
      : 'Look whether the step had its effect. A step that may run twice is marked "safe"; one that can look has "reconcile".',
    rule: 'default:thrown by user code (R005)',
    maxRetries: 2,
    countsAgainstBreaker: false,
  }
}

function failureOfError(error: HoldfastError): Failure {
  return {
    class: error.class,
    code: error.code,
    message: shorten(redactText(error.message), 500),
    userMessage: error.userMessage,
    certainty: error.certainty,
    hint: error.hint === '' ? CLASS_WORDS[error.class].hint : error.hint,
    rule: 'error:its own class (HoldfastError)',
    countsAgainstBreaker: false,
  }
}

/** A stable code: the error's own where it has one, else its kind; never its text. */
function codeOfThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'thrown_value'
  const code: unknown = Reflect.get(thrown, 'code')
  if (typeof code === 'string' && /^[\w.-]{1,80}$/.test(code)) return code
  return /^[\w.-]{1,80}$/.test(thrown.name) ? thrown.name : 'Error'
}

/** Reading a thrown value runs foreign getters and toString methods: they may throw too. */
function textOfThrown(thrown: unknown): string {
  try {
    return messageOf(thrown)
  } catch {
    return 'a value that cannot be turned into text was thrown'
  }
}

/** True where repeating the call has the effect of making it once: by nature, or by a key that the API honours (R096). */
export function isRepeatable(idempotency: IdempotencySettings): boolean {
  return idempotency.kind !== 'unsafe'
}

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PUT', 'DELETE'])

/** By method alone: reads, PUT and DELETE are safe, everything else is not (R096). */
export function defaultIdempotency(method: string): IdempotencySettings {
  return { kind: SAFE_METHODS.has(method.toUpperCase()) ? 'safe' : 'unsafe' }
}

/**
 * True where the API says that the record is there already (D05). Whether that is success, only the caller knows: it is where
 * the record is ours, by natural key or by what we sent before.
 */
export function isAlreadyExists(failure: Failure): boolean {
  return failure.class === 'conflict' && failure.code === 'already_exists'
}
