/**
 * Timeouts from observation (R152: 2-3 times the p99), with the reason in words. Never below a second, never minutes (R153);
 * connecting apart from reading (R150), by category (R151). Says nothing where too few calls were seen.
 */
import type { TimeoutSettings } from '../../config/settings.ts'
import { formatDuration } from '../../core/duration.ts'
import type { EndpointTally } from './endpoint-tally.ts'
import { countOf, type LatencySketch, quantileOf } from './latency-sketch.ts'

export type TimeoutName = 'connect' | 'headers' | 'total'

/** R151: `fetch`, a simple request that 5 s are enough for; `report`, whose API works for longer. */
export type EndpointCategory = 'fetch' | 'report'

export interface TimeoutAdvice {
  readonly timeout: TimeoutName
  /**
   * - `fits`: leave it.
   * - `too_long`, `too_short`: change it to `suggestedMs`.
   * - `too_slow`: the endpoint needs more than the longest timeout that makes sense.
   * - `too_few_calls`: nothing is suggested until `missingCalls` more were seen.
   */
  readonly verdict: 'fits' | 'too_long' | 'too_short' | 'too_slow' | 'too_few_calls'
  readonly presentMs: number
  readonly suggestedMs?: number
  /** Of all calls; absent where more than 1 % were cut off, so that it is not known. */
  readonly p99Ms?: number
  /** Seen, those cut off included. For `connect`: new connections. */
  readonly calls: number
  /** Ended by a timeout of ours before it was known how long they take. */
  readonly cutOff: number
  readonly missingCalls: number
  /** One sentence, or two. */
  readonly why: string
}

/** Ten calls beyond the p99: with fewer, one slow moment decides it. */
export const CALLS_NEEDED = 1000
/** Connections are few, and the range of R150 forgives more. */
export const CONNECTIONS_NEEDED = 100

interface Range {
  readonly leastMs: number
  readonly mostMs: number
  /** Whatever was observed. */
  readonly floorMs: number
  readonly ceilingMs: number
}

const CONNECT_RANGE: Range = { leastMs: 2000, mostMs: 5000, floorMs: 2000, ceilingMs: 5000 } // R150
const READ_LIMITS = { floorMs: 1000, ceilingMs: 60_000 } // R153
const FETCH_RANGE: Range = { ...READ_LIMITS, leastMs: 1000, mostMs: 5000 } // R151
const REPORT_RANGE: Range = { ...READ_LIMITS, leastMs: 5000, mostMs: 60_000 }
const LEAST_FACTOR = 2 // R152
const MOST_FACTOR = 3 // R152
/** Shorter gains are not worth a person's time. */
const WORTHWHILE_FACTOR = 2
/** What people write, in seconds. Each is at most 1.5 times the one before: one of them is always between 2 and 3 times the p99. */
const USUAL_SECONDS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60] as const

/** @param days How many days the calls are from. */
export function suggestTimeouts(tally: EndpointTally, present: TimeoutSettings, days: number): TimeoutAdvice[] {
  const range = categoryOf(tally) === 'report' ? REPORT_RANGE : FETCH_RANGE
  const common = { range, needed: CALLS_NEEDED, days }
  const headers = advise({
    ...common,
    timeout: 'headers',
    sketch: tally.headers,
    cutOff: tally.unanswered,
    cutAtMs: Math.min(present.headersMs, present.totalMs),
    presentMs: present.headersMs,
    leastMs: range.leastMs,
  })
  const total = advise({
    ...common,
    timeout: 'total',
    sketch: tally.total,
    cutOff: cutOffOf(tally),
    cutAtMs: usualCutMs(tally, present),
    presentMs: present.totalMs,
    // Shorter than the wait for headers, it would cut that off too.
    leastMs: Math.max(range.leastMs, Math.min(headers.suggestedMs ?? headers.presentMs, range.mostMs)),
  })
  return [headers, total]
}

function cutOffOf({ cutOff }: EndpointTally): number {
  return cutOff.headers + cutOff.body + cutOff.total
}

/** The timeout that has ended most of those that were cut off. */
function usualCutMs({ cutOff }: EndpointTally, present: TimeoutSettings): number {
  if (cutOff.total >= Math.max(cutOff.headers, cutOff.body)) return present.totalMs
  return cutOff.headers >= cutOff.body ? present.headersMs : present.bodyMs
}

/** @param tally Of all endpoints of the API: they share its address. */
export function suggestConnectTimeout(tally: EndpointTally, present: TimeoutSettings, days: number): TimeoutAdvice {
  return advise({
    timeout: 'connect',
    sketch: tally.connect,
    cutOff: tally.cutOff.connect,
    cutAtMs: present.connectMs,
    presentMs: present.connectMs,
    range: CONNECT_RANGE,
    leastMs: CONNECT_RANGE.leastMs,
    needed: CONNECTIONS_NEEDED,
    days,
  })
}

/** By what was observed: where 5 s are less than twice the p99, it is no simple fetch. */
export function categoryOf(tally: EndpointTally): EndpointCategory {
  const p99Ms = quantileOf(tally.total, 0.99, cutOffOf(tally)) ?? quantileOf(tally.total, 0.99) ?? 0
  return p99Ms * LEAST_FACTOR > FETCH_RANGE.mostMs ? 'report' : 'fetch'
}

interface Question {
  readonly timeout: TimeoutName
  readonly sketch: LatencySketch
  readonly cutOff: number
  /** After how long. */
  readonly cutAtMs: number
  readonly presentMs: number
  readonly range: Range
  readonly leastMs: number
  readonly needed: number
  readonly days: number
}

interface Seen extends Question {
  readonly calls: number
  /** Of all calls; `undefined` where it lies among those cut off. */
  readonly p99Ms: number | undefined
  /** Of those that were not cut off; 0 where there are none. */
  readonly knownP99Ms: number
}

function advise(question: Question): TimeoutAdvice {
  const { sketch, cutOff, needed, presentMs } = question
  const calls = countOf(sketch) + cutOff
  const p99Ms = quantileOf(sketch, 0.99, cutOff)
  const seen: Seen = { ...question, calls, p99Ms, knownP99Ms: quantileOf(sketch, 0.99) ?? 0 }
  const { verdict, suggestedMs, why } = calls < needed ? tooFew(seen) : judge(seen)
  return {
    timeout: question.timeout,
    verdict,
    presentMs,
    ...(suggestedMs !== undefined && { suggestedMs }),
    ...(p99Ms !== undefined && { p99Ms }),
    calls,
    cutOff,
    missingCalls: Math.max(0, needed - calls),
    why,
  }
}

interface Judgement extends Pick<TimeoutAdvice, 'verdict' | 'why'> {
  readonly suggestedMs?: number
}

function tooFew({ calls, needed, timeout }: Seen): Judgement {
  const what = timeout === 'connect' ? 'new connections' : 'calls'
  const why = `${count(calls)} of the ${count(needed)} ${what} seen that a p99 needs: ${count(needed - calls)} more`
  return { verdict: 'too_few_calls', why }
}

function judge(seen: Seen): Judgement {
  const { p99Ms, knownP99Ms, cutAtMs } = seen
  if (p99Ms !== undefined) return judgeByP99(seen, p99Ms, `p99 of ${counted(seen)}: ${formatDuration(p99Ms)}`)
  const cut = `${share(seen)} of ${counted(seen)} were cut off at ${formatDuration(cutAtMs)}`
  if (knownP99Ms === 0) return { verdict: 'fits', why: `${cut}, and none was answered: an outage, not slowness` }
  if (knownP99Ms * LEAST_FACTOR >= cutAtMs) return judgeUnknown(seen, cut)
  const answered = formatDuration(knownP99Ms)
  return judgeByP99(
    seen,
    knownP99Ms,
    `${cut}; those answered have a p99 of ${answered}, so the others hang, and waiting longer would not help`,
  )
}

function judgeByP99(seen: Seen, p99Ms: number, evidence: string): Judgement {
  const { presentMs, range } = seen
  if (p99Ms * LEAST_FACTOR > range.ceilingMs) return judgeSlow(seen, evidence)
  const mostMs = Math.max(range.mostMs, p99Ms * LEAST_FACTOR)
  const suggestedMs = Math.max(seen.leastMs, usualBelow(Math.min(p99Ms * MOST_FACTOR, mostMs)))
  const times = (presentMs / p99Ms).toFixed(presentMs / p99Ms < 10 ? 1 : 0)
  const present = `your ${seen.timeout} timeout of ${formatDuration(presentMs)}`
  if (presentMs < p99Ms * LEAST_FACTOR) {
    const cut = seen.cutOff > 0 ? `, and ${share(seen)} of the calls were cut off` : ''
    return { verdict: 'too_short', suggestedMs, why: `${evidence}; ${present} is only ${times} times that${cut}` }
  }
  if (presentMs < range.floorMs) {
    const why = `${evidence}; ${present} is under ${formatDuration(range.floorMs)}, where every short pause becomes a failure`
    return { verdict: 'too_short', suggestedMs, why }
  }
  if (presentMs < suggestedMs * WORTHWHILE_FACTOR) return { verdict: 'fits', why: `${evidence}; ${present} suits it` }
  const why = `${evidence}; ${present} is ${times} times that: a call that hangs holds its place for ${formatDuration(presentMs)}`
  return { verdict: 'too_long', suggestedMs, why }
}

/** Calls are cut off just where the others end: the tail is longer than what can be seen of it. */
function judgeUnknown(seen: Seen, cut: string): Judgement {
  const { presentMs, cutAtMs, range } = seen
  const evidence = `${cut}, and those answered took up to that: the p99 is longer than can be seen`
  if (presentMs >= range.ceilingMs && cutAtMs >= presentMs) return judgeSlow(seen, evidence)
  const suggestedMs = Math.max(seen.leastMs, Math.min(range.ceilingMs, usualBelow(cutAtMs * MOST_FACTOR)))
  if (suggestedMs > presentMs) return { verdict: 'too_short', suggestedMs, why: evidence }
  return { verdict: 'fits', why: `${evidence}; another timeout does that` }
}

function judgeSlow({ presentMs, timeout, range: { ceilingMs } }: Seen, evidence: string): Judgement {
  const help =
    timeout === 'connect'
      ? 'Look at the network between here and the API'
      : 'Ask for less in one call, or start a job there and look for its result'
  const why = `${evidence}. To wait longer than ${formatDuration(ceilingMs)} makes one slow API everybody's trouble. ${help}`
  if (presentMs >= ceilingMs) return { verdict: 'too_slow', why }
  return { verdict: 'too_short', suggestedMs: ceilingMs, why }
}

/** The longest usual one that is not longer; at least a second (R153). */
function usualBelow(limitMs: number): number {
  return (USUAL_SECONDS.findLast((seconds) => seconds * 1000 <= limitMs) ?? USUAL_SECONDS[0]) * 1000
}

function counted({ calls, days, timeout }: Seen): string {
  const what = timeout === 'connect' ? 'new connections' : 'calls'
  return `${count(calls)} ${what} in ${days === 1 ? '1 day' : `${days} days`}`
}

function share({ cutOff, calls }: Seen): string {
  const percent = (cutOff / calls) * 100
  return percent < 0.1 ? 'under 0.1 %' : `${percent.toFixed(1)} %`
}

function count(calls: number): string {
  return calls.toLocaleString('en-US')
}
