/** Rule 4, D11, R046: a 429 slows its whole lane, here at once and elsewhere soon, for as long as the API asked, never shorter. */

import type { Fact } from '../fact.ts'
import type { ApiPlan } from '../scenario.ts'
import { type AnsweredFact, itemIdsOf, type SentFact, startOf } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { Ending, KnownItem, StoreFactOf } from './known-items.ts'
import { followMachines, machineOf } from './machines.ts'
import { followStoreTrouble } from './store-trouble.ts'
import { waitAskedMs } from './wait-asked.ts'

/** Dates have whole seconds, and the answer's way counts as waiting. */
const TOLERANCE_MS = 1000

interface Pause {
  readonly atMs: number
  /** By the clock of the process that was told. */
  readonly untilMs: number
  /** In time that really passes: a clock set back after the call was allowed makes the pause no shorter, one set ahead does. */
  readonly waitedUntilMs: number
  readonly call: number
}

interface StoredGate {
  readonly untilMs: number
  readonly writtenAtMs: number
}

export const gatesAreObeyed: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  const trouble = followStoreTrouble()
  const apis = new Map(scenario.apis.map((api) => [api.name, api]))
  const pauses = new Map<string, Pause>()
  const gates = new Map<string, StoredGate>()
  /** By lane: since when, in true time. */
  const suspended = new Map<string, number>()
  /** By item and process: what the API asked for in this claim. */
  const asked = new Map<string, Pause>()
  const items = followItems({
    claimed: (item, { fact }) => void asked.delete(`${item.itemId} ${fact.process}`),
    settled: (item, ending) => onSettled(item, ending),
  })

  function onAnswer(fact: AnsweredFact): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    const api = apis.get(fact.api)
    if (!item || !api || fact.status === undefined) return
    const waitMs = waitAskedMs(fact.headers, fact.status, machines.wallMs(fact.process, fact.atMs))
    if (waitMs === undefined || waitMs <= 0) return
    const untilMs = machines.wallMs(fact.process, fact.atMs) + waitMs
    const waitedUntilMs = machines.waitedMs(fact.process, fact.atMs) + waitMs
    const pause = { atMs: fact.atMs, untilMs, waitedUntilMs, call: fact.call }
    for (const itemId of itemIdsOf(fact)) asked.set(`${itemId} ${fact.process}`, pause)
    if (!isThrottle(api, fact.status)) return
    const key = `${fact.process} ${item.lane}`
    if (waitedUntilMs > (pauses.get(key)?.waitedUntilMs ?? 0)) pauses.set(key, pause)
  }

  /** Whoever was told writes it down for the others, and gives the item back no earlier. */
  function onSettled(item: KnownItem, { settlement, receipt, fact }: Ending): void {
    const pause = asked.get(`${item.itemId} ${fact.process}`)
    if (settlement.gate && receipt.outcome === 'settled') close(settlement.gate, fact.atMs)
    if (!pause || receipt.outcome !== 'settled' || !settlement.attempt) return
    const about = { itemId: item.itemId, fact: fact.no }
    const { failure } = settlement.attempt
    if (failure?.class === 'rate_limited') {
      const storedUntilMs = gates.get(item.lane)?.untilMs ?? 0
      const shortMs = pause.untilMs - storedUntilMs
      if (shortMs > TOLERANCE_MS)
        violated(`the API asked to wait ${shortMs} ms longer than the lane's gate does`, about)
    }
    const { to } = settlement
    const dueAtMs = 'dueAtMs' in to && to.state !== 'dead_lettered' ? to.dueAtMs : undefined
    const isBack = to.state === 'retrying' || to.state === 'parked'
    if (isBack && failure && dueAtMs !== undefined && pause.untilMs - dueAtMs > TOLERANCE_MS) {
      violated(`it is due ${Math.round(pause.untilMs - dueAtMs)} ms before the API wants it back`, about)
    }
  }

  function close({ lane, untilMs }: { lane: string; untilMs: number }, atMs: number): void {
    if (untilMs > (gates.get(lane)?.untilMs ?? 0)) gates.set(lane, { untilMs, writtenAtMs: atMs })
  }

  function onSent(fact: SentFact): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    if (!item) return
    const startedMs = startOf(fact)
    const wallMs = machines.wallMs(fact.process, startedMs)
    const own = pauses.get(`${fact.process} ${item.lane}`)
    const restMs = own ? Math.round(own.waitedUntilMs - machines.waitedMs(fact.process, startedMs)) : 0
    if (own && startedMs > own.atMs && restMs > TOLERANCE_MS) {
      violated(`${fact.process} sent on ${item.lane} ${restMs} ms before the API allows it (call ${own.call})`, {
        itemId: item.itemId,
      })
    }
    const gate = gates.get(item.lane)
    if (gate && gate.untilMs - wallMs > TOLERANCE_MS + machines.spreadMs) {
      unheard(fact, item, gate.writtenAtMs, 'its gate was closed')
    }
    const suspendedAtMs = suspended.get(item.lane)
    if (suspendedAtMs !== undefined) unheard(fact, item, suspendedAtMs, 'it was suspended')
  }

  /** The others need not know at once; but after two exchanges of health that nothing troubled they must. */
  function unheard(fact: SentFact, item: KnownItem, writtenAtMs: number, what: string): void {
    const agoMs = startOf(fact) - writtenAtMs
    const boundMs = machines.settings(fact.process).healthSyncMs * 2 + TOLERANCE_MS
    if (agoMs <= boundMs || trouble.wellForMs(machineOf(fact.process), fact.atMs) <= boundMs) return
    violated(`${fact.process} sent on ${item.lane} although ${what} ${Math.round(agoMs)} ms ago`, {
      itemId: item.itemId,
    })
  }

  function onClaim(fact: StoreFactOf<'claim'>): void {
    for (const { itemId, lane } of fact.result ?? []) {
      if (suspended.has(lane)) violated(`it was claimed from ${lane}, which is suspended`, { itemId })
      const restMs = (gates.get(lane)?.untilMs ?? 0) - fact.request[0].nowMs
      if (restMs > 0) violated(`it was claimed ${restMs} ms before the gate of ${lane} opens`, { itemId })
    }
  }

  function onStore(fact: Extract<Fact, { kind: 'store' }>): void {
    if (fact.result === undefined && fact.refused !== undefined) return
    if (fact.method === 'claim') onClaim(fact)
    else if (fact.method === 'closeGates') for (const gate of fact.request[0]) close(gate, fact.atMs)
    else if (fact.method === 'suspendLanes') for (const { lane } of fact.request[0]) suspended.set(lane, fact.atMs)
    else if (fact.method === 'resumeLanes') for (const lane of fact.request[0]) suspended.delete(lane)
    else if (fact.method === 'openGates') {
      for (const lane of fact.request[0]) {
        gates.delete(lane)
        for (const key of pauses.keys()) if (key.endsWith(` ${lane}`)) pauses.delete(key)
      }
    }
  }

  return {
    name: 'gates are obeyed',
    observe(fact) {
      machines.observe(fact)
      trouble.observe(fact)
      if (fact.kind === 'store') onStore(fact)
      if (fact.kind === 'answered') onAnswer(fact)
      else if (fact.kind === 'sent') onSent(fact)
    },
  }
}

/** 429, or what the API answers instead and its integration knows. */
function isThrottle({ rateLimit, integration }: ApiPlan, status: number): boolean {
  if (status === 429) return true
  return status === rateLimit?.status && (integration.errors ?? []).some((rule) => rule.class === 'rate_limited')
}
