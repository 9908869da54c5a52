import type { Command } from 'commander'
import { EXIT } from '../exit-codes.ts'
import type { MoveOptions } from '../migrate/move-store.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Creates the store, or brings it up to date. Every command does that by itself; this one is for deployments that want it done beforehand. With --from and --to it moves a store from a file to a PostgreSQL server: everything, with its ids and its history. The old store is closed for work first, the new one is open when the books of both were proved equal. Safe to run again: after a crash or a Ctrl-C the same command goes on.',
    )
    .option('--from <store>', 'move this store: sqlite:./holdfast.db')
    .option('--to <store>', "move to this empty one: 'postgres://USER:${PASSWORD}@HOST/DATABASE'")
    .option('--abort', 'give up a move that has not finished: --from is open for work again, --to is emptied')
  registrar.examples(command, [
    ['holdfast migrate', 'before the first worker of a new version starts'],
    ['holdfast migrate --from sqlite:./holdfast.db --to postgres://ada@db/main', 'move to a server'],
    ['holdfast migrate --from sqlite:./holdfast.db --to postgres://ada@db/main --abort', 'change your mind'],
  ])
  registrar.handle<MoveOptions>(command, async (context, options) => {
    if (options.from !== undefined || options.to !== undefined || options.abort) {
      const { moveStore } = await import('../migrate/move-store.ts')
      return moveStore(context, options)
    }
    const { openLedger } = await import('../../system/open.ts')
    const ledger = await openLedger(await context.config('look'))
    await ledger.close()
    context.output.result({ store: ledger.description }, () => `Up to date: ${ledger.description}`)
    context.output.next('holdfast worker')
    return EXIT.done
  })
}
