import type { NetworkFault } from '../../policy/classify/classify.ts'

interface SystemError extends Error {
  readonly code?: string
  readonly syscall?: string
  readonly errors?: readonly SystemError[]
}

/** An error with a code of ours, for the places where the HTTP library wants an Error. */
export function namedError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** What went wrong, as data. Codes, never messages, decide later on. */
export function faultOfError(error: Error, phase: NetworkFault['phase'], status: number): NetworkFault {
  const known = error as SystemError
  // Several addresses tried: each has failed; the first one names the reason.
  const first = known.errors?.[0]
  // The parser's errors have lost their HPE_ code on the way to us.
  const ownCode = known.name === 'HTTPParserError' ? (known.code ?? 'HPE_INVALID') : known.code
  const code = ownCode ?? first?.code ?? known.name
  const syscall = known.syscall ?? first?.syscall
  return {
    code: code === 'UND_ERR_CONNECT_TIMEOUT' ? 'timeout_connect' : code,
    phase,
    message: known.message || first?.message || code,
    ...(syscall !== undefined && { syscall }),
    // Exactly known only while the request has not been handed to a connection.
    ...((phase === 'connect' || phase === 'before_send') && { bytesWritten: 0 }),
    ...(status > 0 && { status }),
  }
}
