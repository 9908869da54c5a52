/** `ItemFilter` and `BalanceFilter` as SQL: conditions over `items i`, `runs r`, `flows f`, `channels c` and `books b`. */
import type { ItemState } from '../../../core/item-state.ts'
import type { BalanceFilter, ItemFilter } from '../../port.ts'
import type { SqlValue } from '../transactions/connection.ts'

export interface Conditions {
  /** `TRUE` where everything matches. */
  readonly sql: string
  readonly values: readonly SqlValue[]
}

type Condition = readonly [sql: string, ...values: SqlValue[]]

export function itemConditions(filter: ItemFilter): Conditions {
  const conditions: Condition[] = [
    ...equal('f.pipeline', filter.pipeline),
    ...equal('i.step', filter.step),
    ...equal('c.lane', filter.lane),
    ...equal('c.endpoint', filter.endpoint),
    ...equal('r.id', filter.runId),
    ...keyed(filter.key),
    ...equal('f.tenant', filter.tenant),
    ...equal('b.batch', filter.batch),
    ...equal('i.fingerprint', filter.fingerprint),
    ...labelled(filter.labels),
  ]
  if (filter.states) conditions.push([`i.state IN (${filter.states.map(() => '?').join(', ')})`, ...filter.states])
  if (filter.needsPerson) conditions.push([NEEDS_PERSON])
  return joined(conditions)
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

/** What leases name: a list that is short, however long the history. */
const LEASED = 'i.lease IS NOT NULL AND i.no IN (SELECT named.value FROM leases, json_each(leases.items) named)'

export interface HotItems {
  /** The partial index that holds them all, where there is one. */
  readonly index?: string
  readonly condition: string
}

/** The short way to all items of these states, for lists of what is at hand. `undefined` where there is none. */
export function hotItemsFor(filter: ItemFilter): HotItems | undefined {
  // One run, or one key, is found faster by its name.
  if (filter.runId !== undefined || filter.key !== undefined) return undefined
  const states = filter.states ?? []
  const within = (...hot: ItemState[]): boolean => states.length > 0 && states.every((state) => hot.includes(state))
  if (filter.needsPerson || filter.fingerprint !== undefined || within('dead_lettered', 'unknown_outcome')) {
    return { index: 'items_dead', condition: 'i.fingerprint IS NOT NULL' }
  }
  if (within('processing')) return { condition: LEASED }
  if (within('retrying', 'parked')) return { index: 'items_due', condition: 'i.due_at_ms IS NOT NULL' }
  return undefined
}

function equal(column: string, value: string | undefined): Condition[] {
  return value === undefined ? [] : [[`${column} = ?`, value]]
}

/** A run without a key goes by its id. */
function keyed(key: string | undefined): Condition[] {
  return key === undefined ? [] : [['(r.key = ? OR (r.key IS NULL AND r.id = ?))', key, key]]
}

function labelled(labels: Readonly<Record<string, string>> | undefined): Condition[] {
  return Object.entries(labels ?? {}).map(([key, value]) => [
    'EXISTS (SELECT 1 FROM json_each(r.labels) l WHERE l.key = ? AND l.value = ?)',
    key,
    value,
  ])
}

function joined(conditions: readonly Condition[]): Conditions {
  return {
    sql: conditions.length === 0 ? 'TRUE' : conditions.map(([sql]) => sql).join(' AND '),
    values: conditions.flatMap(([, ...values]) => values),
  }
}
