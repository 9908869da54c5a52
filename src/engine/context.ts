/** What a step sees: built once per claim, with everything parsed lazily enough that unused parts cost nothing. */
import { sha256Hex } from '../core/json.ts'
import type { ClaimedItem } from '../ledger/port.ts'
import type { CodeContext, StepContext } from './pipeline.ts'

export function createStepContext(item: ClaimedItem): StepContext {
  let input: { value: unknown } | undefined
  let outputs: Record<string, unknown> | undefined
  return {
    get input() {
      input ??= { value: JSON.parse(item.input) }
      return input.value
    },
    get outputs() {
      outputs ??= parseOutputs(item.outputs)
      return outputs
    },
    get idempotencyKey() {
      return idempotencyKeyOf(item)
    },
    runId: item.runId,
    itemId: item.itemId,
    key: item.key,
    tenant: item.tenant,
    labels: item.labels,
    correlationId: item.correlationId,
    attempt: item.counters.attempts + 1,
  }
}

/** A code step's context: its signal is made only when the step looks at it, because a controller per item costs more than the rest. */
export function createCodeContext(item: ClaimedItem): { context: CodeContext; abort: (reason: unknown) => void } {
  const base = createStepContext(item)
  let controller: AbortController | undefined
  let aborted: { reason: unknown } | undefined
  const context = Object.defineProperty(base, 'signal', {
    get() {
      if (!controller) {
        controller = new AbortController()
        if (aborted) controller.abort(aborted.reason)
      }
      return controller.signal
    },
  }) as CodeContext
  return {
    context,
    abort(reason) {
      aborted ??= { reason }
      controller?.abort(reason)
    },
  }
}

/**
 * Names one step of one run, whatever attempt or replay it is (R080, R081, R099): derived, never drawn. In the shape of a
 * UUID (version 8, RFC 9562 section 5.8), which every vendor's key field takes.
 */
export function idempotencyKeyOf(item: Pick<ClaimedItem, 'tenant' | 'pipeline' | 'key' | 'step'>): string {
  const digest = sha256Hex(JSON.stringify([item.tenant, item.pipeline, item.key, item.step]))
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}

function parseOutputs(texts: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(texts).map(([step, text]) => [step, JSON.parse(text) as unknown]))
}
