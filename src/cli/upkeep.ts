/** What a process that stays has to do beside its work: forget what is old, and stop where the store has moved. */
import { isHoldfastError, messageOf } from '../core/errors.ts'
import type { Holdfast } from '../engine/api.ts'
import type { CliContext } from './context.ts'
import { unlessInterrupted } from './interruption.ts'

const UPKEEP_EVERY_MS = 3_600_000

/** Aborts where the store has moved: whatever else goes wrong may pass, but here nothing can be done ever again. */
export function whenMoved({ events }: Holdfast): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const listening = events.on('engine.trouble', ({ cause }) => {
    if (isHoldfastError(cause) && cause.code === 'store_moved') controller.abort(cause)
  })
  return { signal: controller.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() }
}

export async function keepForgetting(context: CliContext, holdfast: Holdfast, signal: AbortSignal): Promise<void> {
  await unlessInterrupted(signal, async () => {
    for (;;) {
      await forgetOld(context, holdfast)
      await context.host.clock.sleep(UPKEEP_EVERY_MS, signal)
    }
  })
}

/** The configured retention. A store that is busy now is asked again in an hour: that stops no work. */
export async function forgetOld(context: CliContext, { operations }: Holdfast): Promise<void> {
  const { retentionMs } = await context.config('send')
  if (retentionMs === undefined) return
  try {
    const { runs } = await operations.retain(retentionMs)
    if (runs > 0) context.output.note(`Forgot ${runs} ended runs older than the retention; their counts stay.`)
  } catch (error) {
    context.output.note(`trouble in retention: ${messageOf(error)}`)
  }
}
