/** A code step: the user's function, within its time. */
import type { Expirable } from '../../client/wire/deadlines.ts'
import { HoldfastError, messageOf } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import { toJson } from '../../core/json.ts'
import type { Settlement } from '../../ledger/port.ts'
import { classifyThrown } from '../../policy/classify/classify.ts'
import type { CodePlan } from '../pipelines/catalog.ts'
import type { CodeContext } from '../pipelines/pipeline.ts'
import { afterFailure } from './after-failure.ts'
import { createCodeContext } from './context.ts'
import type { Execution } from './execute.ts'
import { fence, givenBack } from './verdict.ts'

export async function runCodeStep(execution: Execution, plan: CodePlan): Promise<Settlement | undefined> {
  const { item, claim } = execution
  if (!claim.leaseIsLive()) return undefined
  if (claim.signal?.aborted) return givenBack(item, 'given back: the worker is stopping')
  const ended = await runWithin(execution, plan, (context) => plan.definition.run(context))
  if (ended.kind === 'failed') return afterFailure(execution, ended.failure)
  try {
    return succeededCode(execution, toJson(ended.value ?? null))
  } catch (thrown) {
    return afterFailure(execution, unusableOutput(plan, thrown))
  }
}

export type CodeEnd<Value> =
  | { readonly kind: 'returned'; readonly value: Value }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** Runs user code until it returns, throws, or its time is over. Code that ignores its signal is left behind, not waited for. */
export function runWithin<Value>(
  execution: Execution,
  plan: CodePlan,
  run: (context: CodeContext) => Value | Promise<Value>,
): CodeEnd<Value> | Promise<CodeEnd<Value>> {
  const { item, claim, parts } = execution
  const context = createCodeContext(item)
  let stop: ((failure: Failure) => void) | undefined
  claim.abort = (reason) => {
    context.abort(reason)
    stop?.(stoppedFailure(plan))
  }
  try {
    const pending = run(context)
    if (!isPending(pending)) return { kind: 'returned', value: pending }
    return new Promise<CodeEnd<Value>>((resolve) => {
      stop = (failure) => resolve({ kind: 'failed', failure })
      const deadline: Expirable = {
        deadlineBucket: undefined,
        deadlineIndex: 0,
        expire() {
          const failure = timeoutFailure(plan)
          context.abort(new HoldfastError({ ...failure, code: failure.code, class: failure.class }))
          stop?.(failure)
        },
      }
      parts.deadlines.add(deadline, plan.timeoutMs)
      // Resolved once more, for a library's own kind of promise may throw when it is asked.
      Promise.resolve(pending).then(
        (value) => {
          parts.deadlines.remove(deadline)
          resolve({ kind: 'returned', value })
        },
        (thrown: unknown) => {
          parts.deadlines.remove(deadline)
          resolve({ kind: 'failed', failure: classifyThrown(thrown, plan.repeatable) })
        },
      )
    })
  } catch (thrown) {
    return { kind: 'failed', failure: classifyThrown(thrown, plan.repeatable) }
  }
}

/** Anything that can be waited for: libraries give promises of their own, and builders that run when they are awaited. */
function isPending<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function succeededCode(execution: Execution, output: string): Settlement {
  const { item, parts, startedAtMs } = execution
  return {
    ...fence(item),
    to: { state: 'succeeded', output },
    attempt: { startedAtMs, endedAtMs: parts.clock.wallMs(), outcome: 'succeeded', counts: true },
  }
}

function timeoutFailure(plan: CodePlan): Failure {
  return {
    class: 'transient',
    code: 'step_timeout',
    message: `Step "${plan.step}" did not end within ${plan.timeoutMs} ms`,
    userMessage: 'This takes longer than expected.',
    certainty: 'maybe_applied',
    hint: 'Make the step honour `ctx.signal`, raise its `timeout`, or split it.',
    rule: 'engine: step timeout (R149)',
    countsAgainstBreaker: false,
  }
}

function stoppedFailure(plan: CodePlan): Failure {
  return {
    class: 'cancelled',
    code: 'worker_stopped',
    message: `Step "${plan.step}" was broken off because its worker stopped`,
    userMessage: 'This was interrupted and will be continued.',
    certainty: 'maybe_applied',
    hint: 'Nothing to do: it is tried again, or looked for.',
    rule: 'engine: shutdown',
    countsAgainstBreaker: false,
  }
}

/** What the step returned cannot be stored. Its effect has happened, so an unsafe step is not simply run again (D07). */
function unusableOutput(plan: CodePlan, thrown: unknown): Failure {
  return {
    class: 'malformed_response',
    code: 'step_output_invalid',
    message: `Step "${plan.step}" returned something that cannot be stored: ${messageOf(thrown)}`,
    userMessage: 'This could not be completed.',
    certainty: 'applied',
    hint: 'Return plain JSON data: no functions, BigInt, cycles or class instances with cycles.',
    rule: 'engine: step output (D07)',
    maxRetries: 2,
    countsAgainstBreaker: false,
  }
}
