/** Requests over plain sockets: a client that costs so little that the server is what is measured. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawLoad extends Disposable {
  /** Sends so many, one after the other on each connection; throws where one is not answered with 200. */
  run(count: number): Promise<void>
}

const LENGTH = /\r\ncontent-length: *(\d+)/i

/** @param make the bytes of the next request */
export async function openRawLoad(port: number, connections: number, make: () => Buffer): Promise<RawLoad> {
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      await once(socket, 'connect')
      return socket
    }),
  )
  return {
    async run(count) {
      let left = count
      const next = (): Buffer | undefined => (left-- > 0 ? make() : undefined)
      await Promise.all(sockets.map((socket) => sendOn(socket, next)))
    },
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function sendOn(socket: Socket, next: () => Buffer | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let text = ''
  const ended = () => reject(new Error(`The connection ended: ${text}`))
  function send(): void {
    const request = next()
    if (request && !socket.destroyed) socket.write(request)
    else if (request) ended()
    else resolve()
  }
  function hear(piece: Buffer): void {
    text += piece.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end < 0 || text.length < end + 4 + Number(LENGTH.exec(text)?.[1] ?? 0)) return
    if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text))
    text = ''
    send()
  }
  socket.on('data', hear)
  socket.on('close', ended)
  send()
  return promise.finally(() => {
    socket.off('data', hear)
    socket.off('close', ended)
  })
}
