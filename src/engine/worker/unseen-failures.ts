/** Tells of failures that end in a dead letter and that nobody has written a rule for (R031). */
import type { EventBus } from '../../core/events.ts'
import type { ClaimedItem, Settlement } from '../../ledger/port.ts'
import { isDecidedByDefault } from '../../policy/classify/suggest-rule.ts'
import { itemRefOf } from './item-events.ts'

/** Of each engine: all its workers share its events. */
const toldOf = new WeakMap<EventBus, Set<string>>()
/** Fingerprints come from foreign codes: a hostile API must not fill the memory. */
const MOST_TOLD = 10_000

/** Emits `failure.unseen`, once for each kind of failure and process. */
export function tellUnseenFailure(events: EventBus, item: ClaimedItem, settlement: Settlement, atMs: number): void {
  const { to, attempt } = settlement
  const failure = attempt?.failure
  if (to.state !== 'dead_lettered' || !failure || !isDecidedByDefault(failure)) return
  const { fingerprint } = to.deadLetter
  let told = toldOf.get(events)
  if (!told) {
    told = new Set()
    toldOf.set(events, told)
  }
  if (told.has(fingerprint) || told.size >= MOST_TOLD) return
  told.add(fingerprint)
  events.emit('failure.unseen', atMs, { ...itemRefOf(item), fingerprint, failure })
}
