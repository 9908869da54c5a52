/**
 * What an HTTP status means where no rule of the integration says otherwise (design.md section 4, "Dispositions, by default").
 * Data only; `classify-answer.ts` reads bodies and headers on top of it.
 *
 * Certainty is that of a write; a read has no effect whatever it is answered:
 * - 4xx: the API refused before doing anything (R020), so `not_sent`, 429 and 408 included.
 * - 503: RFC 9110 section 15.6.4, "currently unable to handle the request": refused, `not_sent`, with or without Retry-After.
 *   (A gateway's 503 about a connection lost half-way is told apart by its body.)
 * - 500 (D06), 504 (R021) and every other 5xx: something may have been done before it failed, and a 502 or 504 comes from an
 *   intermediary that cannot know: `maybe_applied`.
 */
import type { Certainty, FailureClass } from '../../core/failure.ts'
import { CLASS_WORDS } from '../explain-words.ts'

export interface StatusRule {
  readonly class: FailureClass
  readonly certainty: Certainty
  /** D12: only what says that the endpoint is unhealthy. */
  readonly countsAgainstBreaker: boolean
  readonly maxRetries?: number
  /** Completes "the API answered". */
  readonly meaning: string
  readonly hint: string
  readonly userMessage: string
  /** Requirement, decision or standard it comes from. */
  readonly source: string
}

type RuleText = Partial<Pick<StatusRule, 'hint' | 'userMessage' | 'maxRetries' | 'countsAgainstBreaker'>>

function rule(
  failureClass: FailureClass,
  certainty: Certainty,
  meaning: string,
  source: string,
  text: RuleText = {},
): StatusRule {
  return {
    class: failureClass,
    certainty,
    countsAgainstBreaker: failureClass === 'transient',
    meaning,
    hint: CLASS_WORDS[failureClass].hint,
    userMessage: CLASS_WORDS[failureClass].userMessage,
    source,
    ...text,
  }
}

const WRONG_REQUEST = 'Compare method, path and headers of this endpoint with the documentation of the API.'
const ORIGIN_DOWN = 'The network in front of the API cannot reach it; look at its status page.'

/** A redirect is not followed: it would send credentials and writes to wherever an answer says. */
function redirect(certainty: Certainty, meaning: string, source = 'RFC 9110 section 15.4'): StatusRule {
  const redirectClass = certainty === 'not_sent' ? 'configuration' : 'unknown'
  return rule(redirectClass, certainty, meaning, source, {
    maxRetries: 0,
    hint: 'Check baseUrl: http instead of https, a missing or extra slash, an old host name, or a login page in between.',
  })
}

export const STATUS_RULES: Readonly<Record<number, StatusRule>> = {
  300: redirect('not_sent', 'several records match', 'the documentation of Salesforce'),
  301: redirect('not_sent', 'moved for good'),
  // Web forms answer a POST that was executed with 302 or 303.
  302: redirect('maybe_applied', 'look elsewhere'),
  303: redirect('maybe_applied', 'see the result elsewhere'),
  304: rule('unknown', 'not_sent', 'not modified, although nothing was cached', 'RFC 9110 section 15.4.5', {
    maxRetries: 0,
    hint: 'Remove If-None-Match and If-Modified-Since from the headers of this integration.',
  }),
  307: redirect('not_sent', 'moved for now'),
  308: redirect('not_sent', 'moved for good'),

  400: rule('validation', 'not_sent', 'bad request', 'R009, R026'),
  401: rule('authentication', 'not_sent', 'not authenticated', 'R011, D01'),
  // Not wait_long: without a rule of its own it may as well be a declined card, which must not be tried again by itself. A
  // person pays, or raises the limit, and replays the group.
  402: rule('authorization', 'not_sent', 'payment required', 'the documentation of Stripe and Clay', {
    hint: 'Look at billing and spend limits of the account at the vendor, then replay the group.',
  }),
  403: rule('authorization', 'not_sent', 'not allowed', 'R147, D02'),
  404: rule('not_found', 'not_sent', 'not found', 'R009, D04'),
  405: rule('configuration', 'not_sent', 'this path does not take this method', 'R009', { hint: WRONG_REQUEST }),
  406: rule('configuration', 'not_sent', 'cannot answer in the format asked for', 'the documentation of ZoomInfo', {
    hint: 'Set the Accept header that the API wants, for example application/vnd.api+json.',
  }),
  407: rule('configuration', 'not_sent', 'the proxy wants credentials', 'RFC 9110 section 15.5.8', {
    hint: 'Give the proxy between here and the API valid credentials.',
  }),
  408: rule('transient', 'not_sent', 'did not receive the whole request in time', 'design section 4; RFC 9110 15.5.9'),
  409: rule('conflict', 'not_sent', 'conflict', 'R012, D05', { maxRetries: 2 }),
  410: rule('not_found', 'not_sent', 'gone', 'R009'),
  411: rule('configuration', 'not_sent', 'wants a Content-Length', 'RFC 9110 section 15.5.12', { hint: WRONG_REQUEST }),
  412: rule('conflict', 'not_sent', 'the record is no longer as it was read', 'D05', { maxRetries: 3 }),
  413: rule('too_large', 'not_sent', 'too large', 'R010, R127'),
  414: rule('too_large', 'not_sent', 'the URL is too long', 'the documentation of HubSpot', {
    hint: 'Ask for fewer ids or properties at once.',
  }),
  415: rule('configuration', 'not_sent', 'does not take this content type', 'the documentation of Outreach', {
    hint: 'Set the Content-Type header that the API wants, for example application/vnd.api+json.',
  }),
  417: rule('configuration', 'not_sent', 'cannot meet the Expect header', 'RFC 9110 section 15.5.18', {
    hint: 'Remove the Expect header from this integration.',
  }),
  421: rule('transient', 'not_sent', 'reached the wrong server', 'RFC 9110 section 15.5.20', { maxRetries: 1 }),
  422: rule('validation', 'not_sent', 'cannot be processed', 'R009, D03'),
  423: rule('transient', 'not_sent', 'the record is locked', 'the documentation of HubSpot', {
    maxRetries: 3,
    countsAgainstBreaker: false,
    hint: 'Something else is changing the record. If it stays locked, look at it in the application of the vendor.',
  }),
  424: rule('validation', 'not_sent', 'something that this depends on failed', 'RFC 4918 section 11.4'),
  425: rule('transient', 'not_sent', 'too early', 'design section 4; RFC 8470 section 5.2'),
  426: rule('configuration', 'not_sent', 'wants another protocol', 'RFC 9110 section 15.5.22', { hint: WRONG_REQUEST }),
  428: rule('configuration', 'not_sent', 'wants a conditional request', 'RFC 6585 section 3', {
    hint: 'Send If-Match with the version that was read.',
  }),
  429: rule('rate_limited', 'not_sent', 'too many requests', 'R020'),
  431: rule('configuration', 'not_sent', 'the headers are too large', 'RFC 6585 section 5', {
    hint: 'Send fewer or shorter headers; look at cookies and tracing baggage.',
  }),
  451: rule('authorization', 'not_sent', 'not available for legal reasons', 'RFC 7725', {
    hint: 'The vendor must not serve this; discard the record.',
  }),

  500: rule('transient', 'maybe_applied', 'internal error', 'R007, R017, D06', { maxRetries: 3 }),
  501: rule('configuration', 'not_sent', 'not implemented', 'RFC 9110 section 15.6.2', {
    hint: WRONG_REQUEST,
  }),
  502: rule('transient', 'maybe_applied', 'a gateway got no valid answer', 'R007; RFC 9110 section 15.6.3'),
  503: rule('transient', 'not_sent', 'not available', 'R007; RFC 9110 section 15.6.4'),
  504: rule('transient', 'maybe_applied', 'a gateway waited too long', 'R007, R021'),
  505: rule('configuration', 'not_sent', 'does not speak this version of HTTP', 'RFC 9110 section 15.6.6', {
    hint: WRONG_REQUEST,
  }),
  // RFC 4918 section 11.5: must not be repeated until a person asks for it.
  507: rule('unknown', 'not_sent', 'storage is full', 'RFC 4918 section 11.5; the documentation of Microsoft Graph', {
    maxRetries: 0,
    hint: 'Free or buy storage at the vendor, then replay the group.',
  }),
  508: rule('configuration', 'not_sent', 'found a loop', 'RFC 5842 section 7.2', { hint: WRONG_REQUEST }),
  509: rule('rate_limited', 'not_sent', 'bandwidth used up', 'the documentation of Graph'),
  511: rule('configuration', 'not_sent', 'the network wants a login', 'RFC 6585 section 6', {
    hint: 'A captive portal stands between here and the API: log this machine in to its network.',
  }),
  520: rule('transient', 'maybe_applied', 'the origin gave no usable answer', 'Cloudflare'),
  521: rule('transient', 'not_sent', 'the origin refuses connections', 'the documentation of HubSpot', {
    hint: ORIGIN_DOWN,
  }),
  522: rule('transient', 'maybe_applied', 'the origin timed out', 'the documentation of HubSpot', {
    maxRetries: 2,
    hint: ORIGIN_DOWN,
  }),
  523: rule('transient', 'not_sent', 'the origin cannot be reached', 'the documentation of HubSpot', {
    hint: ORIGIN_DOWN,
  }),
  524: rule('transient', 'maybe_applied', 'the origin took too long', 'the documentation of HubSpot'),
  525: rule('transient', 'not_sent', 'TLS with the origin failed', 'the documentation of HubSpot', {
    maxRetries: 2,
    hint: 'The vendor must repair TLS behind its own network; tell its support.',
  }),
  526: rule('transient', 'not_sent', 'the certificate of the origin is not valid', 'the documentation of HubSpot', {
    maxRetries: 2,
    hint: 'The vendor must renew its certificate behind its own network; tell its support.',
  }),
  529: rule('transient', 'not_sent', 'overloaded', 'the documentation of Anthropic and Notion'),
  530: rule('transient', 'not_sent', 'the network in front cannot resolve the origin', 'Cloudflare', {
    hint: ORIGIN_DOWN,
  }),
}

/** RFC 9110 section 15: a status that is not known counts as the x00 of its class. */
const FAMILY_RULES: Readonly<Record<number, StatusRule>> = {
  1: rule('unknown', 'maybe_applied', 'an interim answer, and no final one', 'RFC 9110 section 15.2', {
    maxRetries: 2,
  }),
  3: redirect('maybe_applied', 'a redirect'),
  4: rule('validation', 'not_sent', 'an error of the request', 'R026; RFC 9110 section 15'),
  5: rule('transient', 'maybe_applied', 'an error of the server', 'R007, D06; RFC 9110 section 15', { maxRetries: 3 }),
}

const NO_STATUS = rule('unknown', 'maybe_applied', 'no status that HTTP knows', 'R005', { maxRetries: 2 })

/** The default rule of a status; `undefined` for 200-299, which are success. */
export function ruleForStatus(status: number): StatusRule | undefined {
  if (status >= 200 && status <= 299) return undefined
  return STATUS_RULES[status] ?? FAMILY_RULES[Math.floor(status / 100)] ?? NO_STATUS
}
