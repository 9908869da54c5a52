/** The person on call: does what is planned to what there is at that moment, and never says what is not true. */
import type { Clock } from '../../core/clock.ts'
import { isHoldfastError } from '../../core/errors.ts'
import type { Holdfast, ReplayReport, ReplayRequest } from '../../engine/api.ts'
import type { ItemFilter, ItemSummary, OperatorReceipt } from '../../ledger/port.ts'
import { ask } from './ask.ts'
import { JOBS } from './operator-jobs.ts'
import { PAGE, pickOne, some, takeFrom } from './operator-picks.ts'
import { ACCEPTABLE, type AnyInput, effectKeyOf } from './record-input.ts'
import type { OperationKind, OperationPlan, Scenario } from './scenario.ts'
import { planName, plannedSteps } from './undoing.ts'
import type { World } from './world.ts'

/** What a person finds who looks in the other system. `unclear`: it may still be under way, or others are at work on it. */
export type Finding = 'done' | 'not_done' | 'unclear'

export interface Desk {
  readonly hf: Holdfast
  /** True time. */
  readonly clock: Clock
  /** After this, what was sent has arrived or never will. */
  readonly settledMs: number
  /** Looks for the effect of an item that was as it is in this row some time ago. */
  look(item: ItemSummary): Promise<Finding>
}

const BY = 'operator'
/** Nobody watches a canary for longer. */
const CANARY_PATIENCE_MS = 30_000
const OPERATION_PATIENCE_MS = 300_000

/** Plans everything at once; the world's clock does the rest. */
export function planOperations(world: World): void {
  for (const operation of world.scenario.operations) {
    world.clock.setTimer(operation.atMs, () => {
      perform(world, operation).then(
        (outcome) => world.record({ kind: 'operation', operation, outcome }),
        (error: unknown) => world.failures.push(error),
      )
    })
  }
}

async function perform(world: World, plan: OperationPlan): Promise<string> {
  const process = world.machines.get(plan.machine)?.process
  if (!process) return `${plan.machine} is down`
  const reply = await ask(process, world.clock, OPERATION_PATIENCE_MS, (hf) => operate(plan, deskOf(world, hf)))
  if (reply.kind === 'failed') throw reply.error
  return reply.kind === 'answered' ? reply.value : `no answer from ${process.name}`
}

/** @returns what came of it, in a few words, for the trace. */
export async function operate(plan: OperationPlan, desk: Desk): Promise<string> {
  try {
    return await DO[plan.what](plan, desk)
  } catch (error) {
    if (isHoldfastError(error)) return `failed: ${error.code}`
    throw error
  }
}

const DO: Readonly<Record<OperationKind, (plan: OperationPlan, desk: Desk) => Promise<string>>> = {
  replay: (plan, desk) => replaySome(plan, desk, {}),
  replay_edited: (plan, desk) => replaySome(plan, desk, { patch: ACCEPTABLE }),
  replay_dry_run: (plan, desk) => replaySome(plan, desk, { dryRun: true, patch: ACCEPTABLE }),
  replay_canary: replayWithCanary,
  async replay_group(plan, { hf }) {
    const groups = await hf.operations.groups()
    const group = pickOne(groups, plan.pick)
    if (!group || group.count > plan.most) return 'no group to replay'
    return wordReplay(await hf.operations.replay({ selection: { fingerprint: group.fingerprint }, by: BY }))
  },
  async discard(plan, { hf }) {
    const itemIds = await some(plan, hf, ['dead_lettered', 'unknown_outcome'])
    return wordReceipts('discarded', await hf.operations.discard({ itemIds }, 'the simulated operator said so', BY))
  },
  async cancel(plan, { hf }) {
    const itemIds = await some(plan, hf, ['waiting', 'queued', 'processing', 'retrying', 'parked'])
    return wordReceipts('cancelled', await hf.operations.cancel({ itemIds }, 'the simulated operator said so', BY))
  },
  resolve_happened: (plan, desk) => resolveSome(plan, desk, 'done'),
  resolve_not_happened: (plan, desk) => resolveSome(plan, desk, 'not_done'),
  async suspend(plan, { hf }) {
    const integration = pickOne(await hf.operations.integrations(), plan.pick)
    if (!integration) return 'nothing to suspend'
    const lanes = await hf.operations.suspend(integration.name, 'the simulated operator said so')
    return `suspended ${lanes.length} lanes of ${integration.name}`
  },
  async resume(plan, { hf }) {
    const integration = pickOne(await suspendedIntegrations(hf), plan.pick)
    if (integration === undefined) return 'nothing to resume'
    return `resumed ${(await hf.operations.resume(integration)).length} lanes of ${integration}`
  },
  async reset_breaker(plan, { hf }) {
    const breakers = await hf.operations.breakers()
    const ill = breakers.filter(({ phase }) => phase !== 'closed')
    const breaker = pickOne(ill.length > 0 ? ill : breakers, plan.pick)
    if (!breaker) return 'no breaker to reset'
    await hf.operations.resetBreaker(breaker.key)
    return `reset ${breaker.key}, which was ${breaker.phase}`
  },
  async explain(plan, { hf }) {
    const item = pickOne((await hf.operations.items({}, { limit: PAGE })).rows, plan.pick)
    if (!item) return 'nothing to explain'
    return (await hf.operations.explain(item.itemId))?.headline ?? 'it is gone'
  },
  async retain(plan, { hf }) {
    if (plan.maxAgeMs === undefined) return 'no age to forget by'
    const { runs, effects } = await hf.operations.retain(plan.maxAgeMs)
    return `forgot ${runs} runs and ${effects} effects`
  },
  ...JOBS,
}

async function replaySome(plan: OperationPlan, { hf }: Desk, request: Partial<ReplayRequest>): Promise<string> {
  const itemIds = await some(plan, hf, ['dead_lettered'])
  return wordReplay(await hf.operations.replay({ selection: { itemIds }, by: BY, ...request }))
}

async function replayWithCanary(plan: OperationPlan, desk: Desk): Promise<string> {
  const patience = new AbortController()
  const timer = desk.clock.setTimer(CANARY_PATIENCE_MS, () => patience.abort(OUT_OF_PATIENCE))
  try {
    return await replaySome(plan, desk, { canary: 1, patch: ACCEPTABLE, signal: patience.signal })
  } catch (error) {
    if (error === OUT_OF_PATIENCE) return OUT_OF_PATIENCE.message
    throw error
  } finally {
    timer.cancel()
  }
}

const OUT_OF_PATIENCE = new Error('the canary did not end in time')

/** Only where the plan's verdict is the truth: the others are left to whoever knows better. */
async function resolveSome(plan: OperationPlan, desk: Desk, wanted: Exclude<Finding, 'unclear'>): Promise<string> {
  const { rows } = await desk.hf.operations.items(FOR_A_PERSON, { limit: PAGE })
  const chosen = takeFrom(rows, plan)
  if (chosen.length > 0) await desk.clock.sleep(desk.settledMs)
  const receipts: OperatorReceipt[] = []
  for (const item of chosen) {
    if ((await desk.look(item)) === wanted) receipts.push(await tell(desk.hf, item.itemId, wanted))
  }
  return wordReceipts(wanted === 'done' ? 'confirmed' : 'sent again', receipts)
}

/** Those that are looked for by themselves would change under a person's hands. */
const FOR_A_PERSON = { states: ['unknown_outcome'], needsPerson: true } as const

function tell(hf: Holdfast, itemId: string, finding: Exclude<Finding, 'unclear'>): Promise<OperatorReceipt> {
  return hf.operations.resolve(
    itemId,
    finding === 'done' ? { happened: true, output: { operation: itemId } } : { happened: false },
    BY,
  )
}

/**
 * The person of last resort, once nothing goes wrong any more: resumes what is suspended, and tells what happened where only a person
 * can. Takes as long as what was sent may be under way. What it finds unclear needs another call later.
 * @returns how many lanes and items were helped.
 */
export async function helpOut(world: World): Promise<number> {
  const hf = runningOn(world)
  if (!hf) return 0
  const desk = deskOf(world, hf)
  let helped = 0
  for (const integration of await suspendedIntegrations(hf)) {
    helped += (await hf.operations.resume(integration)).length
  }
  const unknown = await allItems(hf, FOR_A_PERSON)
  if (unknown.length > 0) await world.clock.sleep(desk.settledMs)
  for (const item of unknown) {
    const finding = await desk.look(item)
    if (finding === 'unclear') continue
    await tell(hf, item.itemId, finding)
    helped += 1
  }
  return helped
}

function runningOn({ machines }: World): Holdfast | undefined {
  for (const { process } of machines.values()) if (process?.gate.state === 'running') return process.hf
  return undefined
}

function deskOf(world: World, hf: Holdfast): Desk {
  const { scenario, clock } = world
  return { hf, clock, settledMs: longestOnItsWayMs(scenario), look: (item) => look(world, item) }
}

/** Beyond the drawn delays: both ways, connecting, and a brown-out that doubles it all. */
function longestOnItsWayMs({ apis, troubles }: Scenario): number {
  const delaysMs = troubles.map((trouble) => (trouble.kind === 'network' ? (trouble.delayMs ?? 0) : 0))
  const answersMs = apis.map(({ latencyMs }) => latencyMs[1])
  return 2 * Math.max(0, ...delaysMs) + 4 * Math.max(0, ...answersMs) + 1000
}

/** Looks into the world itself, not through a process, which may be ill. */
async function look({ scenario, apis, view }: World, seen: ItemSummary): Promise<Finding> {
  const item = await view().ledger.item(seen.itemId)
  const untouched = item?.state === seen.state && item.updatedAtMs === seen.updatedAtMs
  const step = item && plannedSteps(scenario).get(planName(item.pipeline, item.step))
  if (!item || !step || !untouched) return 'unclear'
  const key = effectKeyOf(step, item.input as AnyInput, item.itemId)
  return apis.has(step.api, key) ? 'done' : 'not_done'
}

/** Read whole before anything is changed: a cursor over what changes could miss some. */
async function allItems(hf: Holdfast, filter: ItemFilter): Promise<ItemSummary[]> {
  const found: ItemSummary[] = []
  let cursor: string | undefined
  do {
    const page = await hf.operations.items(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    found.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

async function suspendedIntegrations(hf: Holdfast): Promise<string[]> {
  const lanes = await hf.operations.lanes()
  const names = lanes.filter(({ suspended }) => suspended).map(({ lane }) => lane.split('/')[0] as string)
  return [...new Set(names)].sort()
}

function wordReplay({ selected, replayed, refused, stopped, dryRun }: ReplayReport): string {
  if (selected === 0) return 'nothing to replay'
  if (dryRun) return `would replay ${selected - refused.length} of ${selected}`
  return `replayed ${replayed} of ${selected}${stopped ? '; stopped by its canary' : ''}`
}

function wordReceipts(what: string, receipts: readonly OperatorReceipt[]): string {
  const done = receipts.filter(({ outcome }) => outcome === 'done' || outcome === 'marked').length
  return `${what} ${done} of ${receipts.length}`
}
