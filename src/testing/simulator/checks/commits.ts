/** Rule 5: a success and the record of its operation commit together; and nothing is told to observers before it is on disk. */
import type { EventOf } from '../../../core/events.ts'
import type { CheckFactory } from './check.ts'
import type { Ending, KnownItem, StoreFactOf } from './known-items.ts'

export const operationsEndWithTheirItem: CheckFactory = ({ violated, followItems }) => {
  /** By item: the operations it has reserved, and not ended. */
  const reserved = new Map<string, Set<string>>()
  followItems({
    settled: (item, ending) => judge(item, ending),
    operated(item, _from, fact) {
      // A person's word ends them all, whichever it is.
      if (fact.method === 'resolve' || fact.method === 'replay') reserved.delete(item.itemId)
    },
  })

  function judge(item: KnownItem, { settlement, receipt, fact }: Ending): void {
    if (receipt.outcome !== 'settled') return
    const open = reserved.get(item.itemId)
    if (settlement.effect) open?.delete(settlement.effect.key)
    if (receipt.state !== 'succeeded') return
    const about = { itemId: item.itemId, fact: fact.no }
    if (settlement.effect?.done === false) violated(`it succeeded, and its operation was called not done`, about)
    for (const key of open ?? []) violated(`it succeeded, and operation "${key}" was not recorded with it`, about)
    reserved.delete(item.itemId)
  }

  function onBegin(fact: StoreFactOf<'beginEffects'>): void {
    for (const [index, receipt] of (fact.result ?? []).entries()) {
      const effect = fact.request[0][index]
      if (!effect || receipt.outcome !== 'started') continue
      reserved.set(effect.owner, (reserved.get(effect.owner) ?? new Set()).add(effect.key))
    }
  }

  return {
    name: 'operations end with their item',
    observe(fact) {
      if (fact.kind === 'store' && fact.method === 'beginEffects') onBegin(fact)
    },
  }
}

export const eventsFollowTheStore: CheckFactory = ({ violated, followItems }) => {
  /** By process and item: what it has last settled; a newer value may have replaced that in the same transaction. */
  const settled = new Map<string, Set<string>>()
  const claimed = new Map<string, number>()
  followItems({
    claimed: (item, { fact, claimed: { token } }) => void claimed.set(`${fact.process} ${item.itemId}`, token),
    moved(item, _from, fact) {
      // By a newer value, which somebody else may have brought.
      if (item.state !== 'superseded' || fact.kind !== 'store') return
      const name = `${fact.process} ${item.itemId}`
      settled.set(name, (settled.get(name) ?? new Set()).add(item.state))
    },
    settled(item, { receipt, fact }) {
      if (receipt.outcome === 'settled') settled.set(`${fact.process} ${item.itemId}`, new Set([receipt.state]))
    },
  })

  function onSettled(process: string, { itemId, state }: EventOf<'item.settled'>): void {
    const onDisk = settled.get(`${process} ${itemId}`)
    if (onDisk?.has(state)) return
    violated(`${process} tells that it is ${state}; on disk it is ${[...(onDisk ?? ['not'])].join(', ')}`, { itemId })
  }

  return {
    name: 'events follow the store',
    observe(fact) {
      if (fact.kind !== 'event') return
      const { event } = fact
      if (event.type === 'item.settled') onSettled(fact.process, event)
      if (event.type === 'item.claimed' && claimed.get(`${fact.process} ${event.itemId}`) !== event.claim) {
        violated(`${fact.process} tells of claim ${event.claim}, which the store did not give it`, {
          itemId: event.itemId,
        })
      }
    },
  }
}
