/**
 * Rule 4, D14: an attempt is counted for each try that may have reached the API, and for nothing else. Judged claim by claim: what a
 * process did between its claim and its settlement of an item is one try at most.
 */

import type { Fact } from '../fact.ts'
import { isLook, isShared, itemIdsOf, neverLeft, saysNothingDone } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { Ending, KnownItem } from './known-items.ts'

/** What a process has done for an item since it claimed it. */
interface Try {
  /** Calls that had a try's effect in mind, looks left out; runs of its code. */
  begun: number
  status: number | undefined
  fault: string | undefined
  /** Its last call was for others too. */
  inCompany: boolean
  /** What calls before the last one came to, where they were for others too: a search for the culprit may have been held up. */
  readonly before: Set<number | undefined>
}

/** Refusals that say nothing about this item: too many requests (R020), credentials (R011). */
const FREE_STATUS: ReadonlySet<number | undefined> = new Set([429, 401])
/** Ended by the process itself: its worker stops, or has lost the item. Whether that counts depends on what may have left. */
const BROKEN_OFF =
  /^(cancelled|no_longer_allowed|AbortError|ABORT_ERR|UND_ERR_ABORTED|UND_ERR_DESTROYED|UND_ERR_CLOSED)/

export const attemptsCountedRight: CheckFactory = ({ scenario, violated, followItems }) => {
  const tries = new Map<string, Try>()
  /** Statuses that an API's own rules turn into something else than a failed try. */
  const ownRules = new Map(
    scenario.apis.map(({ name, integration, rateLimit }) => [
      name,
      new Set([rateLimit?.status, ...(integration.errors ?? []).flatMap(({ status }) => status ?? [])]),
    ]),
  )
  const items = followItems({
    claimed: (item, { fact }) =>
      void tries.set(`${item.itemId} ${fact.process}`, {
        begun: 0,
        status: undefined,
        fault: undefined,
        inCompany: false,
        before: new Set(),
      }),
    settled: (item, ending) => judge(item, ending),
  })

  function judge(item: KnownItem, { settlement, receipt, fact }: Ending): void {
    if (receipt.outcome !== 'settled' || !item.plan) return
    const about = { itemId: item.itemId, fact: fact.no }
    const made = tries.get(`${item.itemId} ${fact.process}`)
    const counted = settlement.attempt?.counts === true
    const begun = made?.begun ?? 0
    // A call that is refused as a whole is searched for the record that is to blame, by halves (R127).
    if (begun > 1 && !isShared(item)) violated(`${begun} tries were made under one claim`, about)
    if (counted && begun === 0)
      violated(`an attempt was counted (${settlement.attempt?.outcome}), and none was made`, about)
    if (begun === 0 || !made) return
    if (counted && isFree(made)) violated(`an attempt was counted for a ${made.status}`, about)
    if (!counted && mustCount(item, made)) {
      violated(`its try ended with ${made.fault ?? made.status ?? 'code'}, and no attempt was counted`, about)
    }
    const stated = settlement.attempt?.status
    // Of a shared call each record has a status of its own.
    if (isShared(item) && made.fault === undefined && (made.status ?? 500) < 300) return
    if (stated !== undefined && stated !== made.status && !made.before.has(stated)) {
      violated(`its attempt says ${stated}; the answer was ${made.status ?? made.fault}`, about)
    }
  }

  /** Where the body was lost, only a 429 tells enough by its status: a credential is not given up for half an answer. */
  function isFree({ status, fault }: Try): boolean {
    return fault === undefined ? FREE_STATUS.has(status) : status === 429
  }

  function mustCount(item: KnownItem, made: Try): boolean {
    if (item.plan?.kind.startsWith('code')) return made.status !== undefined || made.fault !== undefined
    // A refusal whose body was lost is a refusal.
    if (made.status !== undefined && FREE_STATUS.has(made.status)) return false
    if (made.fault !== undefined) return !neverLeft(made.fault) && !BROKEN_OFF.test(made.fault)
    if (made.status === undefined) return false
    // Refused as a whole, and not done: another record may be to blame, and it goes on without that one (R127).
    if (made.inCompany && saysNothingDone(made.status)) return false
    return !ownRules.get(item.plan?.api ?? '')?.has(made.status)
  }

  /** The tries that a call belongs to: an answer may come when the next one has begun. */
  const triesOf = new Map<number, readonly Try[]>()

  function beginCall(fact: Extract<Fact, { kind: 'sent' | 'answered' }>): readonly Try[] {
    const begun = itemIdsOf(fact).flatMap((itemId) => {
      const made = tries.get(`${itemId} ${fact.process}`)
      return made && !isLook(items.get(itemId), fact.endpoint) ? [made] : []
    })
    for (const made of begun) made.begun += 1
    triesOf.set(fact.call, begun)
    return begun
  }

  function onAnswer(fact: Extract<Fact, { kind: 'answered' }>): void {
    // Refused a connection: it was tried, though not a byte left.
    const made = triesOf.get(fact.call) ?? beginCall(fact)
    triesOf.delete(fact.call)
    for (const one of made) {
      if (one.inCompany) one.before.add(one.status)
      one.inCompany = made.length > 1
      one.status = fact.status
      one.fault = fact.fault
    }
  }

  function onCode(fact: Extract<Fact, { kind: 'code' }>): void {
    const made = tries.get(`${fact.itemId} ${fact.process}`)
    if (!made) return
    if (fact.what === 'started') made.begun += 1
    else if (fact.what !== 'looked') made.fault = fact.what
  }

  return {
    name: 'attempts are counted right',
    observe(fact) {
      if (fact.kind === 'sent') beginCall(fact)
      else if (fact.kind === 'answered') onAnswer(fact)
      else if (fact.kind === 'code') onCode(fact)
    },
  }
}
