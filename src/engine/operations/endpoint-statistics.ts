/** What was observed of each endpoint on the last days, for screens and for people who set timeouts. */

import { resolveEndpoint } from '../../client/call/endpoints.ts'
import type { CountedDay } from '../../client/health/endpoint-statistics.ts'
import type { IntegrationSettings, TimeoutSettings } from '../../config/settings.ts'
import { type Duration, formatDuration } from '../../core/duration.ts'
import { type EndpointTally, mergeTally, newTally } from '../../policy/timeouts/endpoint-tally.ts'
import { countOf, type LatencySketch, quantileOf } from '../../policy/timeouts/latency-sketch.ts'
import {
  categoryOf,
  type EndpointCategory,
  suggestConnectTimeout,
  suggestTimeouts,
  type TimeoutAdvice,
} from '../../policy/timeouts/suggest-timeouts.ts'

export interface EndpointStatistics {
  readonly integration: string
  /** `GET /people/{email}` */
  readonly endpoint: string
  /** Attempts that were sent, by all processes, on the last seven days (UTC), today included. */
  readonly calls: number
  readonly failures: number
  /** Failures because a timeout of ours was over. */
  readonly timeouts: number
  /** New connections: most calls use one that stands. */
  readonly connect: LatencyFigures
  /** From the request written to the answer's headers. Calls that the API refused for being overloaded or throttled do not count. */
  readonly headers: LatencyFigures
  /** Of attempts as a whole. */
  readonly total: LatencyFigures
  /** Oldest first; days without calls are missing. */
  readonly days: readonly { readonly dayMs: number; readonly calls: number; readonly failures: number }[]
}

/** In ms, to within 3 %. A figure is missing where nothing was seen, and where it lies among calls that were cut off. */
export interface LatencyFigures {
  readonly count: number
  readonly p50Ms?: number
  readonly p95Ms?: number
  readonly p99Ms?: number
}

export interface TimeoutSuggestions {
  /** Apart from reading (R150): endpoints of one API share its address. */
  readonly connect: readonly { readonly integration: string; readonly advice: TimeoutAdvice }[]
  readonly endpoints: readonly {
    readonly integration: string
    readonly endpoint: string
    /** By what was observed (R151). */
    readonly category: EndpointCategory
    /** For headers and total. */
    readonly advice: readonly TimeoutAdvice[]
  }[]
  /** All that is worth changing, as it is written in a configuration; empty where nothing is. */
  readonly config: { readonly integrations?: Readonly<Record<string, SuggestedIntegration>> }
}

export interface SuggestedIntegration {
  timeouts?: SuggestedTimeouts
  endpoints?: Record<string, { timeouts: SuggestedTimeouts }>
}

export type SuggestedTimeouts = Partial<Record<TimeoutAdvice['timeout'], Duration>>

/** By integration and endpoint. */
export function endpointStatistics(days: readonly CountedDay[]): EndpointStatistics[] {
  return byEndpoint(days).map(({ integration, endpoint, tally, days: counted }) => {
    const { connect, headers, body, total } = tally.cutOff
    return {
      integration,
      endpoint,
      calls: tally.calls,
      failures: tally.failures,
      timeouts: connect + headers + body + total,
      connect: figuresOf(tally.connect, connect),
      headers: figuresOf(tally.headers, tally.unanswered),
      total: figuresOf(tally.total, headers + body + total),
      days: counted.map(({ dayMs, tally: { calls, failures } }) => ({ dayMs, calls, failures })),
    }
  })
}

/** Only of what is configured now. */
export function timeoutSuggestions(
  days: readonly CountedDay[],
  integrations: ReadonlyMap<string, IntegrationSettings>,
): TimeoutSuggestions {
  const observed = byEndpoint(days.filter(({ integration }) => integrations.has(integration)))
  const endpoints = observed
    .filter(({ endpoint }) => !endpoint.endsWith(SHARED_BY_MANY))
    .map((one) => {
      const { integration, endpoint, tally } = one
      const present = presentTimeouts(integrations.get(integration) as IntegrationSettings, endpoint)
      return {
        integration,
        endpoint,
        category: categoryOf(tally),
        advice: suggestTimeouts(tally, present, one.days.length),
      }
    })
  const connect = [...Map.groupBy(observed, ({ integration }) => integration)].map(([integration, list]) => {
    const { defaults } = integrations.get(integration) as IntegrationSettings
    const dayCount = new Set(list.flatMap((one) => one.days.map(({ dayMs }) => dayMs))).size
    return { integration, advice: suggestConnectTimeout(sumOf(list), defaults.timeouts, dayCount) }
  })
  return { connect, endpoints, config: configOf(connect, endpoints) }
}

/** Endpoints beyond those that are kept apart: what suits one of them may not suit the next. */
const SHARED_BY_MANY = '/*'

interface ObservedEndpoint {
  readonly integration: string
  readonly endpoint: string
  readonly tally: EndpointTally
  readonly days: readonly CountedDay[]
}

function byEndpoint(days: readonly CountedDay[]): ObservedEndpoint[] {
  const groups = Map.groupBy(days, ({ integration, endpoint }) => `${integration} ${endpoint}`)
  return [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, list]) => {
      const { integration, endpoint } = list[0] as CountedDay
      return { integration, endpoint, tally: sumOf(list), days: list }
    })
}

function sumOf(list: readonly { readonly tally: EndpointTally }[]): EndpointTally {
  const sum = newTally()
  for (const { tally } of list) mergeTally(sum, tally)
  return sum
}

function figuresOf(sketch: LatencySketch, cutOff: number): LatencyFigures {
  const [p50Ms, p95Ms, p99Ms] = [0.5, 0.95, 0.99].map((quantile) => quantileOf(sketch, quantile, cutOff))
  return {
    count: countOf(sketch),
    ...(p50Ms !== undefined && { p50Ms }),
    ...(p95Ms !== undefined && { p95Ms }),
    ...(p99Ms !== undefined && { p99Ms }),
  }
}

function presentTimeouts(integration: IntegrationSettings, endpoint: string): TimeoutSettings {
  const space = endpoint.indexOf(' ')
  return resolveEndpoint(integration, endpoint.slice(0, space), endpoint.slice(space + 1)).timeouts
}

function configOf(
  connect: TimeoutSuggestions['connect'],
  endpoints: TimeoutSuggestions['endpoints'],
): TimeoutSuggestions['config'] {
  const integrations: Record<string, SuggestedIntegration> = {}
  for (const { integration, advice } of connect) {
    const timeouts = changesIn([advice])
    if (timeouts) integrations[integration] = { timeouts }
  }
  for (const { integration, endpoint, advice } of endpoints) {
    const timeouts = changesIn(advice)
    if (!timeouts) continue
    const known = integrations[integration] ?? {}
    integrations[integration] = { ...known, endpoints: { ...known.endpoints, [endpoint]: { timeouts } } }
  }
  return Object.keys(integrations).length > 0 ? { integrations } : {}
}

function changesIn(advice: readonly TimeoutAdvice[]): SuggestedTimeouts | undefined {
  const changes = advice.filter(({ suggestedMs }) => suggestedMs !== undefined)
  if (changes.length === 0) return undefined
  return Object.fromEntries(
    changes.map(({ timeout, suggestedMs }) => [timeout, formatDuration(suggestedMs as number) as Duration]),
  )
}
