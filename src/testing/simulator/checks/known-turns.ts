/** Places in the order of entities, followed from the words of the port (`NewTurn`): an account of its own, beside the store's. */
import { type ItemState, isEndState } from '../../../core/item-state.ts'
import { isOlderVersion } from '../../../core/version.ts'
import type { NewTurn } from '../../../ledger/port.ts'
import type { KnownItem } from './known-items.ts'

export interface KnownPlace {
  readonly item: KnownItem
  readonly turn: NewTurn
  readonly place: number
  /** Another one when the store has forgotten its entity meanwhile: then it knows of nothing newer. */
  readonly line: object
  standing: 'waits' | 'has_turn' | 'passed'
}

export interface KnownTurns {
  of(item: KnownItem): KnownPlace | undefined
  waits(item: KnownItem): boolean
  /** Everybody before it in its order that it has to wait for, the first of them first. */
  before(item: KnownItem): readonly KnownPlace[]
  /** `ended`: the store says that it was superseded there and then. */
  join(item: KnownItem, turn: NewTurn, nowMs: number, ended: boolean): void
  /** It gives its place away. */
  leave(item: KnownItem): void
  /** Its state has changed. */
  changed(item: KnownItem): void
  retain(endedBeforeMs: number): void
}

export interface TurnEffects {
  /** Nothing but its steps, if anything, keeps it any longer. */
  release(item: KnownItem): void
  supersede(item: KnownItem): void
}

interface Line {
  readonly key: string
  count: number
  updatedAtMs: number
  newest: string | undefined
  newestPlace: number
  places: KnownPlace[]
  /** Retention may have forgotten it with its last run. */
  mayBeForgotten: boolean
}

const REPLACED_AT_ONCE: ReadonlySet<ItemState> = new Set([
  'waiting',
  'queued',
  'retrying',
  'parked',
  'dead_lettered',
] as const)

export function createKnownTurns(effects: TurnEffects): KnownTurns {
  const lines = new Map<string, Line>()
  const lineOf = new Map<KnownItem, Line>()

  function enter(item: KnownItem, { series, entity }: NewTurn): Line {
    const key = JSON.stringify([item.tenant, series, entity])
    const line = lines.get(key) ?? newLine(key)
    lines.set(key, line)
    return line
  }

  function placeOf(item: KnownItem): KnownPlace | undefined {
    return lineOf.get(item)?.places.find((place) => place.item === item)
  }

  function remove(item: KnownItem): Line | undefined {
    const line = lineOf.get(item)
    lineOf.delete(item)
    if (line) line.places = line.places.filter((place) => place.item !== item)
    return line
  }

  function give(line: Line): void {
    const first = line.places.find(({ standing }) => standing !== 'passed')
    if (first?.standing !== 'waits') return
    first.standing = 'has_turn'
    effects.release(first.item)
  }

  function replaceOlder(line: Line): void {
    const older = line.places.filter(
      ({ item, place, turn }) =>
        place < line.newestPlace && turn.rule === 'supersede' && REPLACED_AT_ONCE.has(item.state),
    )
    for (const { item } of older) {
      remove(item)
      effects.supersede(item)
    }
  }

  return {
    of: placeOf,
    waits: (item) => placeOf(item)?.standing === 'waits',
    before(item) {
      const own = placeOf(item)
      const places = lineOf.get(item)?.places ?? []
      return own ? places.filter(({ place, standing }) => place < own.place && standing !== 'passed') : []
    },
    join(item, turn, nowMs, ended) {
      let line = enter(item, turn)
      const { rule, version } = turn
      if (isOutdated(line, turn)) {
        if (ended || !line.mayBeForgotten) {
          line.updatedAtMs = Math.max(line.updatedAtMs, nowMs)
          effects.supersede(item)
          return
        }
        lines.delete(line.key)
        line = enter(item, turn)
      }
      line.mayBeForgotten = false
      line.updatedAtMs = Math.max(line.updatedAtMs, nowMs)
      line.count += 1
      line.places.push({ item, turn, place: line.count, line, standing: 'waits' })
      lineOf.set(item, line)
      if (rule === 'supersede') {
        line.newest = version ?? line.newest
        line.newestPlace = line.count
      }
      replaceOlder(line)
      give(line)
    },
    leave(item) {
      const line = remove(item)
      if (line) give(line)
    },
    changed(item) {
      const [line, own] = [lineOf.get(item), placeOf(item)]
      if (!line || !own) return
      if (isEndState(item.state)) remove(item)
      else if (item.state === 'dead_lettered' && own.turn.rule === 'continue' && item.dueAtMs === undefined) {
        own.standing = 'passed'
      }
      replaceOlder(line)
      give(line)
    },
    retain(endedBeforeMs) {
      for (const line of lines.values()) {
        if (line.places.length === 0 && line.updatedAtMs < endedBeforeMs) line.mayBeForgotten = true
      }
    },
  }
}

function newLine(key: string): Line {
  return { key, count: 0, updatedAtMs: 0, newest: undefined, newestPlace: 0, places: [], mayBeForgotten: false }
}

function isOutdated({ newest }: Line, { rule, version }: NewTurn): boolean {
  return rule === 'supersede' && version !== undefined && newest !== undefined && isOlderVersion(version, newest)
}
