/** What a request says of itself before its body: read alike from `node:http` and from a `Request`. */
import type { IncomingMessage } from 'node:http'

export interface RequestHead {
  /** The caller's network address. */
  readonly from: string
  /** @param name in lower case */
  header(name: string): string | undefined
}

export function headOfRequest(request: Request, from: string): RequestHead {
  const { headers } = request
  return {
    from,
    header: (name) => headers.get(name) ?? (name === 'host' ? new URL(request.url).host : undefined),
  }
}

export function headOfIncoming({ headers, socket }: IncomingMessage): RequestHead {
  return {
    from: socket.remoteAddress ?? 'unknown',
    header(name) {
      const value = headers[name]
      return typeof value === 'object' ? value.join(', ') : value
    },
  }
}

/** What callers call the gateway by: `http://127.0.0.1:4180`. */
export function originOf({ headers, socket }: IncomingMessage): string {
  return `${'encrypted' in socket ? 'https' : 'http'}://${headers.host ?? 'localhost'}`
}
