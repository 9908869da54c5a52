/**
 * Hands in the planned submissions, as careful clients do: what has a key comes again until it is acknowledged. What has none never
 * does, for it might be there; another record with a key comes in its place, so that trouble makes no world empty.
 */
import { isHoldfastError } from '../../core/errors.ts'
import type { Holdfast, Refused, Submitted } from '../../engine/api.ts'
import { type Asked, ask } from './ask.ts'
import { inputOf } from './record-input.ts'
import type { RecordPlan, SubmissionPlan } from './scenario.ts'
import type { World } from './world.ts'

/** What it needs of the world. */
export type SubmitterWorld = Pick<World, 'scenario' | 'clock' | 'machines' | 'record' | 'failures'>

export interface Submitter {
  /** Records that have not been handed in yet, or not been answered. */
  readonly waiting: number
}

/** Plans everything at once; the world's clock does the rest. */
export function planSubmissions(world: SubmitterWorld): Submitter {
  const { scenario, clock } = world
  let waiting = 0

  async function handIn(submission: SubmissionPlan): Promise<void> {
    await clock.sleep(submission.atMs)
    let left = submission.records
    for (let round = 0; left.length > 0; round++) {
      const before = left.length
      if (round > 0) await clock.sleep(waitMs(scenario.busyMs, round))
      left = await handInOnce(world, submission, left, round)
      waiting -= before - left.length
    }
  }

  for (const submission of scenario.submissions) {
    waiting += submission.records.length
    handIn(submission).catch((error: unknown) => world.failures.push(error))
  }
  return {
    get waiting() {
      return waiting
    },
  }
}

/** Doubles, up to a small part of the run: at its end, when everything works again, nobody should still be waiting. */
function waitMs(busyMs: number, round: number): number {
  return Math.min(busyMs / 500, 1000) * 2 ** Math.min(round, 6)
}

const PATIENCE_MS = 30_000

/** What is to come next: records that nobody has answered, or others in place of those without a key. */
async function handInOnce(
  world: SubmitterWorld,
  { machine, pipeline }: SubmissionPlan,
  records: readonly RecordPlan[],
  round: number,
): Promise<readonly RecordPlan[]> {
  const process = processFor(world, machine, round)
  // Nothing was handed in, so records without a key can wait for a process too.
  if (!process) return records
  const reply = await ask(process, world.clock, PATIENCE_MS, (hf) => submit(hf, pipeline, records))
  if (reply.kind !== 'answered') return records.map((record) => (record.key === undefined ? another(record) : record))
  for (const [index, receipt] of reply.value.entries()) {
    const record = records[index] as RecordPlan
    // A refusal is an answer: the same key with other data.
    if (!receipt.ok) continue
    world.record({
      kind: 'acknowledged',
      process: process.name,
      pipeline,
      record: record.id,
      key: record.key,
      runId: receipt.runId,
      duplicate: receipt.duplicate,
    })
  }
  return []
}

function another(record: RecordPlan): RecordPlan {
  const id = `${record.id}-instead`
  return { ...record, id, key: id, entity: id }
}

/** Its own machine first; when that does not answer, another. */
function processFor({ scenario, machines }: SubmitterWorld, machine: string, round: number): Asked | undefined {
  const names = scenario.machines.map(({ name }) => name)
  const own = Math.max(0, names.indexOf(machine))
  for (let step = 0; step < names.length; step++) {
    const process = machines.get(names[(own + round + step) % names.length] as string)?.process
    if (process) return process
  }
  return undefined
}

async function submit(
  hf: Holdfast,
  pipeline: string,
  records: readonly RecordPlan[],
): Promise<readonly (Submitted | Refused)[]> {
  const [only, ...others] = records.map((record) => ({ input: inputOf(record), options: optionsOf(record) }))
  if (!only) return []
  if (others.length > 0) return hf.submitMany(pipeline, [only, ...others])
  try {
    return [await hf.submit(pipeline, only.input, only.options)]
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'key_conflict') return [{ ok: false, error }]
    throw error
  }
}

function optionsOf({ key, tenant, batch, labels }: RecordPlan) {
  return {
    ...(key !== undefined && { key }),
    ...(tenant !== undefined && { tenant }),
    ...(batch !== undefined && { batch }),
    ...(labels && { labels }),
  }
}
