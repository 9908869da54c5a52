/** Places in the order of an entity (see `NewTurn` of the port): what every adapter decides and words alike. */
import { itemId } from '../core/ids.ts'
import type { ItemState } from '../core/item-state.ts'
import { isOlderVersion, shownVersion } from '../core/version.ts'
import type { NewItem, NewTurn, TurnRecord, TurnRule } from './port.ts'

/** In these a newer value replaces an item at once. What is being sent, or may have happened, is left to become known first. */
export const SUPERSEDABLE: readonly ItemState[] = ['waiting', 'queued', 'retrying', 'parked', 'dead_lettered']

/** The newest value of an entity that was accepted, whatever has become of it. */
export interface NewestValue {
  /** `null`: its entity has none. */
  readonly newest: string | null
  /** The item that brought it; `null`: none was accepted yet. */
  readonly newest_item: string | null
}

/** True where a newcomer ends before it begins: its value is older than one that was accepted. */
export function isOutdated({ rule, version }: NewTurn, { newest }: NewestValue): boolean {
  return rule === 'supersede' && version !== undefined && newest !== null && isOlderVersion(version, newest)
}

/** How many things a new item waits for: the steps before it, and its turn. */
export function unmetOf(item: NewItem): number {
  return item.after.length + (item.turn ? 1 : 0)
}

export function outdatedReason({ version = '', entity }: NewTurn, { newest, newest_item: item }: NewestValue): string {
  return `its version (${shownVersion(version)}) of "${entity}" is older than ${shownVersion(newest ?? '')}, which ${item} has brought`
}

export function supersededReason(entity: string, newestItem: string): string {
  return `${newestItem} has brought a newer value of "${entity}"`
}

export function waitsReason(entity: string): string {
  return `waits for its turn: others of "${entity}" are before it`
}

export const TURN_REASON = 'its turn has come'

/** What a store says of the place of an item. */
export interface TurnRow {
  readonly series: string
  readonly entity: string
  readonly rule: TurnRule
  readonly standing: TurnRecord['standing']
  /** The item right before it; `null`: none. */
  readonly before_run: string | null
  readonly before_step: string | null
  readonly behind: number
}

export function toTurn(row: TurnRow | undefined): TurnRecord | undefined {
  if (!row) return undefined
  const { series, entity, rule, standing, before_run: run, before_step: step, behind } = row
  const waits = standing === 'waits' && run !== null && step !== null
  return { series, entity, rule, standing, waitsFor: waits ? itemId(run, step) : undefined, behind }
}
