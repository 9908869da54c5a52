/**
 * R116: of one entity one item at a time is worked on, in the order of its places, whatever fails; and no older value is written
 * over a newer one. What the network or the vendor carries out late is theirs: what counts is when it was begun.
 */
import type { Fact } from '../fact.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'

interface Done {
  readonly itemId: string
  readonly place: number
  readonly line: object
  readonly version: string | undefined
  readonly begunAtMs: number
}

export const orderIsKept: CheckFactory = ({ violated, followItems }) => {
  const processing = new Map<string, KnownItem>()
  const begun = new Map<number, number>()
  const codeBegun = new Map<string, number>()
  const done = new Map<string, Done[]>()
  const items = followItems({
    moved(item, from) {
      const entity = entityOf(item)
      if (entity && from === 'processing' && processing.get(entity) === item) processing.delete(entity)
    },
    claimed(item, { fact, previous }) {
      const entity = entityOf(item)
      if (!entity) return
      const about = { itemId: item.itemId, fact: fact.no }
      if (previous.state === 'superseded') violated(`it was claimed, and ${entity} had a newer value`, about)
      const other = processing.get(entity)
      if (other && other !== item) violated(`it was claimed while ${other.itemId} of ${entity} was under way`, about)
      const [first] = items.turns.before(item)
      if (first) violated(`it was claimed before its turn: ${first.item.itemId} of ${entity} is before it`, about)
      processing.set(entity, item)
    },
  })

  function note(fact: Extract<Fact, { kind: 'effect' }>): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    const entity = item && entityOf(item)
    const begunAtMs = fact.call === undefined ? codeBegun.get(fact.itemId ?? '') : begun.get(fact.call)
    if (!item?.turn || !entity || begunAtMs === undefined) return
    const before = done.get(entity) ?? []
    const { version } = item.turn
    const own = items.turns.of(item)
    // It should have ended: by its version it is still clear what comes after it.
    const { place, line } = own ?? { place: 0, line: before.at(-1)?.line }
    if (!line || (!own && version === undefined)) return
    const now: Done = { itemId: item.itemId, place, line, version, begunAtMs }
    const overtaken = before.find((other) => other.line === line && other.begunAtMs < begunAtMs && isNewer(other, now))
    if (overtaken) {
      violated(`${entity}: it was done after ${overtaken.itemId}, which comes after it`, { itemId: item.itemId })
    }
    done.set(entity, [...before.filter((other) => other.itemId !== now.itemId), now])
  }

  return {
    name: 'order is kept',
    observe(fact) {
      if (fact.kind === 'sent') begun.set(fact.call, fact.startedAtMs ?? fact.atMs)
      if (fact.kind === 'code' && fact.what === 'started') codeBegun.set(fact.itemId, fact.atMs)
      if (fact.kind === 'effect') note(fact)
    },
  }
}

/** By their versions, where they have comparable ones, else by their places. */
function isNewer(left: Done, right: Done): boolean {
  if (left.version?.[0] !== undefined && left.version[0] === right.version?.[0]) return left.version > right.version
  return left.place > right.place
}

function entityOf({ tenant, turn }: KnownItem): string | undefined {
  return turn && `${turn.series} "${turn.entity}" of ${tenant}`
}
