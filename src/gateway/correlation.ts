/** One id from the caller to the vendor: `x-correlation-id`, or the trace of `traceparent` (R164, W3C trace context). */
import type { RequestHead } from './head.ts'

const USABLE_ID = /^[\w.:/+=@-]{1,128}$/
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/

export interface Correlation {
  readonly id: string
  /** False: made here, and of no use to name a run by. */
  readonly isGiven: boolean
}

export function correlationOf({ header }: RequestHead, newId: () => string): Correlation {
  const given = header('x-correlation-id')
  if (given !== undefined && USABLE_ID.test(given)) return { id: given, isGiven: true }
  const trace = TRACEPARENT.exec(header('traceparent') ?? '')?.[1]
  if (trace !== undefined) return { id: trace, isGiven: true }
  return { id: newId(), isGiven: false }
}
