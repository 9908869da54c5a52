/** Runs one scenario from its start to the quiet after it, with everything that is checked on the way. */
import { messageOf } from '../../core/errors.ts'
import type { CheckFactory, Violation } from './checks/check.ts'
import { ALL_CHECKS } from './checks/index.ts'
import { createCoverage } from './coverage.ts'
import { createJudge, type Judge } from './judge.ts'
import { movingJobs } from './moving-jobs.ts'
import { helpOut, planOperations } from './operator.ts'
import type { Scenario } from './scenario.ts'
import { planSubmissions, type Submitter } from './submitter.ts'
import { createTrace } from './trace.ts'
import { endTroubles, planTroubles } from './troubles.ts'
import { runsToUndo } from './undoing.ts'
import { createWorld, type World } from './world.ts'

export interface SimulateOptions {
  /** Keeps the trace's lines; else only their hash. Default false. */
  readonly keepTrace?: boolean
  /** Default: all of them. */
  readonly checks?: readonly CheckFactory[]
}

export interface SimulationResult {
  readonly seed: string
  readonly ok: boolean
  readonly violations: readonly Violation[]
  /** SHA-256 of the trace: equal for equal scenarios. */
  readonly traceHash: string
  /** Empty unless kept. */
  readonly trace: readonly string[]
  readonly facts: number
  readonly items: number
  readonly troubles: number
  readonly virtualMs: number
  readonly coverage: Readonly<Record<string, number>>
}

/** How often the checks look at the store while troubles last. */
const INSPECTIONS = 6
/** What can still move is looked at first after this, then after twice as long, ... */
const FIRST_LOOK_MS = 5000
const LONGEST_LOOK_MS = 600_000
/** Without troubles everything must have come to its end by then, leases not counted. */
const LIVENESS_LIMIT_MS = 30 * 3_600_000
/** One until a lost worker is noticed, one until what it had is looked for (decision 010). */
const LEASES = 2

export async function simulate(scenario: Scenario, options: SimulateOptions = {}): Promise<SimulationResult> {
  const trace = createTrace(options.keepTrace ?? false)
  const coverage = createCoverage(scenario)
  const judge = createJudge(scenario, options.checks ?? ALL_CHECKS)
  await using world = createWorld(scenario, (fact) => {
    trace.add(fact)
    coverage.observe(fact)
    judge.observe(fact)
  })
  await run(world, judge)
  const { accepted } = await world.view().ledger.balance({})
  return {
    seed: scenario.seed,
    ok: judge.violations.length === 0,
    violations: judge.violations,
    traceHash: trace.hash(),
    trace: trace.lines,
    facts: judge.facts(),
    items: accepted,
    troubles: scenario.troubles.length,
    virtualMs: world.clock.monotonicMs(),
    coverage: coverage.counts(),
  }
}

/** First the trouble, then the quiet in which everything must come to an end. */
async function run(world: World, judge: Judge): Promise<void> {
  await world.start()
  planTroubles(world)
  const submitter = planSubmissions(world)
  planOperations(world)
  for (let inspections = 0; inspections < INSPECTIONS; inspections++) {
    await world.clock.advance(world.scenario.busyMs / INSPECTIONS)
    await judge.look(world, 'inspect')
  }
  await endTroubles(world)
  world.record({ kind: 'quiet' })
  const left = await untilStill(world, submitter)
  if (left) judge.report('liveness', left)
  await judge.look(world, 'inspect')
  await judge.look(world, 'end')
  for (const failure of world.failures) judge.report('the world', messageOf(failure))
}

/** Lets the world run until nothing moves any more without a person; says what still does when the limit is over. */
async function untilStill(world: World, submitter: Submitter): Promise<string | undefined> {
  const leasesMs = world.scenario.machines.map(({ settings }) => LEASES * (settings.leaseMs ?? 0))
  const limitMs = world.clock.monotonicMs() + LIVENESS_LIMIT_MS + Math.max(...leasesMs)
  for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(lookMs * 2, LONGEST_LOOK_MS)) {
    await world.clock.advance(lookMs)
    await world.clock.runUntil(helpOut(world))
    const moving = submitter.waiting > 0 ? `${submitter.waiting} records to be handed in` : await stillMoving(world)
    if (!moving) return undefined
    if (world.clock.monotonicMs() > limitMs)
      return `after the quiet had lasted for a long time there were still ${moving}`
  }
}

async function stillMoving(world: World): Promise<string | undefined> {
  const { ledger } = world.view()
  const { states } = await ledger.balance({})
  const groups = states.unknown_outcome > 0 ? await ledger.groups({ states: ['unknown_outcome'] }) : []
  const lookedFor = groups.reduce((sum, group) => sum + group.willRetry, 0)
  const { queued, processing, retrying, parked } = states
  if (queued + processing + retrying + parked + lookedFor === 0) {
    const toUndo = await runsToUndo(world.scenario, ledger)
    if (toUndo.length > 0) return `${toUndo.length} runs to be undone (${toUndo[0]})`
    const jobs = await movingJobs(ledger)
    return jobs.length > 0 ? `${jobs.length} jobs to be done (${jobs[0]})` : undefined
  }
  return `${queued} queued, ${processing} processing, ${retrying} retrying, ${parked} parked, ${lookedFor} looked for`
}
