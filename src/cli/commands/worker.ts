import type { Command } from 'commander'
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { GRACE_MS, listenForInterrupt, unlessInterrupted, untilInterrupted } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly concurrency?: number
  readonly lane?: readonly string[]
  readonly untilIdle?: boolean
}

const UPKEEP_EVERY_MS = 3_600_000

export function define(command: Command, registrar: Registrar): void {
  command
    .description('Works on what is due, until it is stopped. Several may run at once, also beside `holdfast run`.')
    .option('--concurrency <count>', 'items at the same time in this process', positiveInteger)
    .option('--lane <lanes...>', 'only these lanes')
    .option('--until-idle', 'end when nothing can move any more without a person')
  registrar.examples(command, [
    ['holdfast worker', 'until Ctrl-C'],
    ['holdfast worker --until-idle', 'for a scheduled job'],
  ])
  registrar.handle<Options>(command, (context, options) =>
    context.withHoldfast('send', async (holdfast) => {
      const { output } = context
      using interruption = listenForInterrupt(
        context.host,
        'Stopping: what is under way may end; the rest stays in the store.',
      )
      const worker = holdfast.startWorker({
        ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
        ...(options.lane && { lanes: options.lane }),
      })
      output.note(`Worker ${worker.id} is working. Ctrl-C stops it; nothing is lost.`)
      using moved = whenMoved(holdfast)
      const signal = AbortSignal.any([interruption.signal, moved.signal])
      if (options.untilIdle) {
        await unlessInterrupted(signal, () => holdfast.drain({ signal }))
        await forgetOld(context, holdfast)
      } else {
        await Promise.all([untilInterrupted(context.host.clock, signal), keepForgetting(context, holdfast, signal)])
      }
      await worker.stop({ graceMs: GRACE_MS })
      moved.signal.throwIfAborted()

      const balance = await holdfast.operations.balance()
      output.result({ workerId: worker.id, balance }, () => `Stopped. ${balance.needsPerson} items need a person.`)
      if (balance.needsPerson > 0) output.next('holdfast dlq groups')
      return options.untilIdle && balance.needsPerson > 0 ? EXIT.needsPerson : EXIT.done
    }),
  )
}

/** Aborts where the store has moved: whatever else goes wrong may pass, but here nothing can be done ever again. */
function whenMoved({ events }: Holdfast): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const listening = events.on('engine.trouble', ({ cause }) => {
    if (isHoldfastError(cause) && cause.code === 'store_moved') controller.abort(cause)
  })
  return { signal: controller.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() }
}

async function keepForgetting(context: CliContext, holdfast: Holdfast, signal: AbortSignal): Promise<void> {
  await unlessInterrupted(signal, async () => {
    for (;;) {
      await forgetOld(context, holdfast)
      await context.host.clock.sleep(UPKEEP_EVERY_MS, signal)
    }
  })
}

/** The configured retention. A store that is busy now is asked again in an hour: that stops no work. */
async function forgetOld(context: CliContext, { operations }: Holdfast): Promise<void> {
  const { retentionMs } = await context.config('send')
  if (retentionMs === undefined) return
  try {
    const { runs } = await operations.retain(retentionMs)
    if (runs > 0) context.output.note(`Forgot ${runs} ended runs older than the retention; their counts stay.`)
  } catch (error) {
    context.output.note(`trouble in retention: ${messageOf(error)}`)
  }
}
