/**
 * R029: what a failed run did is undone whole and once, each step after those that were built on it; nothing that was not done, and
 * nothing of a run that goes on. (That no undoing has its effect twice, or says that it had one, is seen where all effects are.)
 */
import type { UndoInput } from '../../../engine/pipelines/undo-pipeline.ts'
import { undoNameOf } from '../../../engine/pipelines/undo-pipeline.ts'
import type { NewRun } from '../../../ledger/port.ts'
import type { Fact } from '../fact.ts'
import type { PipelinePlan } from '../scenario.ts'
import { compensates, runsToUndo } from '../undoing.ts'
import { isLook, itemIdsOf } from './calls.ts'
import type { CheckFactory } from './check.ts'
import type { KnownItem } from './known-items.ts'

interface Undoing {
  readonly runId: string
  readonly plan: PipelinePlan
  /** How often items of it had been replayed when it was decided on. */
  readonly replays: number
  /** The first of its effects. */
  begun: number | undefined
}

export const undoneAsPromised: CheckFactory = ({ scenario, violated, followItems }) => {
  const plans = new Map(scenario.pipelines.filter(compensates).map((plan) => [undoNameOf(plan.name), plan]))
  /** By the run that undoes, and by the one that is undone. */
  const undoings = new Map<string, Undoing>()
  const latest = new Map<string, Undoing>()
  const failed = new Set<string>()
  const items = followItems({
    moved(item) {
      if (item.state === 'dead_lettered' && !item.optional) failed.add(item.runId)
    },
    claimed(item, { fact }) {
      const undoing = latest.get(item.runId)
      if (undoing?.begun === undefined) return
      violated(`it was worked on, and its run has been undone since fact ${undoing.begun}`, about(item, fact))
    },
  })

  function onSubmitted(run: NewRun, plan: PipelinePlan): void {
    const { runId } = JSON.parse(run.input) as UndoInput
    const ofRun = items.ofRun(runId)
    const undoing = { runId, plan, replays: Number(run.key?.split('#')[1] ?? 0), begun: undefined }
    undoings.set(run.id, undoing)
    latest.set(runId, undoing)
    if (!failed.has(runId)) violated(`run ${run.id} undoes run ${runId}, which has not failed`)
    if (ofRun.some(({ pipeline }) => pipeline !== plan.name)) violated(`run ${run.id} undoes a run of another pipeline`)
    const done = new Set(ofRun.filter(({ state }) => state === 'succeeded').map(({ step }) => step))
    for (const { step } of run.items) {
      if (!done.has(step)) violated(`run ${run.id} undoes ${step} of run ${runId}, which was not done`)
    }
    // Somebody has replayed it since the engine looked: then it may have gone on.
    if (replaysOf(ofRun) !== undoing.replays) return
    const undone = new Set(run.items.map(({ step }) => step))
    const left = plan.steps.filter(({ name, undo }) => undo !== undefined && done.has(name) && !undone.has(name))
    if (left.length > 0) violated(`run ${run.id} leaves ${left.map(({ name }) => name).join()} of run ${runId}`)
    const open = ofRun.find(({ state }) => !ENDED.has(state))
    if (open) violated(`run ${runId} is undone while one of its items is ${open.state}`, { itemId: open.itemId })
  }

  function onBegun(item: KnownItem | undefined, fact: Fact): void {
    const undoing = item && undoings.get(item.runId)
    if (!undoing) return
    const done = new Map(items.ofRun(item.runId).map((other) => [other.step, other]))
    for (const name of builtOn(item.step, undoing.plan)) {
      const later = done.get(name)
      if (later && later.state !== 'succeeded') {
        violated(`it was undone before ${name}, which was built on it and is ${later.state}`, about(item, fact))
      }
    }
  }

  function onEffect(fact: Extract<Fact, { kind: 'effect' }>): void {
    const item = fact.itemId === undefined ? undefined : items.get(fact.itemId)
    const undoing = item && undoings.get(item.runId)
    if (!undoing) return
    undoing.begun ??= fact.no
    if (latest.get(undoing.runId) === undoing && replaysOf(items.ofRun(undoing.runId)) === undoing.replays) return
    violated(`it was undone, and run ${undoing.runId} has been replayed and goes on`, about(item, fact))
  }

  return {
    name: 'undone as promised',
    observe(fact) {
      if (plans.size === 0) return
      if (fact.kind === 'store' && fact.method === 'submit') {
        for (const [index, receipt] of (fact.result ?? []).entries()) {
          const run = fact.request[0][index]
          const plan = run && plans.get(run.pipeline)
          if (plan && receipt.outcome === 'accepted') onSubmitted(run, plan)
        }
      } else if (fact.kind === 'sent') {
        for (const id of itemIdsOf(fact)) if (!isLook(items.get(id), fact.endpoint)) onBegun(items.get(id), fact)
      } else if (fact.kind === 'code' && fact.what === 'started') onBegun(items.get(fact.itemId), fact)
      else if (fact.kind === 'effect') onEffect(fact)
    },
    async end({ ledger }) {
      for (const runId of await runsToUndo(scenario, ledger)) {
        violated(`run ${runId} failed for good, and what it did was never undone`)
      }
    },
  }
}

/** Nothing of it is under way, or to come: ends, and dead letters. */
const ENDED: ReadonlySet<KnownItem['state']> = new Set([
  'succeeded',
  'skipped',
  'superseded',
  'cancelled',
  'discarded',
  'dead_lettered',
])

function about({ itemId }: KnownItem, { no }: Fact) {
  return { itemId, fact: no }
}

function replaysOf(items: readonly KnownItem[]): number {
  return items.reduce((sum, { counters }) => sum + counters.replays, 0)
}

/** All steps that need it, directly or by steps between. */
function builtOn(step: string, plan: PipelinePlan): ReadonlySet<string> {
  const found = new Set([step])
  for (const { name, after } of plan.steps) if (after.some((needed) => found.has(needed))) found.add(name)
  found.delete(step)
  return found
}
