import type { MachinePlan, PipelinePlan, RecordPlan, StepKind, SubmissionPlan } from '../scenario.ts'
import { type Chance, createChance } from './chance.ts'
import type { Frame } from './frame.ts'
import type { Traffic } from './mood.ts'

export const FEWEST_ITEMS = 200
export const MOST_ITEMS = 340

/** Kinds whose API may refuse a record's data. */
const REFUSABLE: ReadonlySet<StepKind> = new Set([
  'put',
  'post_keyed',
  'post_natural',
  'post_reconciled',
  'post_unsafe',
  'post_operation',
  'batch_put',
  'batch_unsafe',
  'batch_reconciled',
])

/**
 * A record that shares its operation with another looks again every 5 s until the other has ended: over hours of an outage that is
 * more work than everything else together.
 */
const LONGEST_RUN_WITH_SHARED_ENTITIES_MS = 3_600_000

/** How the records of a scenario are made up. */
interface Habits {
  readonly traffic: Traffic
  readonly tenants: readonly string[]
  /** This share of all records is the first tenant's, whatever the number of tenants. */
  readonly flood: number
  readonly keyed: number
  readonly repeated: number
  readonly conflicting: number
  readonly refused: number
  readonly shared: number
  readonly labelled: boolean
  readonly batches: readonly string[]
  readonly padding: number
}

export function drawSubmissions(
  seed: string,
  frame: Frame,
  machines: readonly MachinePlan[],
  pipelines: readonly PipelinePlan[],
): SubmissionPlan[] {
  const chance = createChance(`${seed}:submissions`)
  const habits = drawHabits(chance, frame)
  const counts = drawCounts(chance, pipelines)
  const submissions = pipelines.flatMap((pipeline, index) => {
    const own = createChance(`${seed}:submissions ${pipeline.name}`)
    const records = drawRecords(own, habits, pipeline, counts[index] as number)
    const first = handIn(own, frame, habits, machines, pipeline, records)
    return [...first, ...handInAgain(own, frame, habits, machines, first)]
  })
  return submissions.toSorted((left, right) => left.atMs - right.atMs)
}

function drawHabits(chance: Chance, { mood, busyMs }: Frame): Habits {
  const tenants = chance.integer(...mood.tenants)
  return {
    traffic: chance.pick(mood.traffic),
    tenants: Array.from({ length: tenants }, (_, index) => (index === 0 ? 'default' : `tenant-${index}`)),
    flood: chance.yes(0.4) ? chance.between(0.4, 0.9) : 0,
    keyed: chance.yes(0.6) ? 1 : chance.between(0.3, 1),
    repeated: chance.yes(0.7) ? chance.between(0.02, 0.2) : 0,
    conflicting: chance.yes(0.4) ? chance.between(0.01, 0.05) : 0,
    refused: chance.yes(0.6) ? chance.between(0.02, 0.12) : 0,
    shared: busyMs <= LONGEST_RUN_WITH_SHARED_ENTITIES_MS && chance.yes(0.7) ? chance.between(0.02, 0.12) : 0,
    labelled: chance.yes(0.5),
    batches: ['default', 'spring', 'autumn', 'import-7'].slice(0, chance.integer(1, 4)),
    padding: chance.yes(0.3) ? chance.magnitude(100, 20_000) : 0,
  }
}

/** Records of each pipeline, so that all items together are within the bounds. */
function drawCounts(chance: Chance, pipelines: readonly PipelinePlan[]): number[] {
  const wanted = chance.integer(FEWEST_ITEMS + 10, MOST_ITEMS - 60)
  const weights = pipelines.map(() => chance.between(0.3, 1))
  const weightOfAll = weights.reduce((sum, weight) => sum + weight, 0)
  return pipelines.map(({ steps }, index) =>
    Math.ceil((wanted * (weights[index] as number)) / weightOfAll / steps.length),
  )
}

function drawRecords(chance: Chance, habits: Habits, pipeline: PipelinePlan, count: number): RecordPlan[] {
  const refusable = pipeline.steps.filter(({ kind }) => REFUSABLE.has(kind)).map(({ name }) => name)
  const records: RecordPlan[] = []
  for (let number = 1; number <= count; number++) {
    // One that came just before, or long ago: its reservation may have been forgotten by now.
    const before = chance.yes(0.5) ? records.at(-1) : records[Math.floor(chance.between(0, records.length))]
    const id = `${pipeline.name}-${number}`
    // Its tenant too: an operation belongs to one.
    const shares = before !== undefined && before.refusedBy === undefined && chance.yes(habits.shared)
    const refused = !shares && refusable.length > 0 && chance.yes(habits.refused)
    records.push({
      id,
      ...(chance.yes(habits.keyed) && { key: `key-${number}` }),
      tenant: shares ? (before.tenant as string) : drawTenant(chance, habits),
      batch: chance.pick(habits.batches),
      ...(habits.labelled && { labels: { source: chance.pick(['form', 'import', 'partner']) } }),
      entity: shares ? before.entity : id,
      ...(shares && chance.yes(0.25) && { variant: number }),
      ...(refused && { refusedBy: chance.some(refusable, 0.3, 1) }),
      ...(habits.padding > 0 && chance.yes(0.1) && { padding: habits.padding }),
    })
  }
  return records
}

function drawTenant(chance: Chance, { flood, tenants }: Habits): string {
  return chance.yes(flood) ? (tenants[0] as string) : chance.pick(tenants)
}

/** Everything once: split into submissions at the times of the traffic. */
function handIn(
  chance: Chance,
  frame: Frame,
  habits: Habits,
  machines: readonly MachinePlan[],
  pipeline: PipelinePlan,
  records: readonly RecordPlan[],
): SubmissionPlan[] {
  const times = drawTimes(chance, habits.traffic, frame.busyMs, records.length)
  const size = Math.ceil(records.length / times.length)
  return times.flatMap((atMs, index) => {
    const part = records.slice(index * size, (index + 1) * size)
    if (part.length === 0) return []
    return [{ atMs, machine: chance.pick(machines).name, pipeline: pipeline.name, records: part }]
  })
}

function drawTimes(chance: Chance, traffic: Traffic, busyMs: number, mostTimes: number): number[] {
  const lastMs = 0.85 * busyMs
  const times = (count: number, atMs: () => number) =>
    Array.from({ length: Math.min(count, mostTimes) }, () => Math.round(atMs())).toSorted((a, b) => a - b)
  switch (traffic) {
    case 'burst':
      return times(chance.integer(1, 4), () => chance.between(0, 0.1 * busyMs))
    case 'steady':
      return times(chance.integer(30, 90), () => chance.between(0, lastMs))
    case 'sparse':
      return times(chance.integer(80, 200), () => chance.between(0, lastMs))
    case 'waves': {
      const waves = Array.from({ length: chance.integer(2, 5) }, () => chance.between(0, lastMs))
      return times(chance.integer(12, 40), () => chance.pick(waves) + chance.between(0, 0.03 * busyMs))
    }
  }
}

/** Some keyed records come again, from careful clients and from careless ones: with other data under the same key. */
function handInAgain(
  chance: Chance,
  { busyMs }: Frame,
  habits: Habits,
  machines: readonly MachinePlan[],
  submissions: readonly SubmissionPlan[],
): SubmissionPlan[] {
  return submissions.flatMap(({ atMs, pipeline, records }) => {
    const again = records
      .filter(({ key }) => key !== undefined)
      .flatMap((record): RecordPlan[] => {
        if (chance.yes(habits.conflicting)) return [withOtherData(record)]
        return chance.yes(habits.repeated) ? [record] : []
      })
    if (again.length === 0) return []
    // Soon enough that `retain` has not forgotten the first.
    const againMs = atMs + Math.round(chance.between(0, Math.min(LATEST_REPETITION * busyMs, busyMs - atMs)))
    return [{ atMs: againMs, machine: chance.pick(machines).name, pipeline, records: again }]
  })
}

/** Of the busy time. */
export const LATEST_REPETITION = 0.3

function withOtherData(record: RecordPlan): RecordPlan {
  const id = `${record.id}-other`
  return { ...record, id, entity: id }
}
