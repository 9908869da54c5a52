/**
 * What the words of an error body give away where the status alone does not tell. Patterns are narrow on purpose, and tested
 * in both directions: a server's trouble taken for bad data is dead-lettered in vain, bad data taken for trouble is only
 * retried in vain (R016, R059).
 */

/** Codes that blame the data even on a 500 (Salesforce and its like, R023). */
const DATA_CODE =
  /(?:^|[^A-Za-z])(?:REQUIRED_FIELD_MISSING|FIELD_CUSTOM_VALIDATION_EXCEPTION|FIELD_INTEGRITY_EXCEPTION|INVALID_EMAIL_ADDRESS|INVALID_FIELD(?:_VALUE)?|INVALID_PARAMETER(?:_VALUE)?|INVALID_(?:INPUT|VALUE)|STRING_TOO_LONG|NUMBER_OUTSIDE_VALID_RANGE|VALIDATION_(?:ERROR|FAILED|EXCEPTION)|BAD_VALUE_FOR_RESTRICTED_PICKLIST)(?:$|[^A-Za-z])/i

/** Things a record has. */
const THING = '(?:field|property|parameter|attribute|value|email|e-mail|phone|date|picklist|enum)'
const NAME = '["\'`]?[\\w.[\\]-]{1,60}["\'`]?'

const DATA_MESSAGES: readonly RegExp[] = [
  new RegExp(`\\b(?:invalid|illegal|malformed|unsupported) ${THING}(?: value| address| format| number)?\\b`, 'i'),
  /\b(?:required|missing|mandatory) (?:field|property|parameter|attribute)\b/i,
  new RegExp(`\\b${THING} (?:${NAME} )?(?:is|are) (?:required|missing|mandatory|invalid|not valid|malformed)\\b`, 'i'),
  new RegExp(`\\b${THING} (?:${NAME} )?(?:must|may not|cannot|can't) (?:not )?be\\b`, 'i'),
  /["'`][\w.[\]-]{1,60}["'`] (?:must (?:not )?be|is required|is not a valid|is invalid)\b/i,
  new RegExp(`\\b(?:value|text|string) (?:${NAME} )?(?:is )?too long for (?:field|property|attribute|column)\\b`, 'i'),
]

/** Words of a server in trouble: whatever else the message says, it is not about the data. */
const TROUBLE =
  /\b(?:connection|database|timeout|timed out|unavailable|null ?pointer\w*|of undefined|of null|undefined is not|stack|deadlock|upstream|try again|temporar\w*|overload\w*|out of memory|configuration|server error|parameter name)\b|\(parameter '/i

/** R016: does a 500 blame the input? */
export function blamesInput(codes: readonly string[], message: string): boolean {
  if (codes.some((code) => DATA_CODE.test(code)) || DATA_CODE.test(message.slice(0, 1000))) return true
  return message.length < 1000 && !TROUBLE.test(message) && DATA_MESSAGES.some((pattern) => pattern.test(message))
}

const SCHEMA_CODE =
  /(?:^|[._-])(?:REQUEST_)?SCHEMA(?:[._-]|$)|(?:UNKNOWN|UNRECOGNI[SZ]ED|UNEXPECTED|UNDEFINED|NO_SUCH)_?(?:FIELD|PROPERTY|PROPERTIES|PARAMETER|ATTRIBUTE|COLUMN|KEY)|(?:PROPERTY|FIELD|COLUMN)_(?:DOESNT|DOES_NOT)_EXIST|EXTRA_FORBIDDEN|ADDITIONAL_PROPERTIES/i

const SCHEMA_MESSAGES: readonly RegExp[] = [
  /\b(?:unknown|unrecogni[sz]ed|unexpected|undefined|no such) (?:request )?(?:field|property|properties|parameter|attribute|column|key|argument)\b/i,
  /\b(?:field|property|parameter|attribute|column|key) ["'`]?[\w.[\]-]{1,60}["'`]? (?:does not|doesn't) exist\b/i,
  /\badditional ?properties\b|\bextra (?:fields?|inputs?|propert(?:y|ies)) (?:is |are )?not (?:permitted|allowed)\b/i,
  /\b(?:field|property|parameter|attribute|column) ["'`]?[\w.[\]-]{1,60}["'`]? is (?:not (?:known|recogni[sz]ed|defined)|unknown)\b/i,
]

/** R006, D03: the mapping is wrong, not this record. */
export function blamesSchema(codes: readonly string[], message: string): boolean {
  return (
    codes.some((code) => SCHEMA_CODE.test(code)) ||
    SCHEMA_MESSAGES.some((pattern) => pattern.test(message.slice(0, 1000)))
  )
}

/** Of an idempotency key: the first request with it still runs, or it was used for something else. */
export type KeyTrouble = 'idempotency_in_progress' | 'idempotency_key_reused'

/** draft-ietf-httpapi-idempotency-key-header section 2.6; Stripe's `idempotency_key_in_use` and `idempotency_error`. */
export function idempotencyTrouble(codes: readonly string[], message: string): KeyTrouble | undefined {
  const text = [...codes, message.slice(0, 1000)].join(' ')
  if (!/idempoten/i.test(text)) return undefined
  if (
    /in[ _-]?progress|in[ _-]use|still (?:being |in )?process|being processed|outstanding|concurrent|another request/i.test(
      text,
    )
  ) {
    return 'idempotency_in_progress'
  }
  return /differ|mismatch|re-?used|idempotency_error|other (?:param|payload|body)|same parameters|already (?:been )?used/i.test(
    text,
  )
    ? 'idempotency_key_reused'
    : undefined
}

export type ConflictCode = 'already_exists' | 'version_conflict' | 'conflict'

const EXISTS =
  /already[ _-]?(?:exist\w*|registered|taken|been (?:taken|used|registered|created|added)|(?:is )?in use|a (?:member|contact|user|record))|(?:^|[^a-z])(?:duplicates?|duplicated)(?:$|[^a-z])|duplicate_?value|must be unique|(?:not|isn't) unique|unique (?:constraint|violation)|\bexisting id\b|[a-z]_exists\b/i
const VERSION =
  /(?:^|[^a-z])version|etag|if-match|precondition|\bstale\b|modified (?:since|by|concurrently)|has (?:been )?changed|concurrent|optimistic|\block(?:ed|ing)?\b|edit conflict/i

/**
 * D05: what a conflict is about. A duplicate is only called so where nothing speaks of versions, since `already_exists` may be
 * taken for success.
 */
export function conflictCode(codes: readonly string[], message: string): ConflictCode {
  const text = [...codes, message.slice(0, 1000)].join(' ; ')
  if (VERSION.test(text)) return 'version_conflict'
  return EXISTS.test(text) ? 'already_exists' : 'conflict'
}

/** The field a message names, for bodies that have no place for it. */
export function fieldInMessage(message: string): string | undefined {
  const text = message.slice(0, 1000)
  const named =
    /\b(?:field|property|parameter|attribute|column)s?:? ["'`]([\w.[\]-]{1,80})["'`]/i.exec(text) ??
    /["'`]([\w.[\]-]{1,80})["'`] (?:is (?:required|missing|invalid|not|unknown)|must|may not|cannot|can't|does not|doesn't|should|was not)/i.exec(
      text,
    )
  return named?.[1]
}

/** The scope or permission a message names (R147). */
export function scopesInMessage(message: string): string[] {
  const text = message.slice(0, 1000)
  const listed =
    /\b(?:scopes?|permissions?)(?: (?:is|are))?(?: (?:required|missing|needed))?:? ?[[(]?["'`]?((?:[\w./-]{1,20}[.:/_-])[\w.:/-]{1,80}(?:, ?[\w.:/-]{3,80}){0,9})/i.exec(
      text,
    ) ??
    /["'`]([\w.:/-]{1,80})["'`] (?:oauth )?(?:scope|permission)s?\b/i.exec(text) ??
    /\b(?:missing|requires?|required|needs?|lacks?)(?: the)?(?: oauth)? (?:scope|permission)s?:? ["'`]?([\w.:/-]{3,80})/i.exec(
      text,
    )
  return listed?.[1] ? splitScopes(listed[1]) : []
}

/** `WWW-Authenticate: Bearer error="insufficient_scope", scope="a b"` (RFC 6750 section 3), and GitHub's headers. */
export function scopesInHeaders(headers: Readonly<Record<string, string>>): string[] {
  const challenge = /\bscope="([^"]{1,500})"/i.exec(headers['www-authenticate'] ?? '')?.[1]
  const accepted = headers['x-accepted-oauth-scopes']?.trim() || headers['x-accepted-github-permissions']
  return splitScopes(challenge ?? accepted ?? '')
}

function splitScopes(text: string): string[] {
  return text
    .split(/[\s,;]+/)
    .map((scope) => scope.replace(/[.:]+$/, ''))
    .filter((scope) => scope !== '')
    .slice(0, 10)
}

/** Envoy tells so that the connection broke after the request may have been passed on: its 503 is no refusal. */
export function gatewayLostConnection(message: string): boolean {
  return (
    /disconnect\/reset before headers|connection termination|upstream (?:prematurely closed|connection (?:reset|closed))/i.test(
      message.slice(0, 1000),
    ) && !/reset reason: (?:remote |local )?connection (?:failure|timeout)/i.test(message.slice(0, 1000))
  )
}
