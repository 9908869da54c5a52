/** Calls on a simulated process from outside, as a client over a network makes them: it may freeze or die before it answers. */
import type { Clock } from '../../core/clock.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { ProcessGate } from './process-gate.ts'

export interface Asked {
  readonly name: string
  readonly gate: ProcessGate
  readonly hf: Holdfast
}

export type Reply<Value> =
  | { readonly kind: 'answered'; readonly value: Value }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It died, or did not answer in time; what was asked for may happen all the same. */
  | { readonly kind: 'no_answer' }

/** @param clock true time; nobody is asked longer than `patienceMs`. */
export function ask<Value>(
  process: Asked,
  clock: Clock,
  patienceMs: number,
  work: (hf: Holdfast) => Promise<Value>,
): Promise<Reply<Value>> {
  return new Promise((resolve) => {
    const patience = clock.setTimer(patienceMs, () => resolve({ kind: 'no_answer' }))
    function answer(reply: Reply<Value>): void {
      if (!process.gate.leave()) return
      patience.cancel()
      resolve(reply)
    }
    process.gate.enter(() => {
      work(process.hf).then(
        (value) => answer({ kind: 'answered', value }),
        (error: unknown) => answer({ kind: 'failed', error }),
      )
    })
  })
}
