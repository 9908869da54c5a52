/** Rule 1, and R001: what was acknowledged is in the ledger, whole, once, and stays there. */
import { isEndState } from '../../../core/item-state.ts'
import type { NewRun, SubmitReceipt } from '../../../ledger/port.ts'
import type { Fact } from '../fact.ts'
import type { Scenario } from '../scenario.ts'
import { isUndoing } from '../undoing.ts'
import type { CheckFactory, CheckParts, WorldView } from './check.ts'

interface KnownRun {
  readonly name: string
  readonly fingerprint: string | undefined
  /** Of its items. */
  readonly steps: string
  readonly acceptedAt: number
}

export const neverLost: CheckFactory = (parts) => {
  const { scenario, violated, followItems } = parts
  const items = followItems()
  const stepsOf = plannedSteps(scenario)
  const runs = new Map<string, KnownRun>()
  /** By tenant, pipeline and key: the run that has it. */
  const byName = new Map<string, string>()
  const acknowledged = new Set<string>()
  let retained = 0

  /** Keys of forgotten runs are new again; only runs that had ended can be forgotten. */
  function mayBeForgotten(runId: string): boolean {
    return retained > 0 && items.ofRun(runId).every(({ state }) => isEndState(state))
  }

  function onReceipt(run: NewRun, receipt: SubmitReceipt, fact: Fact): void {
    const name = JSON.stringify([run.tenant, run.pipeline, run.key ?? run.id])
    const first = byName.get(name)
    if (receipt.outcome === 'accepted') {
      if (runs.has(run.id)) violated(`run ${run.id} was accepted twice`)
      if (first !== undefined && !mayBeForgotten(first))
        violated(`${name} was accepted again as ${run.id}; it was ${first}`)
      const steps = namesOf(run.items)
      // What undoes a run has as many as are to be undone: `undoing.ts`.
      const planned = stepsOf.get(run.pipeline)
      if (planned === undefined ? !isUndoing(run.pipeline) : steps !== planned)
        violated(`run ${run.id} of ${run.pipeline} was accepted with items ${steps}`)
      runs.set(run.id, { name, fingerprint: run.inputFingerprint, steps, acceptedAt: fact.no })
      byName.set(name, run.id)
      return
    }
    if (first === undefined) {
      violated(`${name} is called a ${receipt.outcome}, and was never accepted`)
      return
    }
    if (receipt.runId !== first) violated(`${name} is called a ${receipt.outcome} of ${receipt.runId}; it was ${first}`)
    const same = runs.get(first)?.fingerprint === run.inputFingerprint
    if (same !== (receipt.outcome === 'duplicate')) violated(`${name} is called a ${receipt.outcome}, and is none`)
  }

  return {
    name: 'accepted and never lost',
    observe(fact) {
      if (fact.kind === 'acknowledged') acknowledged.add(fact.runId)
      if (fact.kind !== 'store' || fact.result === undefined) return
      if (fact.method === 'retain') retained += fact.result.runs
      if (fact.method !== 'submit') return
      for (const [index, receipt] of fact.result.entries()) {
        const run = fact.request[0][index]
        if (run) onReceipt(run, receipt, fact)
      }
    },
    async end(view) {
      let missing = 0
      for (const runId of new Set([...runs.keys(), ...acknowledged])) {
        if (await isWhole(view, runId, runs.get(runId))) continue
        missing += 1
        if (!runs.has(runId) || !mayBeForgotten(runId)) violated(`run ${runId} is not in the ledger with all its items`)
      }
      if (missing !== retained) violated(`${retained} runs were forgotten by retention, and ${missing} are missing`)
    },
  }
}

/** Rule 1: before anybody was told that a record was accepted, the store had it. */
export const durableBeforeAcknowledged: CheckFactory = ({ violated }: CheckParts) => {
  const onDisk = new Set<string>()
  const runOf = new Map<string, string>()
  return {
    name: 'durable before acknowledged',
    observe(fact) {
      if (fact.kind === 'store' && fact.method === 'submit') {
        for (const receipt of fact.result ?? []) if (receipt.outcome !== 'conflict') onDisk.add(receipt.runId)
      }
      if (fact.kind !== 'acknowledged') return
      if (!onDisk.has(fact.runId)) violated(`${fact.record} was acknowledged as ${fact.runId} before the store had it`)
      const first = runOf.get(fact.record)
      if (fact.duplicate && first !== undefined && first !== fact.runId && !onDisk.has(first)) {
        violated(`${fact.record} was acknowledged as ${first}, and later as a duplicate of ${fact.runId}`)
      }
      runOf.set(fact.record, fact.runId)
    },
  }
}

function plannedSteps({ pipelines }: Scenario): ReadonlyMap<string, string> {
  return new Map(pipelines.map(({ name, steps }) => [name, namesOf(steps.map(({ name: step }) => ({ step })))]))
}

function namesOf(items: readonly { readonly step: string }[]): string {
  return items
    .map(({ step }) => step)
    .sort()
    .join()
}

async function isWhole({ ledger }: WorldView, runId: string, known: KnownRun | undefined): Promise<boolean> {
  const run = await ledger.run(runId)
  return run !== undefined && namesOf(run.items) === known?.steps
}
