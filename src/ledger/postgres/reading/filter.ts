/** `ItemFilter` and `BalanceFilter` as SQL: conditions over `items i`, `runs r`, `channels c` and `books b`. */
import type { ItemState } from '../../../core/item-state.ts'
import type { BalanceFilter, ItemFilter } from '../../port.ts'
import { type SqlValue, storable } from '../transactions/connection.ts'

export interface Conditions {
  /** `TRUE` where everything matches. */
  readonly sql: string
  readonly values: SqlValue[]
}

type Condition = readonly [sql: (parameter: string) => string, value: SqlValue]

export function itemConditions(s: string, filter: ItemFilter): Conditions {
  const { labels, states, needsPerson } = filter
  const { sql, values } = joined([
    ...equal('r.pipeline', filter.pipeline),
    ...equal('i.step', filter.step),
    ...equal('c.lane', filter.lane),
    ...equal('c.endpoint', filter.endpoint),
    ...equal('r.id', filter.runId),
    ...keyed(filter.key),
    ...equal('i.tenant', filter.tenant),
    ...equal('b.batch', filter.batch),
    ...equal('i.fingerprint', filter.fingerprint),
    ...labelled(labels),
    ...(states ? [[(at: string) => `i.state = ANY(${at}::text[])`, [...states]] as const] : []),
  ])
  const hot = hotCondition(s, filter)
  return { sql: [sql, ...(needsPerson ? [NEEDS_PERSON] : []), ...(hot ? [hot] : [])].join(' AND '), values }
}

export function balanceConditions(filter: BalanceFilter): Conditions {
  return joined([
    ...equal('b.batch', filter.batch),
    ...equal('b.pipeline', filter.pipeline),
    ...labelled(filter.labels),
  ])
}

/** No machine will touch it again by itself. */
export const NEEDS_PERSON = `(i.state IN ('dead_lettered', 'unknown_outcome') AND i.due_at_ms IS NULL)`

/**
 * What these states imply, in the words of a partial index or by the leases: lists of what is at hand are short, however long
 * the history. `undefined` where nothing holds all of them.
 */
function hotCondition(s: string, filter: ItemFilter): string | undefined {
  const states = filter.states ?? []
  const within = (...hot: ItemState[]): boolean => states.length > 0 && states.every((state) => hot.includes(state))
  if (filter.needsPerson || filter.fingerprint !== undefined || within('dead_lettered', 'unknown_outcome')) {
    return 'i.fingerprint IS NOT NULL'
  }
  if (within('processing')) return `i.run = ANY (ARRAY(SELECT unnest(runs) FROM ${s}.leases))`
  if (within('retrying', 'parked')) return 'i.due_at_ms IS NOT NULL'
  return undefined
}

function equal(expression: string, value: string | undefined): Condition[] {
  return value === undefined ? [] : [[(at) => `${expression} = ${at}`, storable(value)]]
}

/** A run without a key goes by its id. */
function keyed(key: string | undefined): Condition[] {
  return key === undefined ? [] : [[(at) => `(r.key = ${at} OR (r.key IS NULL AND r.id = ${at}))`, storable(key)]]
}

function labelled(labels: Readonly<Record<string, string>> | undefined): Condition[] {
  if (labels === undefined || Object.keys(labels).length === 0) return []
  return [[(at) => `r.labels::jsonb @> ${at}::jsonb`, JSON.stringify(labels)]]
}

function joined(conditions: readonly Condition[]): Conditions {
  return {
    sql: conditions.length === 0 ? 'TRUE' : conditions.map(([sql], index) => sql(`$${index + 1}`)).join(' AND '),
    values: conditions.map(([, value]) => value),
  }
}
