import type { Command } from 'commander'
import { notDisabled } from '../../engine/callbacks/disabled-addresses.ts'
import { EXIT } from '../exit-codes.ts'
import { formatRelative } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Shows the addresses of callbacks that are disabled: they answered 410 Gone, and are told nothing more. Enables them again.',
  )
  registrar.examples(command, [
    ['holdfast callbacks', 'which addresses are disabled, since when'],
    ['holdfast callbacks enable 3f2a91c04be7d218', 'it is there again'],
    ['holdfast callbacks enable https://hooks.example.com/done', 'the same, by its URL'],
  ])

  const list = command.command('list', { isDefault: true }).description('Lists the disabled addresses (the default).')
  registrar.handle(list, (context) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const disabled = await operations.disabledAddresses()
      output.result({ disabled }, () => {
        if (disabled.length === 0) return 'No address of a callback is disabled.'
        return output.table(
          [
            { title: 'address', value: ({ address }) => address },
            { title: 'integration', value: ({ integration }) => integration },
            { title: 'disabled', value: ({ sinceMs }) => formatRelative(sinceMs, host.clock.wallMs()) },
            { title: 'answered 410 to', value: ({ itemId }) => itemId, flexible: true },
          ],
          disabled,
        )
      })
      const [first] = disabled
      if (!first) return EXIT.done
      output.next(`holdfast item ${first.itemId}`, 'its input has the URL')
      output.next(`holdfast callbacks enable ${first.address}`, 'where it is there again')
      return EXIT.needsPerson
    }),
  )

  const enable = command
    .command('enable <address>')
    .description(
      'Lets callbacks be sent to an address again. Those that ended meanwhile are dead letters, to be replayed.',
    )
  registrar.handle(enable, (context, _options, [address = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const enabled = await operations.enableAddress(address)
      if (!enabled) throw notDisabled(address)
      context.output.result({ enabled }, () => `Enabled: ${enabled.address} of ${enabled.integration}.`)
      const pipeline = `callback:${enabled.integration}`
      context.output.next(`holdfast dlq replay --pipeline ${pipeline} --dry-run`, 'what was not told meanwhile')
      return EXIT.done
    }),
  )
}
