import type { Command } from 'commander'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Verdict } from '../../engine/api.ts'
import type { OperatorReceipt } from '../../ledger/port.ts'
import { EXIT } from '../exit-codes.ts'
import type { Registrar } from '../registrar.ts'

interface Options {
  readonly happened?: boolean
  readonly didNotHappen?: boolean
  readonly externalId?: string
  readonly result?: string
  readonly reason?: string
}

export function defineResolve(dlq: Command, registrar: Registrar): void {
  const command = dlq
    .command('resolve <id>')
    .description('Your verdict on an unknown outcome, after a look into the other system: it happened, or it did not.')
    .option('--happened', 'it happened: the item has succeeded, what follows goes on')
    .option('--did-not-happen', 'it did not: it is sent again')
    .option('--external-id <id>', 'the id that the other system gave it')
    .option('--result <json>', 'what the step would have given, for the steps that follow')
    .option('--reason <text>', 'how you know')
  registrar.examples(command, [
    ['holdfast dlq resolve ID --happened --external-id 4711', 'found it there'],
    ['holdfast dlq resolve ID --did-not-happen', 'it is not there: send it again'],
  ])
  registrar.handle<Options>(command, (context, options, [id = '']) => {
    const verdict = verdictOf(options)
    return context.withHoldfast('look', async ({ operations }) => {
      const { output, host } = context
      const receipt = await operations.resolve(id, verdict, host.person)
      const accepted = receipt.outcome === 'done' || receipt.outcome === 'marked'
      output.result(receipt, () => (accepted ? `Resolved: ${id}` : `Not changed: ${whyNot(receipt)}`))
      output.next(accepted && !verdict.happened ? 'holdfast worker' : `holdfast explain ${id}`)
      return accepted ? EXIT.done : EXIT.failed
    })
  })
}

function verdictOf(options: Options): Verdict {
  if (options.happened === options.didNotHappen) {
    throw configurationError(
      'verdict_missing',
      'The verdict is missing: did it happen?',
      'Look into the other system, then give either --happened or --did-not-happen.',
    )
  }
  if (options.didNotHappen) return { happened: false }
  return {
    happened: true,
    ...(options.externalId !== undefined && { externalId: options.externalId }),
    ...(options.result !== undefined && { output: parseResult(options.result) }),
    ...(options.reason !== undefined && { reason: options.reason }),
  }
}

function parseResult(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw configurationError('invalid_result', `--result: ${messageOf(cause)}`, 'Give JSON.', {}, cause)
  }
}

function whyNot(receipt: OperatorReceipt): string {
  return receipt.outcome === 'refused' ? receipt.why : 'there is no such item'
}
