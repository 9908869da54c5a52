/** The parts of a scenario that shrinking may leave out or make simpler. What is left is always a scenario that can run. */
import type {
  ApiPlan,
  MachinePlan,
  OperationPlan,
  PipelinePlan,
  RecordPlan,
  Scenario,
  StepPlan,
  SubmissionPlan,
  TroublePlan,
} from './scenario.ts'

export interface PartList {
  readonly name: string
  count(scenario: Scenario): number
  /** Only the parts at these positions, in order, and what hangs on them; `undefined` where nothing could run then. */
  keep(scenario: Scenario, kept: readonly number[]): Scenario | undefined
}

/** Given one scenario, simpler ones. Each makes something smaller for good, so that asking again and again ends. */
export type Simplification = (scenario: Scenario) => readonly Scenario[]

/** In the order in which leaving out saves most. */
export const PART_LISTS: readonly PartList[] = [
  {
    name: 'troubles',
    count: ({ troubles }) => troubles.length,
    keep: (scenario, kept) => ({ ...scenario, troubles: at(scenario.troubles, kept) }),
  },
  {
    name: 'operations',
    count: ({ operations }) => operations.length,
    keep: (scenario, kept) => ({ ...scenario, operations: at(scenario.operations, kept) }),
  },
  {
    name: 'records',
    count: ({ submissions }) => submissions.reduce((sum, { records }) => sum + records.length, 0),
    keep: keepRecords,
  },
  { name: 'pipelines', count: ({ pipelines }) => pipelines.length, keep: keepPipelines },
  { name: 'steps', count: ({ pipelines }) => stepsOf(pipelines).length, keep: keepSteps },
  { name: 'machines', count: ({ machines }) => machines.length, keep: keepMachines },
  { name: 'APIs', count: ({ apis }) => apis.length, keep: keepApis },
]

/** Shorter first: everything after is tried in less time. */
export const SIMPLIFICATIONS: readonly Simplification[] = [
  shorterBusyTime,
  earlier,
  ...(['lastsMs', 'delayMs', 'downMs', 'graceMs', 'crossings'] as const).map((field) =>
    each<TroublePlan>(inTroubles, halved(field)),
  ),
  shorterBusyTime,
  ...(['tenant', 'batch', 'labels', 'refusedBy', 'padding'] as const).map((field) =>
    each<RecordPlan>(inRecords, without(field)),
  ),
  ...(['maxAttempts', 'maxAgeMs', 'workMs', 'timeoutMs', 'throws', 'hangs', 'undo'] as const).map((field) =>
    each<StepPlan>(inSteps, without(field)),
  ),
  each<StepPlan>(inSteps, (step) => (step.optional ? { ...step, optional: false } : undefined)),
  each<StepPlan>(inSteps, (step) => (step.after.length > 0 ? { ...step, after: step.after.slice(1) } : undefined)),
  each<MachinePlan>(inMachines, simplerMachine),
  each<ApiPlan>(inApis, without('rateLimit')),
  each<ApiPlan>(inApis, ({ latencyMs: [low, high], ...api }) =>
    high > low ? { ...api, latencyMs: [low, low] } : undefined,
  ),
  each<TroublePlan>(inTroubles, (trouble) =>
    'share' in trouble && trouble.share !== 1 ? { ...trouble, share: 1 } : undefined,
  ),
  each<OperationPlan>(inOperations, (operation) =>
    operation.pick !== 0 || operation.most !== 1 ? { ...operation, pick: 0, most: 1 } : undefined,
  ),
  each<ApiPlan>(inApis, simplerIntegration),
  each<MachinePlan>(inMachines, (machine) => (isEmpty(machine.settings) ? undefined : { ...machine, settings: {} })),
]

// --- leaving out ------------------------------------------------------------------------------------------------------

function keepRecords(scenario: Scenario, kept: readonly number[]): Scenario {
  const isKept = new Set(kept)
  let position = 0
  const submissions = scenario.submissions.map((submission) => ({
    ...submission,
    records: submission.records.filter(() => isKept.has(position++)),
  }))
  return { ...scenario, submissions: submissions.filter(({ records }) => records.length > 0) }
}

function keepPipelines(scenario: Scenario, kept: readonly number[]): Scenario | undefined {
  return withPipelines(scenario, at(scenario.pipelines, kept))
}

function keepSteps(scenario: Scenario, kept: readonly number[]): Scenario | undefined {
  const isKept = new Set(kept)
  let position = 0
  const pipelines = scenario.pipelines.map(({ name, steps }) => {
    const gone = new Set<string>()
    for (const step of steps) if (!isKept.has(position++)) gone.add(step.name)
    return { name, steps: withoutSteps(steps, gone) }
  })
  return withPipelines(scenario, pipelines)
}

function keepMachines(scenario: Scenario, kept: readonly number[]): Scenario | undefined {
  const machines = at(scenario.machines, kept)
  const [first] = machines
  if (!first) return undefined
  const names = new Set(machines.map(({ name }) => name))
  const moved = <Part extends SubmissionPlan | OperationPlan>(part: Part): Part =>
    names.has(part.machine) ? part : { ...part, machine: first.name }
  return {
    ...scenario,
    machines,
    submissions: scenario.submissions.map(moved),
    operations: scenario.operations.map(moved),
    troubles: scenario.troubles.filter(
      (trouble) => !('machine' in trouble) || trouble.machine === undefined || names.has(trouble.machine),
    ),
  }
}

function keepApis(scenario: Scenario, kept: readonly number[]): Scenario | undefined {
  const apis = at(scenario.apis, kept)
  const names = new Set(apis.map(({ name }) => name))
  const pipelines = scenario.pipelines.map(({ name, steps }) => {
    const gone = new Set(steps.filter(({ api }) => !names.has(api)).map((step) => step.name))
    return { name, steps: withoutSteps(steps, gone) }
  })
  const troubles = scenario.troubles
    .filter((trouble) => !('api' in trouble) || names.has(trouble.api))
    .map((trouble) => withoutConfigOf(trouble, names))
  return withPipelines({ ...scenario, apis, troubles }, pipelines)
}

function withoutConfigOf(trouble: TroublePlan, names: ReadonlySet<string>): TroublePlan {
  if (trouble.kind !== 'rolling_restart' || !trouble.config) return trouble
  const { config, ...rest } = trouble
  const left = Object.entries(config).filter(([name]) => names.has(name))
  return left.length > 0 ? { ...rest, config: Object.fromEntries(left) } : rest
}

/** What needed a step that is gone needs what that step needed. */
function withoutSteps(steps: readonly StepPlan[], gone: ReadonlySet<string>): readonly StepPlan[] {
  const needs = new Map<string, readonly string[]>()
  for (const step of steps) {
    const after = [...new Set(step.after.flatMap((name) => (gone.has(name) ? (needs.get(name) ?? []) : [name])))]
    needs.set(step.name, after)
  }
  return steps.filter(({ name }) => !gone.has(name)).map((step) => ({ ...step, after: needs.get(step.name) ?? [] }))
}

/** Pipelines without steps are gone, and so is what is submitted to them. */
function withPipelines(scenario: Scenario, changed: readonly PipelinePlan[]): Scenario | undefined {
  const pipelines = changed.filter(({ steps }) => steps.length > 0)
  if (pipelines.length === 0) return undefined
  const stepNames = new Map(pipelines.map(({ name, steps }) => [name, new Set(steps.map((step) => step.name))]))
  const submissions = scenario.submissions.flatMap((submission) => {
    const names = stepNames.get(submission.pipeline)
    if (!names) return []
    return [{ ...submission, records: submission.records.map((record) => refusedOnlyBy(record, names)) }]
  })
  return { ...scenario, pipelines, submissions }
}

function refusedOnlyBy(record: RecordPlan, names: ReadonlySet<string>): RecordPlan {
  if (!record.refusedBy) return record
  const { refusedBy, ...rest } = record
  const left = refusedBy.filter((name) => names.has(name))
  return left.length > 0 ? { ...rest, refusedBy: left } : rest
}

// --- making simpler -----------------------------------------------------------------------------------------------------

/** Gives a scenario with some of its parts of one kind changed. */
type Inside<Part> = (scenario: Scenario, change: (part: Part) => Part) => Scenario

/** All parts of the kind at once, then one by one. `simpler` answers `undefined` where there is nothing to do. */
function each<Part>(inside: Inside<Part>, simpler: (part: Part) => Part | undefined): Simplification {
  return (scenario) => {
    let found = 0
    const all = inside(scenario, (part) => {
      const changed = simpler(part)
      if (changed !== undefined) found++
      return changed ?? part
    })
    if (found === 0) return []
    const singles = Array.from({ length: found }, (_, wanted) => {
      let seen = 0
      return inside(scenario, (part) => {
        const changed = simpler(part)
        return changed !== undefined && seen++ === wanted ? changed : part
      })
    })
    return found === 1 ? singles : [all, ...singles]
  }
}

function without<Field extends string>(field: Field) {
  return <Part extends { readonly [Name in Field]?: unknown }>(part: Part): Part | undefined => {
    if (part[field] === undefined) return undefined
    const { [field]: _gone, ...rest } = part
    return rest as unknown as Part
  }
}

/** Half of it, in whole numbers, as long as that is less. */
function halved(field: 'lastsMs' | 'delayMs' | 'downMs' | 'graceMs' | 'crossings') {
  return (trouble: TroublePlan): TroublePlan | undefined => {
    const value = (trouble as Partial<Record<typeof field, number>>)[field]
    return value === undefined || value < 2 ? undefined : { ...trouble, [field]: Math.floor(value / 2) }
  }
}

function simplerMachine(machine: MachinePlan): MachinePlan | undefined {
  const { skewMs, workers, concurrency } = machine
  if (skewMs === 0 && workers === 1 && concurrency === 1) return undefined
  return { ...machine, skewMs: 0, workers: 1, concurrency: 1 }
}

/** Without its first setting that is not needed to reach it. */
function simplerIntegration(api: ApiPlan): ApiPlan | undefined {
  const optional = Object.keys(api.integration).find((name) => name !== 'baseUrl' && name !== 'endpoints')
  if (optional === undefined) return undefined
  const integration = Object.fromEntries(Object.entries(api.integration).filter(([name]) => name !== optional))
  return { ...api, integration: integration as unknown as ApiPlan['integration'] }
}

/** Quiet as soon as everything planned has begun and ended. */
function shorterBusyTime(scenario: Scenario): readonly Scenario[] {
  const planned = [...scenario.submissions, ...scenario.operations, ...scenario.troubles]
  const ends = planned.map((plan) => plan.atMs + longest(plan))
  const busyMs = Math.max(1, ...ends) + 1
  return busyMs < scenario.busyMs ? [{ ...scenario, busyMs }] : []
}

function longest(plan: object): number {
  const { lastsMs = 0, downMs = 0 } = plan as { readonly lastsMs?: number; readonly downMs?: number }
  return Math.max(lastsMs, downMs)
}

/** Everything begins in half the time, or one thing does. */
function earlier(scenario: Scenario): readonly Scenario[] {
  const sooner = <Part extends { readonly atMs: number }>(part: Part): Part => ({
    ...part,
    atMs: Math.floor(part.atMs / 2),
  })
  const { submissions, operations, troubles } = scenario
  if (![...submissions, ...operations, ...troubles].some(({ atMs }) => atMs > 0)) return []
  return [
    {
      ...scenario,
      submissions: submissions.map(sooner),
      operations: operations.map(sooner),
      troubles: troubles.map(sooner),
    },
  ]
}

function inRecords(scenario: Scenario, change: (record: RecordPlan) => RecordPlan): Scenario {
  const submissions = scenario.submissions.map((submission) => ({
    ...submission,
    records: submission.records.map(change),
  }))
  return { ...scenario, submissions }
}

function inSteps(scenario: Scenario, change: (step: StepPlan) => StepPlan): Scenario {
  return { ...scenario, pipelines: scenario.pipelines.map(({ name, steps }) => ({ name, steps: steps.map(change) })) }
}

function inMachines(scenario: Scenario, change: (machine: MachinePlan) => MachinePlan): Scenario {
  return { ...scenario, machines: scenario.machines.map(change) }
}

function inApis(scenario: Scenario, change: (api: ApiPlan) => ApiPlan): Scenario {
  return { ...scenario, apis: scenario.apis.map(change) }
}

function inTroubles(scenario: Scenario, change: (trouble: TroublePlan) => TroublePlan): Scenario {
  return { ...scenario, troubles: scenario.troubles.map(change) }
}

function inOperations(scenario: Scenario, change: (operation: OperationPlan) => OperationPlan): Scenario {
  return { ...scenario, operations: scenario.operations.map(change) }
}

function at<Part>(parts: readonly Part[], positions: readonly number[]): readonly Part[] {
  return positions.flatMap((position) => {
    const part = parts[position]
    return part === undefined ? [] : [part]
  })
}

function stepsOf(pipelines: readonly PipelinePlan[]): readonly StepPlan[] {
  return pipelines.flatMap(({ steps }) => steps)
}

function isEmpty(settings: object): boolean {
  return Object.keys(settings).length === 0
}
