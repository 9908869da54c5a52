/**
 * Judges an answer. Order of verdicts (facts.md section 7): an explicit header of the server, then the integration's own
 * rules, then the default table; body and headers refine what the table says.
 */
import type { ErrorRule } from '../config/settings.ts'
import type { Certainty, Failure, FailureClass } from '../core/failure.ts'
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
import { effectOf, excerptOf, isDelete, shorten } from './classify-shared.ts'
import { ruleForStatus } from './default-rules.ts'
import { CLASS_WORDS } from './explain-words.ts'
import { redactText } from './redact.ts'
import { parseBodyRetryAfter, parseRateLimitReset, parseRetryAfter } from './retry-after.ts'

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
}

interface Judged {
  readonly call: CallFacts
  readonly answer: AnswerFacts
  readonly settings: ClassificationSettings
  readonly body: BodyFacts
}

/** Judges an answer; `undefined` means success. Never throws, whatever the API sent. */
export function classifyAnswer(
  call: CallFacts,
  answer: AnswerFacts,
  settings: ClassificationSettings,
): Failure | undefined {
  const isGood = isGoodStatus(answer.status)
  const rules = rulesFor(answer.status, settings)
  // The path of nearly every call: its body is not even looked at.
  if (isGood && rules.length === 0) return undefined
  const judged: Judged = { call, answer, settings, body: readErrorBody(answer, settings) }
  const verdict = byIntegrationRule(rules, judged) ?? byDefault(judged)
  if (verdict === 'success') return undefined
  return toFailure(judged, isGood ? verdict : obeyRetryHeader(verdict, answer.headers))
}

function isGoodStatus(status: number): boolean {
  return ruleForStatus(status) === undefined
}

// --- The integration's own rules (R022) ---

interface PlacedRule {
  readonly rule: ErrorRule
  /** Where it stands, for `explain`. */
  readonly place: string
}

function rulesFor(status: number, { errors, extraRules }: ClassificationSettings): PlacedRule[] {
  const found: PlacedRule[] = []
  collectRules('errors', errors, status, found)
  if (extraRules) collectRules('extraRules', extraRules, status, found)
  return found
}

function collectRules(list: string, rules: readonly ErrorRule[], status: number, found: PlacedRule[]): void {
  for (const [index, rule] of rules.entries()) {
    if (concerns(rule, status)) found.push({ rule, place: `${list}[${index}]` })
  }
}

/**
 * Could the rule match this status? A good answer is only turned into a failure by a rule that names its status or a code;
 * a rule without any condition never matches.
 */
function concerns(rule: ErrorRule, status: number): boolean {
  if (typeof rule.status === 'number') return rule.status === status
  if (rule.status !== undefined) return rule.status.includes(status)
  if (rule.code !== undefined) return true
  return !isGoodStatus(status) && (rule.messageContains !== undefined || rule.header !== undefined)
}

function byIntegrationRule(rules: readonly PlacedRule[], judged: Judged): Verdict | 'success' | undefined {
  const found = rules.find(({ rule }) => matches(rule, judged))
  if (!found) return undefined
  return found.rule.class === 'success' ? 'success' : verdictOfRule(found.rule, found.rule.class, found.place, judged)
}

/** All conditions that are given must hold. */
function matches({ code, messageContains, header }: ErrorRule, { answer, body }: Judged): boolean {
  if (code !== undefined && !body.codes.includes(code)) return false
  if (messageContains !== undefined && !body.message.toLowerCase().includes(messageContains.toLowerCase())) return false
  return header === undefined || headerMatches(header, answer.headers)
}

function headerMatches(
  wanted: { readonly name: string; readonly value?: string },
  headers: Readonly<Record<string, string>>,
): boolean {
  const value = headers[wanted.name.toLowerCase()]
  if (value === undefined) return false
  return wanted.value === undefined || value.trim().toLowerCase() === wanted.value.trim().toLowerCase()
}

function verdictOfRule(rule: ErrorRule, ruleClass: FailureClass, place: string, judged: Judged): Verdict {
  const { answer, settings, body } = judged
  const base = ruleForStatus(answer.status)
  const words = CLASS_WORDS[ruleClass]
  const source = rule.source === undefined ? '' : ` (${rule.source})`
  return {
    class: ruleClass,
    code: codeOf(ruleClass, answer.status, body, rule.code ?? body.codes[0] ?? `http_${answer.status}`),
    certainty: rule.certainty ?? certaintyOfRule(ruleClass, base?.certainty),
    countsAgainstBreaker: ruleClass === 'transient' || ruleClass === 'malformed_response',
    maxRetries: base?.class === ruleClass ? base.maxRetries : ruleClass === 'unknown' ? 2 : undefined,
    meaning: words.meaning,
    hint: rule.hint ?? words.hint,
    userMessage: rule.userMessage ?? words.userMessage,
    rule: `${settings.name}:${place}${source}`,
    subject: subjectOf(ruleClass, body),
  }
}

/** Only these leave open whether something was done; a bad status tells, and a good one with such a body may have. */
function certaintyOfRule(ruleClass: FailureClass, ofStatus: Certainty | undefined): Certainty {
  if (ruleClass === 'malformed_response') return 'applied'
  return ruleClass === 'transient' || ruleClass === 'unknown' ? (ofStatus ?? 'maybe_applied') : 'not_sent'
}

// --- The default table, refined by body and headers ---

function byDefault(judged: Judged): Verdict | 'success' {
  const { answer, call, body } = judged
  const rule = ruleForStatus(answer.status)
  if (rule === undefined) return 'success'
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
function withScopes(verdict: Verdict, { answer, body }: Judged): Verdict {
  const found = [scopesInHeaders(answer.headers), scopesInBody(answer.body), scopesInMessage(body.message)]
  const scopes = found.find((list) => list.length > 0)?.join(', ')
  if (scopes === undefined || answer.status !== 403) return verdict
  const hint = `Give the credential the missing scope or permission at the vendor (${shorten(scopes, 200)}), then replay.`
  return { ...verdict, subject: scopes, hint: redactText(hint) }
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
  const retryAfterMs = waitOf(verdict.class, answer)
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

/** A floor for coming back, from any header or body field that tells it; only where coming back is what will happen. */
function waitOf(failureClass: FailureClass, answer: AnswerFacts): number | undefined {
  const { headers, receivedAtMs, body } = answer
  const isThrottled = failureClass === 'rate_limited' || failureClass === 'wait_long'
  if (!isThrottled && failureClass !== 'transient' && failureClass !== 'unknown' && failureClass !== 'conflict') {
    return undefined
  }
  const asked = parseRetryAfter(headers, receivedAtMs) ?? parseBodyRetryAfter(body, receivedAtMs)
  return (asked ?? (isThrottled ? parseRateLimitReset(headers, receivedAtMs, true) : undefined))?.delayMs
}

/** The most common names, the vendors' own before the generic ones (R163). */
const REQUEST_ID_HEADERS = [
  'request-id',
  'x-request-id',
  'x-requestid',
  'x-hubspot-correlation-id',
  'x-github-request-id',
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
