/** A server whose streamed answers a test writes piece by piece. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface OpenStream {
  readonly request: IncomingMessage
  /** Resolves once the piece has left this process. */
  write(text: string): Promise<void>
  end(): void
  /** Closes the connection in the middle. */
  cutOff(): void
  /** Resolves when the connection is closed, by whomever. */
  readonly closed: Promise<void>
}

export interface StreamServer extends AsyncDisposable {
  readonly url: string
  readonly requests: number
  /** The next request, with the headers of a stream of events sent already. */
  next(): Promise<OpenStream>
}

export async function startStreamServer(): Promise<StreamServer> {
  const open: OpenStream[] = []
  let waiting: ((stream: OpenStream) => void)[] = []
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    request.resume()
    const stream = begin(request, response)
    const [first, ...rest] = waiting
    waiting = rest
    if (first) first(stream)
    else open.push(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests
    },
    async next() {
      return open.shift() ?? (await new Promise<OpenStream>((resolve) => waiting.push(resolve)))
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function begin(request: IncomingMessage, response: ServerResponse): OpenStream {
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  return {
    request,
    closed,
    write: (text) => Promise.race([closed, new Promise<void>((resolve) => response.write(text, () => resolve()))]),
    end: () => response.end(),
    cutOff: () => request.socket.destroy(),
  }
}
