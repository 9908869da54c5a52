/** From an answer to the Response that a caller of `fetch` gets. */
import { STATUS_CODES } from 'node:http'
import { errorFromFailure, type HoldfastError } from '../../core/errors.ts'
import { classifyNetworkFault } from '../../policy/classify/classify.ts'
import { factsOf } from '../attempt/attempt.ts'
import type { Answer, OutboundCall } from '../call/call.ts'

/** Fetch standard, "null body status"; our transport never hands over a 101 or 103. */
export const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304])
/** What SDKs obey who ask the server whether to retry: openai and @anthropic-ai/sdk, stripe. */
export const DO_NOT_RETRY_HEADERS = ['x-should-retry', 'stripe-should-retry']

export interface ResponseFacts {
  /** Where it came from in the end. */
  readonly url: URL
  readonly redirected: boolean
  /** Holdfast has tried what could be tried. */
  readonly isFinal: boolean
}

export async function toResponse(
  call: OutboundCall,
  { status, headers, data }: Answer,
  { url, redirected, isFinal }: ResponseFacts,
): Promise<Response> {
  const content = data as ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | undefined
  const hasBody = call.method !== 'HEAD' && !WITHOUT_BODY.has(status)
  const isStream = content instanceof ReadableStream
  if (!hasBody && isStream) await content.cancel()
  const body = isStream ? withOurErrors(call, status, content) : content
  const response = new Response(hasBody && body ? body : null, {
    status,
    statusText: STATUS_CODES[status] ?? '',
    headers: headersOf(headers, isFinal),
  })
  // A Response made by hand has neither; SDKs read both.
  const { href } = url
  Object.defineProperty(response, 'url', { value: url.hash === '' ? href : href.slice(0, -url.hash.length) })
  Object.defineProperty(response, 'redirected', { value: redirected })
  return response
}

function headersOf(headers: Answer['headers'], isFinal: boolean): Headers {
  const all = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    for (const one of name === 'set-cookie' ? value.split('\n') : [value]) all.append(name, one)
  }
  if (isFinal) for (const name of DO_NOT_RETRY_HEADERS) all.set(name, 'false')
  return all
}

/** A body that breaks off is a `TypeError('terminated')`, as with `fetch`, and its cause says what is known about it. */
function withOurErrors(
  call: OutboundCall,
  status: number,
  stream: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          throw call.signal?.aborted
            ? call.signal.reason
            : new TypeError('terminated', { cause: brokenOff(call, status, error) })
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** What is known of a call whose answer broke off after it was handed over. */
export function brokenOff(call: OutboundCall, status: number, error: unknown): HoldfastError {
  const { code, message } = error as { code?: string; message?: string }
  const fault = {
    code: code ?? 'terminated',
    phase: 'reading_body' as const,
    status,
    message: message ?? 'the body of the answer broke off',
  }
  const failure = {
    ...classifyNetworkFault(factsOf(call), fault),
    userMessage: 'The answer broke off before it was complete.',
    hint: 'Half an answer was handed over already, so nothing tries again by itself: ask again where that is safe.',
  }
  return errorFromFailure(failure, error)
}
