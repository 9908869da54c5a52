/** One block per error: what, where, what to do. The stack only when asked for. */
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Host } from '../host.ts'
import { coloursFor } from './colours.ts'
import { printable } from './printable.ts'

export interface ErrorOptions {
  readonly json?: boolean
  readonly verbose?: boolean
}

export function printError(host: Host, error: unknown, options: ErrorOptions): void {
  const known = isHoldfastError(error) ? error : undefined
  const hint = known
    ? known.hint
    : 'This was not expected. Run it again with --verbose, and please report what it says.'
  if (options.json) {
    const facts = known ? known.toJSON() : { code: 'unexpected', message: messageOf(error), hint }
    host.stderr.write(`${JSON.stringify({ error: facts }, null, 2)}\n`)
  } else {
    const colours = coloursFor(host.stderr, host.env)
    const message = messageOf(error).split('\n').map(printable).join('\n')
    host.stderr.write(`${colours.bad('error:')} ${message}\n`)
    if (hint) host.stderr.write(`${colours.dim('hint:')}  ${printable(hint)}\n`)
    if (known) host.stderr.write(`${colours.dim(`code:  ${known.code}`)}\n`)
  }
  if (options.verbose) host.stderr.write(`${stackOf(error)}\n`)
}

/** Wrong use and wrong configuration are the caller's to correct; a store that fails is not. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!isHoldfastError(error)) return EXIT.failed
  const wrongUse = error.class === 'configuration' && !/^(store|ledger)_/.test(error.code)
  return wrongUse ? EXIT.wrongUsage : EXIT.failed
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error)
  const own = error.stack ?? error.message
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`
}
