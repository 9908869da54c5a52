/**
 * Rule 3: what may have happened, and doubles when it is done again, is not sent again before a look found nothing (as often as
 * the settings ask for), or a person said so.
 */

import type { Fact } from '../fact.ts'
import type { StepKind } from '../scenario.ts'
import { type AnsweredFact, type Call, callOf, isShared, itemIdsOf, neverLeft, saysNothingDone } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'
import { followMachines } from './machines.ts'

const DOUBLES: ReadonlySet<StepKind> = new Set<StepKind>([
  'post_reconciled',
  'post_unsafe',
  'post_operation',
  'batch_unsafe',
  'batch_reconciled',
  'code_unsafe',
  'code_reconciled',
])

/** What is known of one operation at the API; several items may share it. */
interface Operation {
  /** Under way: calls without an answer, and code that neither returned nor threw. */
  readonly underWay: Map<string, { readonly process: string; readonly item: KnownItem }>
  /** It may have happened since the last look or word. */
  why: string | undefined
  looks: number
  doneAtMs: number
}

/** How long a finished operation is remembered at least (D19). */
const REMEMBERED_MS = 72 * 3_600_000

export const retriedOnlyWhenSafe: CheckFactory = ({ scenario, violated, followItems }) => {
  const machines = followMachines(scenario)
  const operations = new Map<string, Operation>()
  const effects = new Set<string>()
  const calls = new Map<number, Call>()
  /** By call: what it did. */
  const doneBy = new Map<number, Set<string>>()
  const looksWanted = Math.min(...scenario.machines.map(({ settings }) => settings.reconcileLooks ?? 2))
  const lies = new Set(scenario.apis.filter(({ integration }) => integration.errors?.length).map(({ name }) => name))
  const items = followItems({
    operated(item, from, fact) {
      if (fact.method === 'replay' && from === 'unknown_outcome') forget(item)
    },
    claimed(item, { takenOver }) {
      // Its process may live, and still be at it; whoever has it now must not rely on that.
      if (takenOver) giveUp(item, 'its process was lost')
    },
    settled(item, { receipt }) {
      if (receipt.outcome === 'settled') giveUp(item, 'it was given up')
    },
  })

  function known(item: KnownItem): Operation | undefined {
    if (!item.plan || !DOUBLES.has(item.plan.kind)) return undefined
    const key = `${item.plan.api} ${item.operation}`
    let operation = operations.get(key)
    if (!operation) {
      operation = { underWay: new Map(), why: undefined, looks: 0, doneAtMs: Number.POSITIVE_INFINITY }
      operations.set(key, operation)
    }
    return operation
  }

  function forget(item: KnownItem): void {
    const operation = known(item)
    if (!operation) return
    operation.underWay.clear()
    operation.why = undefined
    operation.looks = 0
  }

  function leaveOpen(operation: Operation, key: string, why: string): void {
    operation.underWay.delete(key)
    operation.why = why
    operation.looks = 0
  }

  /** What is still under way for an item may yet happen, and nobody waits for it any more. */
  function giveUp(item: KnownItem, why: string): void {
    const operation = known(item)
    for (const [key, begun] of operation?.underWay ?? []) {
      if (operation && begun.item === item) leaveOpen(operation, key, why)
    }
  }

  function begin(item: KnownItem | undefined, process: string, key: string, fact: Fact): void {
    const operation = item && known(item)
    if (!operation) return
    const forgotten = fact.atMs - operation.doneAtMs + machines.spreadMs >= REMEMBERED_MS
    const why = operation.why ?? (operation.underWay.size > 0 ? 'it is under way' : undefined)
    if (why && operation.looks < looksWanted && !forgotten) {
      const seen =
        operation.looks === 0 ? 'nobody has looked since' : `only ${operation.looks} looks found nothing since`
      violated(`${process} sent it again although ${why}, and ${seen}`, { itemId: item.itemId, fact: fact.no })
    }
    forget(item)
    operation.underWay.set(key, { process, item })
  }

  function look(item: KnownItem): void {
    const operation = known(item)
    if (operation && !effects.has(`${item.plan?.api} ${item.operation}`)) operation.looks += 1
  }

  function onAnswer(fact: Extract<Fact, { kind: 'answered' }>): void {
    const call = calls.get(fact.call)
    calls.delete(fact.call)
    if (!call?.item) return
    const { status, fault } = fact
    if (call.isLook) {
      if (fault === undefined && (status === 404 || (status ?? 500) < 300)) look(call.item)
      return
    }
    for (const itemId of itemIdsOf(fact)) {
      const item = items.get(itemId)
      if (item) concludeCall(item, fact)
    }
    doneBy.delete(fact.call)
  }

  function concludeCall(item: KnownItem, { call, api, status, fault }: AnsweredFact): void {
    const operation = known(item)
    if (!operation) return
    const key = `call ${call}`
    if (saysNothingDone(status) || neverLeft(fault)) operation.underWay.delete(key)
    // It was answered record by record, and this one was refused.
    else if (isShared(item) && fault === undefined && (status ?? 500) < 300 && !doneBy.get(call)?.has(item.operation)) {
      operation.underWay.delete(key)
    }
    // Where an API says errors with a 200, a good status tells nothing; the effects tell the rest.
    else if (lies.has(api) && fault === undefined && (status ?? 0) < 300) operation.underWay.delete(key)
    // Nor is a look undone by what a call that was given up comes to in the end.
    else if (operation.underWay.has(key))
      leaveOpen(operation, key, fault === undefined ? `it was answered ${status}` : `it ended with ${fault}`)
  }

  function onCode(fact: Extract<Fact, { kind: 'code' }>): void {
    const item = items.get(fact.itemId)
    const operation = item && known(item)
    if (!item || !operation) return
    const key = `code of ${fact.process}`
    if (fact.what === 'started') begin(item, fact.process, key, fact)
    else if (fact.what === 'looked') look(item)
    // A later look, by a process that has taken over, is not undone by what an earlier one comes to.
    else if (operation.underWay.has(key)) leaveOpen(operation, key, `its code ${fact.what}`)
  }

  function onEnd(process: string): void {
    for (const operation of operations.values()) {
      for (const [key, begun] of operation.underWay) {
        if (begun.process === process) leaveOpen(operation, key, 'its process ended')
      }
    }
    for (const [number, call] of calls) if (call.process === process) calls.delete(number)
  }

  return {
    name: 'retried only when it is safe',
    observe(fact) {
      machines.observe(fact)
      if (fact.kind === 'effect') {
        effects.add(`${fact.api} ${fact.key}`)
        if (fact.call !== undefined) doneBy.set(fact.call, (doneBy.get(fact.call) ?? new Set()).add(fact.key))
        const operation = operations.get(`${fact.api} ${fact.key}`)
        if (operation) operation.doneAtMs = Math.min(operation.doneAtMs, fact.atMs)
      } else if (fact.kind === 'sent') {
        const call = callOf(fact, items)
        calls.set(fact.call, call)
        if (call.isLook) return
        for (const itemId of itemIdsOf(fact)) begin(items.get(itemId), fact.process, `call ${fact.call}`, fact)
      } else if (fact.kind === 'answered') onAnswer(fact)
      else if (fact.kind === 'code') onCode(fact)
      else if (fact.kind === 'process_ended') onEnd(fact.process)
    },
  }
}
