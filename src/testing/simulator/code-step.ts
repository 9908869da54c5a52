/** A code step of a simulated pipeline: takes its time, acts once, and now and then throws or never comes back. */
import type { Clock } from '../../core/clock.ts'
import { type Random, randomBetween, seededRandom } from '../../core/random.ts'
import type { CodeContext, CodeStep, Reconciliation } from '../../engine/pipelines/pipeline.ts'
import { type RecordInput, undoKeyOf } from './record-input.ts'
import type { StepPlan } from './scenario.ts'

/** What code inside a simulated process can do to the world. */
export interface CodeHooks {
  readonly clock: Clock
  readonly random: Random
  /** The effect of a code step, recorded at the world. Nothing happens where the process is dead. */
  act(itemId: string, api: string, key: string): void
  has(api: string, key: string): boolean
  note(itemId: string, what: 'started' | 'threw' | 'returned' | 'looked'): void
}

type Output = { readonly operation: string }

const USUAL_WORK_MS = 10
const USUAL_TIMEOUT_MS = 60_000
const CANNOT_TELL_SHARE = 0.03

export function codeStep(
  seed: string,
  step: StepPlan,
  hooks: CodeHooks,
): CodeStep<RecordInput, Record<string, unknown>, string, Output> {
  const { kind, api, timeoutMs = USUAL_TIMEOUT_MS } = step

  /** Hashed from the item and the try, so that what happens elsewhere changes nothing here. */
  function fateOf({ itemId, attempt }: CodeContext): Fate {
    const chance = seededRandom(`${seed}:code ${itemId} ${attempt}`)
    const drawn = chance.next()
    const moment = chance.next() < 0.5 ? 'before' : 'after'
    const { throws = 0, hangs = 0 } = step
    if (drawn < throws) return { throws: moment }
    return drawn < throws + hangs ? { hangs: moment } : {}
  }

  async function run(context: CodeContext, operation: string): Promise<Output> {
    const { itemId, signal } = context
    const fate = fateOf(context)
    const halfMs = ((step.workMs ?? USUAL_WORK_MS) / 2) * randomBetween(hooks.random, 0.5, 1.5)
    const startedMs = hooks.clock.monotonicMs()
    hooks.note(itemId, 'started')
    await suffer(fate, 'before', itemId)
    await hooks.clock.sleep(halfMs, signal)
    if (kind !== 'code_safe') {
      // A frozen process may wake long after others have taken over: whoever acts must not act late.
      if (hooks.clock.monotonicMs() - startedMs > timeoutMs) throw thrown(itemId, 'Too late to act')
      hooks.act(itemId, api, operation)
    }
    await suffer(fate, 'after', itemId)
    await hooks.clock.sleep(halfMs, signal)
    hooks.note(itemId, 'returned')
    return { operation }
  }

  async function suffer(fate: Fate, moment: Moment, itemId: string): Promise<void> {
    if (fate.hangs === moment) await new Promise(() => undefined)
    if (fate.throws === moment) throw thrown(itemId, `The code of ${step.name} failed ${moment} it acted`)
  }

  function thrown(itemId: string, message: string): Error {
    hooks.note(itemId, 'threw')
    return new Error(message)
  }

  async function reconcile({ itemId, attempt }: CodeContext): Promise<Reconciliation<Output>> {
    hooks.note(itemId, 'looked')
    const chance = seededRandom(`${seed}:look ${itemId} ${attempt}`)
    if (chance.next() < CANNOT_TELL_SHARE) return { outcome: 'cannot_tell' }
    return hooks.has(api, itemId) ? { outcome: 'applied', output: { operation: itemId } } : { outcome: 'not_applied' }
  }

  return {
    run: (context) => run(context, context.itemId),
    timeout: timeoutMs,
    ...(kind === 'code_safe' && { safe: true }),
    ...(kind === 'code_reconciled' && { reconcile }),
    ...(step.undo && {
      compensate: {
        run: (context) => run(context, undoKeyOf(context.output.operation)),
      },
    }),
  }
}

type Moment = 'before' | 'after'

interface Fate {
  readonly throws?: Moment
  readonly hangs?: Moment
}
