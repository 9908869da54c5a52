import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { GRACE_MS, listenForInterrupt, unlessInterrupted, untilInterrupted } from '../interruption.ts'
import { positiveInteger } from '../option-parsers.ts'
import type { Registrar } from '../registrar.ts'
import { forgetOld, keepForgetting, whenMoved } from '../upkeep.ts'

interface Options {
  readonly concurrency?: number
  readonly lane?: readonly string[]
  readonly untilIdle?: boolean
}

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
