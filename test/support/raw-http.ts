/** HTTP as bytes, which no client of good manners would send. */
import net from 'node:net'

export interface RawAnswer {
  /** 0: none came. */
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends bytes as they are, and reads until the connection closes. */
export async function raw(port: number, text: string): Promise<RawAnswer> {
  const socket = net.connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // A server that has had enough resets the connection: what it said before is the answer.
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(text, 'latin1')
  await closed
  const all = Buffer.concat(chunks).toString('latin1')
  const end = all.indexOf('\r\n\r\n')
  return { status: Number(all.slice(9, 12)), head: all.slice(0, end), body: all.slice(end + 4) }
}

/** A request line and headers that end the connection after the answer. */
export function rawRequest(line: string, headers: readonly string[] = [], body = ''): string {
  return `${line} HTTP/1.1\r\n${['host: 127.0.0.1', 'connection: close', ...headers].join('\r\n')}\r\n\r\n${body}`
}
