/** Rule 6: one settlement per lease, no lease token twice, nothing claimed that is not due, nothing taken over that is not lost. */
import type { CheckFactory } from './check.ts'

export const oneSettlementPerLease: CheckFactory = ({ violated, followItems }) => {
  const items = followItems({
    claimed(item, { claimed, takenOver, previous, fact }) {
      const about = { itemId: item.itemId, fact: fact.no }
      const { nowMs } = fact.request[0]
      if (claimed.token !== previous.token + 1) {
        violated(`it was claimed with token ${claimed.token} after ${previous.token}`, about)
      }
      if (takenOver) {
        if (!previous.lease) violated('it was taken over, and nobody had it', about)
        else if (previous.lease.untilMs > nowMs) {
          violated(`it was taken over ${previous.lease.untilMs - nowMs} ms before its lease ended`, about)
        }
        return
      }
      if (previous.lease) violated(`${fact.process} claimed it while ${previous.lease.process} had it`, about)
      if (previous.mayBeWoken) return
      if (previous.dueAtMs === undefined) violated(`it was claimed, and ${previous.state} without a due time`, about)
      else if (previous.dueAtMs > nowMs)
        violated(`it was claimed ${previous.dueAtMs - nowMs} ms before it was due`, about)
    },
    settled(item, { settlement, receipt, lease, fact }) {
      const about = { itemId: item.itemId, fact: fact.no }
      const { token } = settlement
      const isCurrent = lease?.token === token
      if (receipt.outcome === 'settled' && !isCurrent) {
        const now = lease ? `the lease is ${lease.token}, with ${lease.process}` : 'nobody had it any more'
        violated(`${fact.process} settled it with token ${token} as ${receipt.state}, and ${now}`, about)
      }
      if (receipt.outcome === 'lease_lost' && isCurrent) violated(`token ${token} was current, and called lost`, about)
    },
  })

  function onExtended(id: string, token: number, isLost: boolean, fact: number): void {
    const isCurrent = items.get(id)?.lease?.token === token
    if (isCurrent === !isLost) return
    violated(`token ${token} is ${isCurrent ? '' : 'not '}current, and its renewal says otherwise`, {
      itemId: id,
      fact,
    })
  }

  return {
    name: 'one settlement per lease',
    observe(fact) {
      if (fact.kind !== 'store' || fact.method !== 'extendLeases' || !fact.result) return
      const lost = new Set(fact.result.map(({ itemId, token }) => `${itemId}#${token}`))
      for (const { itemId, token } of fact.request[0])
        onExtended(itemId, token, lost.has(`${itemId}#${token}`), fact.no)
    },
  }
}
