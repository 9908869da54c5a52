/** R079, rule 3: no effect twice, none lost, none that nobody says may be there. */
import type { Fact } from '../fact.ts'
import type { StepKind } from '../scenario.ts'
import { itemIdsOf, saysNothingDone } from './calls.ts'
import type { CheckFactory, CheckParts } from './check.ts'
import { followEarlyLooks } from './early-looks.ts'
import type { Ending, KnownItem } from './known-items.ts'

type EffectFact = Extract<Fact, { kind: 'effect' }>

/** How long a finished operation is remembered at least (D19); after that another run may have it done again. */
const REMEMBERED_MS = 72 * 3_600_000

export const noEffectTwice: CheckFactory = ({ scenario, violated, followItems }) => {
  const items = followItems()
  const effects = new Map<string, EffectFact>()
  const starts = followStarts()
  const earlyLooks = followEarlyLooks({ scenario, followItems })
  const refused = new Set<number>()
  const clocksAreOffMs = offBy(scenario)

  /** Whose doing it is, where it is not Holdfast's. */
  function excuse(first: EffectFact, second: EffectFact): string | undefined {
    if (first.call !== undefined && first.call === second.call)
      return 'one request, done twice by the network or the vendor'
    if (first.call !== undefined && refused.has(first.call)) return 'the vendor did it, and said that it did not'
    const item = second.itemId === undefined ? undefined : items.get(second.itemId)
    const apartMs = second.atMs - first.atMs + clocksAreOffMs
    if (item?.plan?.kind === 'post_operation' && apartMs >= REMEMBERED_MS) return 'the first is forgotten by then'
    // Looked for twice and not there, because the API carried the given-up request out after all that (R095).
    if (first.atMs > starts.latest(first, second)) return 'the first was not done yet when it was sent again'
    // By a clock that was set, or clocks that do not agree (decision 005).
    if (earlyLooks.wouldHaveSeen(first.itemId ?? '', first.atMs)) return 'it was looked for before its time'
    return undefined
  }

  return {
    name: 'no effect twice',
    observe(fact) {
      starts.observe(fact)
      earlyLooks.observe(fact)
      if (fact.kind === 'answered' && saysNothingDone(fact.status)) refused.add(fact.call)
      if (fact.kind !== 'effect' || fact.repeatable) return
      const name = `${fact.api} ${fact.key}`
      const first = effects.get(name)
      effects.set(name, fact)
      if (!first || excuse(first, fact)) return
      const message = `${fact.route} was done twice for "${fact.key}" at ${fact.api}: first at fact ${first.no}`
      violated(message, { ...(fact.itemId !== undefined && { itemId: fact.itemId }) })
    },
  }
}

/** When each item's work was begun: its calls, and the runs of its code. */
function followStarts() {
  const sentAt = new Map<number, number>()
  const codeStarts = new Map<string, number>()
  return {
    observe(fact: Fact): void {
      if (fact.kind === 'sent') sentAt.set(fact.call, fact.atMs)
      if (fact.kind === 'code' && fact.what === 'started') codeStarts.set(fact.itemId, fact.atMs)
    },
    /** The later start of the two. */
    latest(first: EffectFact, second: EffectFact): number {
      return Math.max(startOf(first), startOf(second))
    },
  }

  function startOf({ call, itemId }: EffectFact): number {
    const known = call === undefined ? codeStarts.get(itemId ?? '') : sentAt.get(call)
    return known ?? Number.POSITIVE_INFINITY
  }
}

function offBy({ machines, troubles }: CheckParts['scenario']): number {
  const jumps = troubles.map((trouble) => (trouble.kind === 'clock_jump' ? Math.abs(trouble.byMs) : 0))
  return [...machines.map(({ skewMs }) => Math.abs(skewMs)), ...jumps].reduce((sum, offMs) => sum + offMs, 0)
}

const WITHOUT_EFFECT: ReadonlySet<StepKind> = new Set<StepKind>(['read', 'code_safe'])

/** Succeeded means that the effect is there; surely without effect means that it is not. */
export const effectsAsRecorded: CheckFactory = ({ violated, followItems }) => {
  const done = new Set<string>()
  const latest = new Map<string, EffectFact>()
  const answers = new Map<string, { readonly call: number; readonly status: number | undefined }>()
  const claimedAt = new Map<string, number>()
  const sentAt = new Map<number, number>()
  followItems({
    claimed: (item, { fact }) => void claimedAt.set(item.itemId, fact.no),
    settled: (item, ending) => judge(item, ending),
    operated(item, _from, fact) {
      if (fact.method === 'resolve' && !isDone(item)) {
        violated('a person said that it happened, and it did not', { itemId: item.itemId, fact: fact.no })
      }
    },
  })

  function isDone(item: KnownItem): boolean {
    if (!item.plan || WITHOUT_EFFECT.has(item.plan.kind)) return true
    // Gone already is as good as deleted (R015).
    if (item.plan.kind === 'delete' && answers.get(item.itemId)?.status === 404) return true
    return done.has(`${item.plan.api} ${item.operation}`)
  }

  function judge(item: KnownItem, { settlement, receipt, fact }: Ending): void {
    if (receipt.outcome !== 'settled') return
    const about = { itemId: item.itemId, fact: fact.no }
    if (receipt.state === 'succeeded') {
      if (!isDone(item)) violated('it succeeded, and its effect is not there', about)
      return
    }
    const effect = latest.get(item.itemId)
    // What an earlier try has sent may be done only now.
    const isOfThisTry = effect !== undefined && begunAt(effect) > (claimedAt.get(item.itemId) ?? 0)
    if (!isOfThisTry || settlement.attempt?.failure?.certainty !== 'not_sent') return
    const answer = answers.get(item.itemId)
    // A vendor that did it and then said that it did not.
    if (effect.call !== undefined && effect.call === answer?.call && saysNothingDone(answer.status)) return
    violated(`it was settled as ${receipt.state}, surely without effect; its effect is fact ${effect.no}`, about)
  }

  function begunAt({ no, call }: EffectFact): number {
    return call === undefined ? no : (sentAt.get(call) ?? no)
  }

  return {
    name: 'effects are as recorded',
    observe(fact) {
      if (fact.kind === 'sent') sentAt.set(fact.call, fact.no)
      if (fact.kind === 'effect') {
        done.add(`${fact.api} ${fact.key}`)
        if (fact.itemId !== undefined && !fact.repeatable) latest.set(fact.itemId, fact)
      }
      if (fact.kind === 'answered') for (const itemId of itemIdsOf(fact)) answers.set(itemId, fact)
    },
  }
}
