/** For tests: a client that hides nothing of what arrives. */
import { connect } from 'node:net'

export interface Heard {
  /** Everything that came over the wire. */
  readonly raw: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** How the connection ended: by a polite close, a reset, or not at all while we listened. */
  readonly ended: 'closed' | 'reset' | 'open'
}

/** Sends one request over a connection of its own and listens until it ends or, where given, until `enough` holds. */
export function callRaw(
  url: string,
  method: string,
  path: string,
  options: {
    readonly body?: unknown
    readonly headers?: Readonly<Record<string, string>>
    /** Looks at what has come so far; `true` leaves. */
    readonly enough?: (raw: string) => boolean
    /** Leaves as soon as this resolves. */
    readonly leave?: Promise<unknown>
  } = {},
): Promise<Heard> {
  const { hostname, port } = new URL(url)
  const body = options.body === undefined ? '' : JSON.stringify(options.body)
  const headers = {
    host: hostname,
    connection: 'close',
    ...(body && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    ...options.headers,
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let raw = ''
    const finish = (ended: Heard['ended']): void => {
      socket.destroy()
      resolve(hear(raw, ended))
    }
    socket.setEncoding('latin1')
    socket.on('connect', () => socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`))
    socket.on('data', (piece: string) => {
      raw += piece
      if (options.enough?.(raw)) finish('open')
    })
    socket.on('end', () => finish('closed'))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') finish('reset')
      else reject(error)
    })
    options.leave?.then(() => finish('open'), reject)
  })
}

function hear(raw: string, ended: Heard['ended']): Heard {
  const split = raw.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = (split === -1 ? raw : raw.slice(0, split)).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return {
    raw,
    status: Number(statusLine.split(' ')[1] ?? 0),
    headers: Object.fromEntries(headers),
    body: split === -1 ? '' : raw.slice(split + 4),
    ended,
  }
}
