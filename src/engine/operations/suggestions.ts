/** Failures that only the default table decided, as rules that a person could write (R018, R031). */
import type { WrittenErrorRule } from '../../config/profile-rule.ts'
import type { FailureTally } from '../../ledger/port.ts'
import { isDecidedByDefault, suggestedRule } from '../../policy/classify/suggest-rule.ts'

export interface Suggestion {
  readonly integration: string
  readonly endpoints: readonly string[]
  readonly status: number
  readonly code: string
  /** What the default table took it for, and why. */
  readonly class: string
  readonly decidedBy: string
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  /** How often on each day (UTC), the oldest first. */
  readonly days: readonly { readonly dayMs: number; readonly count: number }[]
  /** The beginning of one such body, redacted; empty where there was none. */
  readonly excerpt: string
  readonly message: string
  readonly exampleItemId: string
  /** A row for `errors` of the integration: right in what it matches; its class is for a person to judge. */
  readonly rule: WrittenErrorRule
}

/** Most frequent first. */
export function suggestionsFrom(tallies: readonly FailureTally[]): Suggestion[] {
  const unknown = tallies.filter(({ failure }) => isDecidedByDefault(failure))
  const kinds = Map.groupBy(unknown, kindOf)
  return [...kinds.values()].map(toSuggestion).sort((a, b) => b.count - a.count || b.lastMs - a.lastMs)
}

function kindOf({ lane, failure }: FailureTally): string {
  return JSON.stringify([integrationOf(lane), failure.status, failure.code, failure.class])
}

function integrationOf(lane: string): string {
  return lane.split('/', 1)[0] ?? lane
}

function toSuggestion(tallies: readonly FailureTally[]): Suggestion {
  const newest = tallies.reduce((a, b) => (b.lastMs > a.lastMs ? b : a))
  const { failure } = newest
  const perDay = Map.groupBy(tallies, ({ dayMs }) => dayMs)
  const days = [...perDay].map(([dayMs, list]) => ({ dayMs, count: sumOf(list) }))
  return {
    integration: integrationOf(newest.lane),
    endpoints: [...new Set(tallies.map(({ endpoint }) => endpoint))].sort(),
    status: failure.status ?? 0,
    code: failure.code,
    class: failure.class,
    decidedBy: failure.rule,
    count: sumOf(tallies),
    firstMs: Math.min(...tallies.map(({ firstMs }) => firstMs)),
    lastMs: newest.lastMs,
    days: days.sort((a, b) => a.dayMs - b.dayMs),
    excerpt: failure.bodyExcerpt ?? '',
    message: failure.message,
    exampleItemId: newest.exampleItemId,
    rule: suggestedRule(failure),
  }
}

function sumOf(tallies: readonly FailureTally[]): number {
  return tallies.reduce((sum, { count }) => sum + count, 0)
}
