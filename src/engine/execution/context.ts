/**
 * What a step sees: built once per claim, with everything parsed lazily enough that unused parts cost nothing. Classes,
 * because getters on each object cost more than everything else that is done for a claim.
 */
import { sha256Hex } from '../../core/json.ts'
import type { ClaimedItem } from '../../ledger/port.ts'
import type { CodeContext, StepContext } from '../pipelines/pipeline.ts'

class ItemContext implements StepContext {
  readonly runId: string
  readonly itemId: string
  readonly key: string
  readonly tenant: string
  readonly labels: Readonly<Record<string, string>>
  readonly correlationId: string
  readonly attempt: number
  readonly #item: ClaimedItem
  #input: { readonly value: unknown } | undefined
  #outputs: Record<string, unknown> | undefined

  constructor(item: ClaimedItem) {
    this.#item = item
    this.runId = item.runId
    this.itemId = item.itemId
    this.key = item.key
    this.tenant = item.tenant
    this.labels = item.labels
    this.correlationId = item.correlationId
    this.attempt = item.counters.attempts + 1
  }

  get input(): unknown {
    this.#input ??= { value: JSON.parse(this.#item.input) }
    return this.#input.value
  }

  get outputs(): Record<string, unknown> {
    this.#outputs ??= parseOutputs(this.#item.outputs)
    return this.#outputs
  }

  get idempotencyKey(): string {
    return idempotencyKeyOf(this.#item)
  }
}

/** Its signal is made only when the step looks at it, because a controller per item costs more than the rest. */
class AbortableContext extends ItemContext implements CodeContext {
  #controller: AbortController | undefined
  #aborted: { readonly reason: unknown } | undefined

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort(this.#aborted.reason)
    }
    return this.#controller.signal
  }

  /** For the engine only: steps get the context as {@link CodeContext}. */
  abort(reason: unknown): void {
    this.#aborted ??= { reason }
    this.#controller?.abort(reason)
  }
}

export function createStepContext(item: ClaimedItem): StepContext {
  return new ItemContext(item)
}

export function createCodeContext(item: ClaimedItem): CodeContext & { abort(reason: unknown): void } {
  return new AbortableContext(item)
}

/**
 * Names one step of one run, whatever attempt or replay it is (R080, R081, R099): derived, never drawn. In the shape of a
 * UUID (version 8, RFC 9562 section 5.8), which every vendor's key field takes. `spentKeys`: see idempotency-key.ts.
 */
export function idempotencyKeyOf(
  item: Pick<ClaimedItem, 'tenant' | 'pipeline' | 'key' | 'step'>,
  spentKeys = 0,
): string {
  const name = [item.tenant, item.pipeline, item.key, item.step, ...(spentKeys > 0 ? [spentKeys] : [])]
  const digest = sha256Hex(JSON.stringify(name))
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}

function parseOutputs(texts: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(texts).map(([step, text]) => [step, JSON.parse(text) as unknown]))
}
