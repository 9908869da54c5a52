/**
 * Finds the rule that decides an answer: one matcher for the rules of profiles and for people's own (R022). Rules are indexed by
 * status once per list, so that a good answer that no rule is about costs a look into a map, and its body is not read.
 */

import { pathSource } from '../../config/endpoint-template.ts'
import { compilePattern, PATTERN_INPUT_LENGTH, patternSource } from '../../config/profile-pattern.ts'
import type { BodyCondition, RuleWait, StatusCondition } from '../../config/profile-rule.ts'
import type { ErrorRule } from '../../config/settings.ts'
import { durationMs } from '../../core/duration.ts'
import type { Json } from '../../core/json.ts'
import { nextBoundaryMs } from '../rate-limits/next-boundary.ts'
import { parseDateMs, parseResetMs } from '../rate-limits/retry-after-values.ts'
import type { AnswerFacts, CallFacts } from './classify.ts'
import { type BodyFacts, valuesAt } from './classify-body.ts'
import { ruleForStatus } from './default-rules.ts'
import { jsonAt, someJsonAt } from './json-path.ts'

/** A rule made ready for matching, with its place in its list. */
export interface ReadyRule {
  readonly rule: ErrorRule
  readonly index: number
  readonly codeMatches: ((code: string) => boolean) | undefined
  readonly messageMatches: ((message: string) => boolean) | undefined
  readonly body: readonly BodyCondition[]
  readonly methods: readonly string[] | undefined
  readonly endpoint: RegExp | undefined
}

export interface JudgedAnswer {
  readonly call: CallFacts
  readonly answer: AnswerFacts
  /** Read only where something asks for it. */
  readonly body: BodyFacts
}

interface RuleIndex {
  readonly rules: readonly ReadyRule[]
  readonly byStatus: Map<number, readonly ReadyRule[]>
}

const indexes = new WeakMap<readonly ErrorRule[], RuleIndex>()
const NO_RULES: readonly ReadyRule[] = []

/** The rules that could decide an answer with this status, in their order. */
export function rulesForStatus(rules: readonly ErrorRule[], status: number): readonly ReadyRule[] {
  if (rules.length === 0) return NO_RULES
  let index = indexes.get(rules)
  if (!index) {
    index = { rules: rules.map(readyRule), byStatus: new Map() }
    indexes.set(rules, index)
  }
  let found = index.byStatus.get(status)
  if (!found) {
    found = index.rules.filter(({ rule }) => concerns(rule, status))
    index.byStatus.set(status, found)
  }
  return found
}

function readyRule(rule: ErrorRule, index: number): ReadyRule {
  return {
    rule,
    index,
    codeMatches: rule.code === undefined ? undefined : codeMatcher(listOf(rule.code).map(String)),
    messageMatches: rule.message === undefined ? undefined : messageMatcher(rule.message),
    body: rule.body === undefined ? [] : listOf(rule.body),
    methods: rule.method === undefined ? undefined : listOf(rule.method),
    endpoint: rule.endpoint === undefined ? undefined : endpointPattern(rule.endpoint),
  }
}

function listOf<Value>(value: Value | readonly Value[]): readonly Value[] {
  return Array.isArray(value) ? value : [value as Value]
}

function codeMatcher(written: readonly string[]): (code: string) => boolean {
  const names = new Set(written)
  const patterns = written.map(patternSource).filter((source) => source !== undefined)
  const compiled = patterns.map(compilePattern)
  return (code) => names.has(code) || compiled.some((pattern) => pattern.test(code))
}

function messageMatcher(written: string): (message: string) => boolean {
  const source = patternSource(written)
  if (source === undefined) {
    const wanted = written.toLowerCase()
    return (message) => message.toLowerCase().includes(wanted)
  }
  const pattern = compilePattern(source)
  return (message) => pattern.test(message.slice(0, PATTERN_INPUT_LENGTH))
}

/** Without a method: of all. */
function endpointPattern(written: string): RegExp {
  const [method, path] = written.startsWith('/') ? ['[A-Z]+', written] : written.split(' ', 2)
  return new RegExp(`^${method} ${pathSource(path ?? '')}$`)
}

/**
 * Could the rule match this status? A good answer is only turned into a failure by a rule that names its status, a code or
 * something in the body; a rule without any condition never matches.
 */
function concerns(rule: ErrorRule, status: number): boolean {
  if (rule.status !== undefined) return listOf(rule.status).some((wanted) => isStatus(wanted, status))
  if (rule.code !== undefined || rule.body !== undefined) return true
  if (ruleForStatus(status) === undefined) return false
  return [rule.message, rule.header, rule.method, rule.endpoint].some((condition) => condition !== undefined)
}

function isStatus(wanted: StatusCondition, status: number): boolean {
  return typeof wanted === 'number' ? wanted === status : Number(wanted[0]) === Math.floor(status / 100)
}

/** All conditions that are given must hold; the cheap ones are asked first. */
export function ruleMatches(ready: ReadyRule, judged: JudgedAnswer): boolean {
  const { rule, methods, endpoint, codeMatches, messageMatches } = ready
  const { call, answer } = judged
  if (methods !== undefined && !methods.includes(call.method.toUpperCase())) return false
  if (endpoint !== undefined && !endpoint.test(call.endpoint)) return false
  if (rule.header !== undefined && !headerMatches(rule.header, answer.headers)) return false
  if (!ready.body.every((condition) => bodyMatches(condition, answer.body))) return false
  if (codeMatches !== undefined && !codesOf(rule, judged).some(codeMatches)) return false
  return messageMatches === undefined || messageMatches(judged.body.message)
}

function codesOf({ codePath }: ErrorRule, judged: JudgedAnswer): readonly string[] {
  if (codePath === undefined) return judged.body.codes
  return judged.answer.body === undefined ? [] : valuesAt(judged.answer.body, codePath, 'each')
}

/** The code by which the rule was found, where it names any. */
export function codeThatMatched(ready: ReadyRule, judged: JudgedAnswer): string | undefined {
  return ready.codeMatches && codesOf(ready.rule, judged).find(ready.codeMatches)
}

function headerMatches(
  wanted: { readonly name: string; readonly value?: string },
  headers: Readonly<Record<string, string>>,
): boolean {
  const value = headers[wanted.name.toLowerCase()]
  if (value === undefined) return false
  return wanted.value === undefined || value.trim().toLowerCase() === wanted.value.trim().toLowerCase()
}

function bodyMatches({ path, equals }: BodyCondition, body: Json | undefined): boolean {
  if (body === undefined) return false
  if (equals === undefined) return someJsonAt(body, path, isThere)
  const wanted = listOf<unknown>(equals)
  return someJsonAt(body, path, (value) => wanted.includes(value))
}

/** `errors: []` and `error: ""` say that there is none. */
function isThere(value: Json): boolean {
  if (value === null || value === '') return false
  return !Array.isArray(value) || value.length > 0
}

const LONGEST_WAIT_MS = 31 * 86_400_000

/** When the rule says to come back; `saidMs` is what the answer says by itself, in headers or the usual fields. */
export function waitOfRule(wait: RuleWait, answer: AnswerFacts, saidMs: number | undefined): number | undefined {
  const knownMs = waitInBody(wait, answer) ?? saidMs ?? waitUntil(wait, answer) ?? writtenMs(wait.otherwise)
  const leastMs = writtenMs(wait.atLeast)
  if (knownMs === undefined) return leastMs
  return Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(knownMs), leastMs ?? 0))
}

function writtenMs(duration: RuleWait['otherwise']): number | undefined {
  return duration === undefined ? undefined : durationMs(duration)
}

function waitUntil({ until, timeZone }: RuleWait, { receivedAtMs }: AnswerFacts): number | undefined {
  if (until === undefined || !Number.isFinite(receivedAtMs)) return undefined
  return nextBoundaryMs(until, receivedAtMs, timeZone) - receivedAtMs
}

function waitInBody({ path, unit = 'seconds' }: RuleWait, answer: AnswerFacts): number | undefined {
  if (path === undefined || answer.body === undefined) return undefined
  const [value] = jsonAt(answer.body, path)
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : ''
  const number = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined
  const { receivedAtMs } = answer
  if (unit === 'timestamp') return finite((parseDateMs(text) ?? Number.NaN) - receivedAtMs)
  if (unit === 'duration') return number === undefined ? finite(parseResetMs(text, receivedAtMs)) : undefined
  if (number === undefined) return undefined
  if (unit === 'epoch_seconds') return finite(number * 1000 - receivedAtMs)
  if (unit === 'epoch_milliseconds') return finite(number - receivedAtMs)
  return unit === 'seconds' ? number * 1000 : number
}

function finite(waitMs: number | undefined): number | undefined {
  return waitMs === undefined || !Number.isFinite(waitMs) ? undefined : Math.max(0, waitMs)
}
