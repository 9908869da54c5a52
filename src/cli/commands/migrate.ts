import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Creates the store, or brings it up to date. Every command does that by itself; this one is for deployments that want it done beforehand.',
  )
  registrar.examples(command, [['holdfast migrate', 'before the first worker of a new version starts']])
  registrar.handle(command, async (context) => {
    const { openLedger } = await import('../../system/open.ts')
    const ledger = await openLedger(await context.config('look'))
    await ledger.close()
    context.output.result({ store: ledger.description }, () => `Up to date: ${ledger.description}`)
    context.output.next('holdfast worker')
    return EXIT.done
  })
}
