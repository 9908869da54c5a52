/**
 * Judges an answer. Order of verdicts (facts.md section 7): an explicit header of the server, then the integration's own
 * rules, then those of its profile, then the default table; body and headers refine what the table says.
 */
import type { RuleWait } from '../../config/profile-rule.ts'
import type { ErrorRule } from '../../config/settings.ts'
import type { Certainty, Failure, FailureClass } from '../../core/failure.ts'
import { CLASS_WORDS } from '../explain-words.ts'
import { rateLimitWait } from '../rate-limits/rate-limits.ts'
import { parseBodyRetryAfter, parseRetryAfter } from '../rate-limits/retry-after.ts'
import { redactText } from '../redact.ts'
import type { AnswerFacts, CallFacts, ClassificationSettings } from './classify.ts'
import { type BodyFacts, readErrorBody, scopesInBody } from './classify-body.ts'
import {
  blamesInput,
  blamesSchema,
  conflictCode,
  fieldInMessage,
  gatewayLostConnection,
  idempotencyTrouble,
  scopesInHeaders,
  scopesInMessage,
} from './classify-patterns.ts'
import {
  codeThatMatched,
  type JudgedAnswer,
  type ReadyRule,
  ruleMatches,
  rulesForStatus,
  waitOfRule,
} from './classify-rules.ts'
import { effectOf, excerptOf, isDelete, shorten } from './classify-shared.ts'
import { ruleForStatus } from './default-rules.ts'

/** What has been decided so far; `certainty` is that of a write. */
interface Verdict {
  readonly class: FailureClass
  readonly code: string
  readonly certainty: Certainty
  readonly countsAgainstBreaker: boolean
  readonly maxRetries?: number | undefined
  readonly meaning: string
  readonly hint: string
  readonly userMessage: string
  readonly rule: string
  readonly subject?: string | undefined
  readonly wait?: RuleWait | undefined
}

/** Good answers of vendors that answer 200 with an error inside are asked by path only; the whole reading is for failures. */
class Judged implements JudgedAnswer {
  readonly call: CallFacts
  readonly answer: AnswerFacts
  readonly settings: ClassificationSettings
  #body: BodyFacts | undefined

  constructor(call: CallFacts, answer: AnswerFacts, settings: ClassificationSettings) {
    this.call = call
    this.answer = answer
    this.settings = settings
  }

  get body(): BodyFacts {
    this.#body ??= readErrorBody(this.answer, this.settings)
    return this.#body
  }
}

/** Judges an answer; `undefined` means success. Never throws, whatever the API sent. */
export function classifyAnswer(
  call: CallFacts,
  answer: AnswerFacts,
  settings: ClassificationSettings,
): Failure | undefined {
  const isGood = ruleForStatus(answer.status) === undefined
  const rules = rulesForStatus(settings.errors, answer.status)
  // The path of nearly every call: its body is not even looked at.
  if (isGood && rules.length === 0) return undefined
  const judged = new Judged(call, answer, settings)
  const verdict = byRules(rules, judged) ?? byDefault(judged)
  if (verdict === 'success') return undefined
  return toFailure(judged, isGood ? verdict : obeyRetryHeader(verdict, answer.headers))
}

/** The rule of the integration or its profile that decides; `undefined` where the default table does. */
export function decidingRule(
  call: CallFacts,
  answer: AnswerFacts,
  settings: ClassificationSettings,
): ErrorRule | undefined {
  const judged = new Judged(call, answer, settings)
  return rulesForStatus(settings.errors, answer.status).find((ready) => ruleMatches(ready, judged))?.rule
}

// --- The rules of the integration and its profile (R022) ---

function byRules(rules: readonly ReadyRule[], judged: Judged): Verdict | 'success' | undefined {
  const found = rules.find((ready) => ruleMatches(ready, judged))
  if (!found) return undefined
  return found.rule.class === 'success' ? 'success' : verdictOfRule(found, found.rule.class, judged)
}

function verdictOfRule(ready: ReadyRule, ruleClass: FailureClass, judged: Judged): Verdict {
  const { answer, settings, body } = judged
  const { rule } = ready
  const base = ruleForStatus(answer.status)
  const words = CLASS_WORDS[ruleClass]
  const code = codeThatMatched(ready, judged) ?? body.codes[0] ?? `http_${answer.status}`
  return {
    class: ruleClass,
    code: rule.reportAs ?? codeOf(ruleClass, answer.status, body, code),
    certainty: rule.certainty ?? certaintyOfRule(ruleClass, base?.certainty),
    countsAgainstBreaker:
      rule.countsAgainstBreaker ?? (ruleClass === 'transient' || ruleClass === 'malformed_response'),
    maxRetries:
      rule.maxRetries ?? (base?.class === ruleClass ? base.maxRetries : ruleClass === 'unknown' ? 2 : undefined),
    meaning: words.meaning,
    hint: rule.hint ?? words.hint,
    userMessage: rule.userMessage ?? words.userMessage,
    rule: rule.label ?? `${settings.name}:errors[${ready.index}]${sourceText(rule.source)}`,
    subject: ruleClass === 'authorization' ? scopesOf(judged) : subjectOf(ruleClass, body),
    wait: rule.retryAfter,
  }
}

function sourceText(source: ErrorRule['source']): string {
  if (source === undefined) return ''
  return ` (${typeof source === 'string' ? source : `${source.url}, read ${source.read}`})`
}

/** Only these leave open whether something was done; a bad status tells, and a good one with such a body may have. */
function certaintyOfRule(ruleClass: FailureClass, ofStatus: Certainty | undefined): Certainty {
  if (ruleClass === 'malformed_response') return 'applied'
  return ruleClass === 'transient' || ruleClass === 'unknown' ? (ofStatus ?? 'maybe_applied') : 'not_sent'
}

// --- The default table, refined by body and headers ---

function byDefault(judged: Judged): Verdict | 'success' {
  const { answer, call } = judged
  const rule = ruleForStatus(answer.status)
  if (rule === undefined) return 'success'
  const { body } = judged
  // R015: gone is what was wanted.
  if (rule.class === 'not_found' && isDelete(call)) return 'success'
  const verdict: Verdict = {
    ...rule,
    code: codeOf(rule.class, answer.status, body, body.codes[0] ?? `http_${answer.status}`),
    rule: `default:http.${answer.status} (${rule.source})`,
    subject: subjectOf(rule.class, body),
  }
  return refine(verdict, judged)
}

function refine(verdict: Verdict, judged: Judged): Verdict {
  const { answer, body } = judged
  if (answer.status === 500 && blamesInput(body.codes, body.message)) {
    return reclassified(verdict, 'validation', 'http.500 whose body blames the input (R016, D06)', body)
  }
  if (answer.status === 503 && gatewayLostConnection(body.message)) {
    return { ...verdict, certainty: 'maybe_applied', rule: 'default:http.503 by a gateway that lost the API (R019)' }
  }
  if (verdict.class === 'authorization') return withScopes(verdict, judged)
  return [400, 409, 422].includes(answer.status) ? refineRefusal(verdict, body) : verdict
}

function refineRefusal(verdict: Verdict, body: BodyFacts): Verdict {
  const trouble = idempotencyTrouble(body.codes, body.message)
  if (trouble === 'idempotency_in_progress') {
    const waiting = reclassified(verdict, 'transient', 'idempotency key in progress (D05)', body)
    return { ...waiting, code: trouble, hint: 'Nothing to do: the first request with this key still runs.' }
  }
  if (trouble === 'idempotency_key_reused') {
    const refused = reclassified(verdict, 'validation', 'idempotency key used for something else (D17)', body)
    const hint = 'The same idempotency key was sent with another payload: give each operation its own key, then replay.'
    return { ...refused, code: trouble, hint }
  }
  if (verdict.class === 'conflict' && verdict.code === 'version_conflict') return { ...verdict, maxRetries: 3 }
  if (verdict.class === 'validation' && blamesSchema(body.codes, body.message)) {
    return reclassified(verdict, 'schema', 'body names an unknown field (R006, D03)', body)
  }
  return verdict
}

function reclassified(verdict: Verdict, newClass: FailureClass, why: string, body: BodyFacts): Verdict {
  return {
    class: newClass,
    code: verdict.code,
    certainty: 'not_sent',
    countsAgainstBreaker: false,
    meaning: CLASS_WORDS[newClass].meaning,
    hint: CLASS_WORDS[newClass].hint,
    userMessage: CLASS_WORDS[newClass].userMessage,
    rule: `default:${why}`,
    subject: subjectOf(newClass, body),
  }
}

/** R147: stop, and name the scope. */
function withScopes(verdict: Verdict, judged: Judged): Verdict {
  const scopes = scopesOf(judged)
  if (scopes === undefined || judged.answer.status !== 403) return verdict
  const hint = `Give the credential the missing scope or permission at the vendor (${shorten(scopes, 200)}), then replay.`
  return { ...verdict, subject: scopes, hint: redactText(hint) }
}

function scopesOf({ answer, body }: Judged): string | undefined {
  const found = [scopesInHeaders(answer.headers), scopesInBody(answer.body), scopesInMessage(body.message)]
  return found.find((list) => list.length > 0)?.join(', ')
}

/** Conflicts carry our own words, since what to do about them depends on it (D05). */
function codeOf(failureClass: FailureClass, status: number, body: BodyFacts, otherwise: string): string {
  if (failureClass !== 'conflict') return otherwise
  return status === 412 ? 'version_conflict' : conflictCode(body.codes, body.message)
}

function subjectOf(failureClass: FailureClass, body: BodyFacts): string | undefined {
  if (failureClass !== 'validation' && failureClass !== 'schema' && failureClass !== 'conflict') return undefined
  return body.subject ?? fieldInMessage(body.message)
}

// --- The server's explicit word ---

const RETRY_HEADERS = ['stripe-should-retry', 'x-should-retry'] as const

/** The server's own word on retrying wins over every rule; what kind of failure it is, and its certainty, it does not tell. */
function obeyRetryHeader(verdict: Verdict, headers: Readonly<Record<string, string>>): Verdict {
  const name = RETRY_HEADERS.find((header) => /^(?:true|false)$/i.test(headers[header]?.trim() ?? ''))
  if (name === undefined) return verdict
  const retry = headers[name]?.trim().toLowerCase() === 'true'
  const rule = `header:${name}=${retry}, over ${verdict.rule}`
  if (retry) {
    const words = CLASS_WORDS.transient
    return comesBackByItself(verdict.class)
      ? { ...verdict, rule }
      : { ...verdict, class: 'transient', hint: words.hint, userMessage: words.userMessage, rule }
  }
  // Not `transient` with no retries: the slow lane of dead letters would go on trying.
  const stopped = verdict.class === 'transient' || verdict.class === 'rate_limited'
  const hint = stopped
    ? 'The API says that trying again is useless: read its message, then replay or discard.'
    : verdict.hint
  return { ...verdict, class: stopped ? 'unknown' : verdict.class, hint, maxRetries: 0, rule }
}

function comesBackByItself(failureClass: FailureClass): boolean {
  return failureClass === 'transient' || failureClass === 'rate_limited' || failureClass === 'wait_long'
}

// --- The failure ---

function toFailure(judged: Judged, verdict: Verdict): Failure {
  const { call, answer, settings, body } = judged
  const retryAfterMs = waitOf(verdict, answer, settings)
  const requestId = vendorRequestId(answer.headers) ?? body.requestId
  const keySpent = isStoredAnswer(call, answer)
  const excerpt = excerptOf(answer.body, answer.bodyText, settings.redact)
  return {
    class: verdict.class,
    code: verdict.code,
    message: messageOf(judged, verdict),
    userMessage: verdict.userMessage,
    certainty: effectOf(call, keySpent && answer.status >= 500 ? 'maybe_applied' : verdict.certainty),
    hint: verdict.hint,
    rule: verdict.rule,
    status: answer.status,
    ...(keySpent && { keySpent: true as const }),
    countsAgainstBreaker: verdict.countsAgainstBreaker,
    ...(verdict.maxRetries !== undefined && { maxRetries: verdict.maxRetries }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(verdict.subject !== undefined && { subject: shorten(redactText(verdict.subject, settings.redact), 200) }),
    ...(requestId !== undefined && { vendorRequestId: shorten(redactText(requestId), 200) }),
    ...(excerpt !== '' && { bodyExcerpt: excerpt }),
  }
}

/**
 * Stripe's v1 keeps the first answer of a key, 500s included, once it has begun to execute, and repeats it with this header
 * (docs.stripe.com/error-low-level; the header's name is general knowledge).
 */
function isStoredAnswer(call: CallFacts, { headers }: AnswerFacts): boolean {
  return call.idempotency.kind === 'key' && headers['idempotent-replayed']?.trim().toLowerCase() === 'true'
}

function messageOf({ call, answer, settings, body }: Judged, verdict: Verdict): string {
  const codes = body.codes.slice(0, 2).join(', ')
  const said = body.message === '' ? verdict.meaning : shorten(redactText(body.message, settings.redact), 500)
  const named = codes === '' ? `${answer.status}` : `${answer.status} (${shorten(redactText(codes), 200)})`
  return `${settings.name} answered ${call.endpoint} with ${named}: ${said}`
}

const NO_READINGS: NonNullable<ClassificationSettings['rateLimits']> = []

/** A floor for coming back, from any header or body field that tells it; only where coming back is what will happen. */
function waitOf(
  { class: failureClass, wait }: Verdict,
  answer: AnswerFacts,
  { rateLimits = NO_READINGS }: ClassificationSettings,
): number | undefined {
  const { headers, receivedAtMs, body } = answer
  const isThrottled = failureClass === 'rate_limited' || failureClass === 'wait_long'
  if (!isThrottled && failureClass !== 'transient' && failureClass !== 'unknown' && failureClass !== 'conflict') {
    return undefined
  }
  const asked = parseRetryAfter(headers, receivedAtMs) ?? parseBodyRetryAfter(body, receivedAtMs)
  const limitsCount = isThrottled && wait?.ignoreLimits !== true
  const saidMs = (asked ?? (limitsCount ? rateLimitWait(answer, rateLimits, receivedAtMs, true) : undefined))?.delayMs
  return wait === undefined ? saidMs : waitOfRule(wait, answer, saidMs)
}

/** The most common names, the vendors' own before the generic ones (R163). */
const REQUEST_ID_HEADERS = [
  'request-id',
  'x-request-id',
  'x-requestid',
  'x-hubspot-correlation-id',
  'x-github-request-id',
  'x-slack-req-id',
  'twilio-request-id',
  'x-amzn-requestid',
  'x-amz-request-id',
  'x-ms-request-id',
  'x-correlation-id',
  'x-trace-id',
  'cf-ray',
] as const

function vendorRequestId(headers: Readonly<Record<string, string>>): string | undefined {
  const name = REQUEST_ID_HEADERS.find((header) => (headers[header]?.trim() ?? '') !== '')
  return name === undefined ? undefined : headers[name]?.trim()
}
