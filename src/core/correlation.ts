/** One id from the caller to the vendor (R164): what requests may call themselves by. */

const USABLE_ID = /^[\w.:/+=@-]{1,128}$/
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/

/** Of other ids it is safe to show in a header, a log and a terminal. */
export function usableCorrelation(id: string | undefined): string | undefined {
  return id !== undefined && USABLE_ID.test(id) ? id : undefined
}

/** `x-correlation-id`, or the trace of `traceparent` (W3C trace context). @param header by its name in lower case */
export function givenCorrelation(header: (name: string) => string | undefined): string | undefined {
  return usableCorrelation(header('x-correlation-id')) ?? TRACEPARENT.exec(header('traceparent') ?? '')?.[1]
}
