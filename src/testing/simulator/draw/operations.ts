import type { JobOperation, MachinePlan, OperationKind, OperationPlan } from '../scenario.ts'
import { createChance } from './chance.ts'
import type { Frame } from './frame.ts'
import { LATEST_REPETITION } from './submissions.ts'

type DirectOperation = Exclude<OperationKind, JobOperation>

/** How often people do what, in proportion. */
const WEIGHTS = {
  replay: 3,
  replay_edited: 3,
  replay_canary: 1,
  replay_dry_run: 1,
  replay_group: 2,
  discard: 1,
  cancel: 1,
  resolve_happened: 2,
  resolve_not_happened: 2,
  suspend: 1,
  resume: 4,
  reset_breaker: 1.5,
  explain: 2,
  retain: 0.7,
} as const satisfies Readonly<Record<DirectOperation, number>>

export const OPERATION_KINDS = Object.keys(WEIGHTS) as readonly DirectOperation[]

export function drawOperations(
  seed: string,
  { mood, busyMs }: Frame,
  machines: readonly MachinePlan[],
): OperationPlan[] {
  const chance = createChance(`${seed}:operations`)
  const kinds = chance.some(OPERATION_KINDS, 0.65, 4)
  const weights = Object.fromEntries(kinds.map((kind) => [kind, WEIGHTS[kind]]))
  const count = chance.integer(...mood.operations)
  const operations: OperationPlan[] = []
  while (operations.length < count) {
    const what = chance.weighted(weights) as OperationKind
    const atMs = Math.floor(chance.between(0.03 * busyMs, busyMs))
    const machine = chance.pick(machines).name
    const pick = Math.floor(chance.between(0, 1000)) / 1000
    operations.push({
      atMs,
      machine,
      what,
      pick,
      most: what === 'discard' || what === 'cancel' ? chance.integer(1, 5) : chance.magnitude(1, 50),
      // Not before the last repetition of a record has come: a forgotten key is new again.
      ...(what === 'retain' && { maxAgeMs: Math.round(chance.between(1.5 * LATEST_REPETITION, 0.9) * busyMs) }),
    })
    // Most who suspend remember it; else nothing would be left to see.
    if (what !== 'suspend' || operations.length === count || chance.yes(0.2)) continue
    const resumeMs = Math.min(busyMs, atMs + Math.floor(chance.between(0.01, 0.1) * busyMs))
    operations.push({ atMs: resumeMs, machine, what: 'resume', pick, most: 1 })
  }
  return operations.toSorted((left, right) => left.atMs - right.atMs)
}
