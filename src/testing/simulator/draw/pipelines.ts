import type { ApiPlan, PipelinePlan, StepKind, StepPlan } from '../scenario.ts'
import { BATCH_KINDS } from './batches.ts'
import { type Chance, createChance } from './chance.ts'
import type { Frame } from './frame.ts'

const REQUEST_KINDS = [
  'read',
  'put',
  'delete',
  'post_keyed',
  'post_natural',
  'post_reconciled',
  'post_unsafe',
  'post_operation',
] as const satisfies readonly StepKind[]
const CODE_KINDS = ['code_safe', 'code_unsafe', 'code_reconciled'] as const satisfies readonly StepKind[]

export const STEP_KINDS: readonly StepKind[] = [...REQUEST_KINDS, ...BATCH_KINDS, ...CODE_KINDS]
/** Most troubles are about calls. */
const CODE_SHARE = 0.2

const NAMES = ['onboard', 'invoice', 'notify'] as const
type Shape = 'chain' | 'fan' | 'wide' | 'free'

export function drawPipelines(seed: string, frame: Frame, apis: readonly ApiPlan[]): PipelinePlan[] {
  const chance = createChance(`${seed}:pipelines`)
  const kinds = { requests: chance.some(REQUEST_KINDS, 0.6, 2), code: chance.some(CODE_KINDS, 0.6, 0) }
  const count = chance.integer(1, NAMES.length)
  return NAMES.slice(0, count).map((name) => ({
    name,
    steps: drawSteps(createChance(`${seed}:pipeline ${name}`), frame, apis, kinds),
  }))
}

function drawSteps(chance: Chance, frame: Frame, apis: readonly ApiPlan[], kinds: Kinds): StepPlan[] {
  const steps: StepPlan[] = []
  const count = chance.integer(1, 6)
  const shape = chance.pick<Shape>(['chain', 'fan', 'wide', 'free'])
  const optional = chance.yes(0.5) ? 0.3 : 0
  for (let number = 1; number <= count; number++) {
    const kind = drawKind(chance, kinds, steps)
    steps.push({
      name: `${kind}_${number}`,
      kind,
      api: chance.pick(apis).name,
      after: drawAfter(chance, shape, steps),
      optional: chance.yes(optional),
      ...(chance.yes(0.2) && { maxAttempts: chance.integer(1, 8) }),
      ...(chance.yes(0.1) && { maxAgeMs: chance.magnitude(frame.busyMs / 12, frame.busyMs) }),
      ...(kind.startsWith('code') && drawWork(chance, frame)),
    })
  }
  return steps
}

interface Kinds {
  readonly requests: readonly StepKind[]
  readonly code: readonly StepKind[]
}

/** The first step of a pipeline is a call, so that no scenario is without. */
function drawKind(chance: Chance, { requests, code }: Kinds, steps: readonly StepPlan[]): StepKind {
  if (steps.length > 0 && code.length > 0 && chance.yes(CODE_SHARE)) return chance.pick(code)
  // Operations are named after the record's entity: two such steps of one pipeline would claim each other's.
  const taken = steps.some(({ kind }) => kind === 'post_operation')
  return chance.pick(requests.filter((kind) => kind !== 'post_operation' || !taken))
}

function drawAfter(chance: Chance, shape: Shape, steps: readonly StepPlan[]): string[] {
  const names = steps.map(({ name }) => name)
  switch (shape) {
    case 'chain':
      return names.slice(-1)
    case 'fan':
      return names.slice(0, 1)
    case 'wide':
      return []
    case 'free':
      return chance.some(names, 0.4, 0)
  }
}

/**
 * Code that acts is careful never to act after its own time limit (`code-step.ts`). That protects against a frozen process that
 * wakes after another has taken over only where the limit is well within a lease: nothing can fence what user code does.
 */
function drawWork(chance: Chance, { leaseMs }: Frame) {
  const timeoutMs = chance.magnitude(200, Math.min(600_000, leaseMs / 2))
  return {
    workMs: chance.magnitude(timeoutMs / 200, timeoutMs / 4),
    timeoutMs,
    throws: chance.yes(0.6) ? chance.between(0.01, 0.3) : 0,
    hangs: chance.yes(0.3) ? chance.between(0.01, 0.08) : 0,
  }
}
