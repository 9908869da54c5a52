/**
 * Watches the runs of pipelines that compensate, and submits what undoes them: a run of its own, whose key is the run that it
 * undoes, so that it is accepted once whoever submits it and however often. A process that is lost in between leaves a dead
 * letter that the next look finds.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import { type Json, sha256Hex, toJson } from '../../core/json.ts'
import type { ItemRecord, ItemSummary, Ledger, NewRun, NewTurn, RunRecord } from '../../ledger/port.ts'
import { announce } from '../intake/submit.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import { type UndoInput, undoNameOf } from '../pipelines/undo-pipeline.ts'
import { decideUndo, type UndoDecision } from './undo-plan.ts'

export interface UndoWatch {
  /** From the first worker of this process on. Idempotent. */
  start(): void
  /** Resolves when no look is under way. */
  settled(): Promise<void>
  stop(): Promise<void>
}

export interface UndoParts {
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly clock: Clock
  readonly events: EventBus
  readonly newRunId: () => string
  /** Behind the events of this process: what others left behind. */
  readonly lookEveryMs: number
  /** Something was queued. */
  readonly wake: () => void
}

type UndoOrder = Extract<UndoDecision, { kind: 'undo' }>

const PAGE = 200
const BY = 'engine:compensate'

export function watchForUndo(parts: UndoParts): UndoWatch {
  const { ledger, catalog, clock, events } = parts
  const compensating = new Set([...catalog.pipelines.keys()].filter((name) => catalog.pipelines.has(undoNameOf(name))))
  if (compensating.size === 0) return { start() {}, settled: async () => {}, stop: async () => {} }

  /** Runs that failed for good and whose undoing is not submitted yet; each end of an item may be what it waits for. */
  const failing = new Set<string>()
  const looks = new Set<Promise<void>>()
  let timer: Timer | undefined
  let listening: Disposable | undefined
  let stopped = false

  function start(): void {
    if (listening || stopped) return
    listening = events.on('item.settled', ({ pipeline, runId, state }) => {
      if (compensating.has(pipeline) && (state === 'dead_lettered' || failing.has(runId))) track(lookAt(runId))
    })
    sweepLater(0)
  }

  function sweepLater(delayMs: number): void {
    timer = clock.setTimer(delayMs, () => track(sweep().finally(() => !stopped && sweepLater(parts.lookEveryMs))))
  }

  function track(look: Promise<void>): void {
    const guarded = look.catch((error: unknown) => {
      // It is looked at again by the next sweep.
      events.emit('engine.trouble', clock.wallMs(), { where: 'compensate', message: messageOf(error), cause: error })
    })
    looks.add(guarded)
    void guarded.then(() => looks.delete(guarded))
  }

  async function sweep(): Promise<void> {
    for (const pipeline of compensating) {
      let cursor: string | undefined
      do {
        if (stopped) return
        const page = await ledger.items(
          { pipeline, states: ['dead_lettered'] },
          { limit: PAGE, ...(cursor !== undefined && { cursor }) },
        )
        for (const runId of new Set(page.rows.map((item) => item.runId))) await lookAt(runId)
        cursor = page.cursor
      } while (cursor !== undefined)
    }
  }

  async function lookAt(runId: string, afterStop = false): Promise<void> {
    const run = await ledger.run(runId)
    if (!run) return
    const plans = catalog.plansOf(run.pipeline)
    const decision = decideUndo({
      items: run.items,
      needs: new Map(plans.map((plan) => [plan.step, plan.after])),
      undoable: new Set(catalog.plansOf(undoNameOf(run.pipeline)).map((plan) => plan.step)),
    })
    if (decision.kind === 'nothing') {
      failing.delete(runId)
      return
    }
    failing.add(runId)
    if (decision.kind === 'stop' && !afterStop) {
      await stopItems(decision.itemIds)
      await lookAt(runId, true)
    }
    if (decision.kind === 'undo') await undo(run, decision)
  }

  async function stopItems(itemIds: readonly string[]): Promise<void> {
    const reason = 'another step of the run failed for good, and its pipeline compensates'
    await ledger.cancel(
      itemIds.map((itemId) => ({ itemId, by: BY, reason })),
      clock.wallMs(),
    )
  }

  async function undo(run: RunRecord, { because, steps, endIds }: UndoOrder): Promise<void> {
    const outputs: Record<string, Json> = {}
    const turns = new Map<string, NewTurn>()
    for (const { itemId, step } of run.items.filter((item) => item.state === 'succeeded')) {
      const item = await ledger.item(itemId)
      outputs[step] = item?.output ?? null
      const turn = await turnOf(run, step, item)
      if (turn) turns.set(step, turn)
    }
    const undoing = undoRun(run, { runId: run.id, key: run.key, because, input: run.input, outputs }, steps, turns)
    const [receipt] = await ledger.submit([undoing])
    if (receipt?.outcome === 'accepted') announce(parts, undoing, receipt)
    await endRun(run, endIds, receipt?.runId ?? undoing.id)
    failing.delete(run.id)
    parts.wake()
  }

  /** Undoing is in the order of what it undoes. */
  function turnOf(run: RunRecord, step: string, item: ItemRecord | undefined): Promise<NewTurn> | undefined {
    const { key, labels, tenant, id: runId } = run
    const input = item?.edits.at(-1)?.input ?? run.input
    return catalog.plan(run.pipeline, step)?.turnOf?.({ input, key, labels, tenant, runId })
  }

  /** After the submit: a process that is lost in between leaves a dead letter, and the key makes the second submit nothing. */
  async function endRun(run: RunRecord, deadLetters: readonly string[], undoingId: string): Promise<void> {
    const reason = `the run failed for good and is undone by run ${undoingId}: submit the record again where it is still wanted`
    const receipts = await ledger.discard(
      deadLetters.map((itemId) => ({ itemId, by: BY, reason })),
      clock.wallMs(),
    )
    if (receipts.every(({ outcome }) => outcome === 'done')) return
    // Someone replayed it in this very moment, and a worker has it: then the run goes on, and is not undone.
    const undoing = (await ledger.run(undoingId))?.items ?? []
    await ledger.cancel(
      undoing.map(({ itemId }) => ({ itemId, by: BY, reason: `run ${run.id} was replayed` })),
      clock.wallMs(),
    )
  }

  function undoRun(
    run: RunRecord,
    input: UndoInput,
    steps: UndoOrder['steps'],
    turns: ReadonlyMap<string, NewTurn>,
  ): NewRun {
    const pipeline = undoNameOf(run.pipeline)
    const nowMs = clock.wallMs()
    return {
      id: parts.newRunId(),
      tenant: run.tenant,
      pipeline,
      key: undoKeyOf(run),
      // Two processes may see the same end at different moments: the first account of it holds.
      inputFingerprint: sha256Hex(run.id),
      input: toJson(input),
      labels: run.labels,
      batch: run.batch,
      correlationId: run.correlationId,
      createdAtMs: nowMs,
      items: steps.flatMap(({ step, after }) => {
        const plan = catalog.plan(pipeline, step)
        if (!plan) return []
        const [lane, endpoint, turn] = [plan.laneFor(run.tenant), plan.endpointName, turns.get(step)]
        return [{ step, lane, endpoint, after, dueAtMs: nowMs, optional: false, ...(turn && { turn }) }]
      }),
    }
  }

  async function settled(): Promise<void> {
    while (looks.size > 0) await Promise.all(looks)
  }

  return {
    start,
    settled,
    async stop() {
      stopped = true
      timer?.cancel()
      listening?.[Symbol.dispose]()
      await settled()
    },
  }
}

/** One undoing for each time that a run fails for good: a replay in between begins a new story. */
function undoKeyOf(run: RunRecord): string {
  const replays = run.items.reduce((sum, item) => sum + item.counters.replays, 0)
  return replays === 0 ? run.id : `${run.id}#${replays}`
}

/** The items that undo a run, where its pipeline compensates and it came to that. */
export async function undoingOf(
  { ledger, catalog }: Pick<UndoParts, 'ledger' | 'catalog'>,
  { pipeline, runId, tenant }: Pick<ItemSummary, 'pipeline' | 'runId' | 'tenant'>,
): Promise<readonly ItemSummary[]> {
  const undoing = undoNameOf(pipeline)
  const run = catalog.pipelines.has(undoing) ? await ledger.run(runId) : undefined
  if (!run) return []
  return (await ledger.items({ pipeline: undoing, key: undoKeyOf(run), tenant }, { limit: PAGE })).rows
}
