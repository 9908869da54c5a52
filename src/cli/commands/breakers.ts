import type { Command } from 'commander'
import { HoldfastError } from '../../core/errors.ts'
import { EXIT } from '../exit-codes.ts'
import { breakerTable } from '../output/items.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description('Shows the circuit breakers: which endpoint is refused, why, and when it is tried again.')
  registrar.examples(command, [
    ['holdfast breakers', 'all that have seen calls'],
    ['holdfast breakers reset "hubspot:POST /contacts"', 'close one now'],
  ])

  const list = command.command('list', { isDefault: true }).description('Lists the breakers (the default).')
  registrar.handle(list, (context) =>
    context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const breakers = await operations.breakers()
      output.result({ breakers }, () =>
        breakers.length > 0 ? breakerTable(output, breakers, host.clock.wallMs()) : 'No breaker has been needed yet.',
      )
      const ill = breakers.find(({ phase }) => phase !== 'closed')
      if (ill) output.next(`holdfast breakers reset "${ill.key}"`, 'only if you know that the API is well again')
      return EXIT.done
    }),
  )

  const reset = command.command('reset <key>').description('Closes a breaker now; what it held is due at once.')
  registrar.handle(reset, (context, _options, [key = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      if (!(await operations.resetBreaker(key))) {
        throw new HoldfastError({
          code: 'breaker_not_found',
          class: 'not_found',
          message: `There is no breaker "${key}"`,
          hint: '`holdfast breakers` lists them; a name with blanks must stand in quotes.',
        })
      }
      context.output.result({ reset: key }, () => `Closed: ${key}.`)
      context.output.next('holdfast status')
      return EXIT.done
    }),
  )
}
