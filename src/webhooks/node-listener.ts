/** Web-standard handlers behind `node:http`. Frameworks that know `Request` need none of this. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { bodyAlreadyRead } from './body.ts'
import { problemAnswer, toResponse } from './problem.ts'

export type NodeListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * `http.createServer(nodeListener(hf.webhookHandler('stripe')))`, or a route of Express before any body parser.
 * @param onError an error that the handler threw, or `body_already_read` where a parser was there first; the caller gets a 500.
 *   Default: written to the console.
 */
export function nodeListener(
  handler: (request: Request) => Response | Promise<Response>,
  onError: (error: unknown) => void = console.error,
): NodeListener {
  return (incoming, outgoing) => {
    void answer(handler, incoming, onError)
      .then((response) => send(response, incoming, outgoing))
      .catch((error: unknown) => {
        onError(error)
        outgoing.destroy()
      })
  }
}

async function answer(
  handler: (request: Request) => Response | Promise<Response>,
  incoming: IncomingMessage,
  onError: (error: unknown) => void,
): Promise<Response> {
  try {
    const request = requestOf(incoming)
    return request ? await handler(request) : toResponse(NOT_USABLE)
  } catch (error) {
    onError(error)
    return toResponse(problemAnswer({ status: 500, code: 'internal_error', title: 'This failed on our side' }))
  }
}

const NOT_USABLE = problemAnswer({ status: 400, code: 'bad_request', title: 'This is no usable request' })

/**
 * @returns undefined where a method, host or path cannot be that of a request.
 * @throws HoldfastError `body_already_read`: to go on with what a parser left would look like a body that is empty
 */
function requestOf(incoming: IncomingMessage): Request | undefined {
  const { method = 'GET', headers, url = '/' } = incoming
  // Express hands over what is left of the path; the whole of it is what was called, and may be signed.
  const { originalUrl = url } = incoming as { originalUrl?: string }
  const scheme = 'encrypted' in incoming.socket ? 'https' : 'http'
  const address = URL.parse(`${scheme}://${headers.host ?? 'localhost'}${originalUrl}`)
  if (!address || ['CONNECT', 'TRACE', 'TRACK'].includes(method)) return undefined
  const hasBody = method !== 'GET' && method !== 'HEAD'
  if (hasBody && incoming.readableDidRead) throw bodyAlreadyRead()
  const body = hasBody ? (Readable.toWeb(incoming) as NodeReadableStream as ReadableStream) : null
  return new Request(address, { method, headers: headersOf(incoming), body, ...(hasBody && { duplex: 'half' }) })
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, values] of Object.entries(headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  return headers
}

async function send(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer())
  // What was not read cannot be followed by another request on the same connection.
  if (!incoming.complete) outgoing.setHeader('connection', 'close')
  const cookies = response.headers.getSetCookie()
  for (const [name, value] of response.headers) if (name !== 'set-cookie') outgoing.setHeader(name, value)
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies)
  outgoing.writeHead(response.status, { 'content-length': body.byteLength })
  outgoing.end(body)
}
