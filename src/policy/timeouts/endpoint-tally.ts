/** What is counted of the calls of one endpoint; tallies of several processes and days add up. */
import { isJsonObject, type Json } from '../../core/json.ts'
import { type LatencySketch, mergeSketch, newSketch, sketchFromText, sketchToText } from './latency-sketch.ts'

/** Changed in place: it is counted with every call. */
export interface EndpointTally {
  /** Sent, and not given up by their caller. */
  calls: number
  failures: number
  /** Calls that a timeout of ours ended, by timeout. */
  readonly cutOff: { connect: number; headers: number; body: number; total: number }
  /** Of those cut off: connected, and without a word of an answer. */
  unanswered: number
  /** New connections: most calls use one that stands. */
  readonly connect: LatencySketch
  /** From the request written to the answer's headers, of calls that the API worked on. */
  readonly headers: LatencySketch
  /** Of those calls as a whole. */
  readonly total: LatencySketch
}

export function newTally(): EndpointTally {
  return {
    calls: 0,
    failures: 0,
    cutOff: { connect: 0, headers: 0, body: 0, total: 0 },
    unanswered: 0,
    connect: newSketch(),
    headers: newSketch(),
    total: newSketch(),
  }
}

/** Adds what `from` has counted to `into`. */
export function mergeTally(into: EndpointTally, from: EndpointTally): void {
  into.calls += from.calls
  into.failures += from.failures
  into.unanswered += from.unanswered
  into.cutOff.connect += from.cutOff.connect
  into.cutOff.headers += from.cutOff.headers
  into.cutOff.body += from.cutOff.body
  into.cutOff.total += from.cutOff.total
  mergeSketch(into.connect, from.connect)
  mergeSketch(into.headers, from.headers)
  mergeSketch(into.total, from.total)
}

export function tallyToJson({ calls, failures, cutOff, unanswered, connect, headers, total }: EndpointTally): Json {
  return {
    calls,
    failures,
    cutOff: { ...cutOff },
    unanswered,
    connect: sketchToText(connect),
    headers: sketchToText(headers),
    total: sketchToText(total),
  }
}

/** `undefined` for what is no tally: another version's, or damaged. */
export function tallyFromJson(value: Json | undefined): EndpointTally | undefined {
  if (!isJsonObject(value) || !isJsonObject(value['cutOff'])) return undefined
  const { connect, headers, body, total } = value['cutOff']
  const { calls, failures, unanswered } = value
  const counts = [calls, failures, unanswered, connect, headers, body, total]
  if (!counts.every((count) => Number.isSafeInteger(count) && (count as number) >= 0)) return undefined
  const sketches = [value['connect'], value['headers'], value['total']].map(sketchOf)
  if (!sketches.every((sketch) => sketch !== undefined)) return undefined
  return {
    calls: calls as number,
    failures: failures as number,
    cutOff: { connect, headers, body, total } as EndpointTally['cutOff'],
    unanswered: unanswered as number,
    connect: sketches[0] as LatencySketch,
    headers: sketches[1] as LatencySketch,
    total: sketches[2] as LatencySketch,
  }
}

function sketchOf(text: Json | undefined): LatencySketch | undefined {
  return typeof text === 'string' ? sketchFromText(text) : undefined
}
