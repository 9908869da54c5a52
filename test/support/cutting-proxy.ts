/**
 * Stands between a client and a PostgreSQL server, and cuts the connection on which the next COMMIT is sent, or the first call of a
 * procedure that is a transaction by itself, at a moment that no test could hit by chance.
 */
import { connect, createServer, type Socket } from 'node:net'

export type Cut =
  /** The COMMIT never arrives. */
  | 'before the commit'
  /** It takes place, and the answer is lost, with those of everything that was sent along with it. */
  | 'after the commit'
  /** The client is cut off; the COMMIT arrives when somebody already asks what became of it. */
  | 'late commit'

export interface CuttingProxy {
  readonly port: number
  /** Arms it for one COMMIT. */
  cutNext(cut: Cut): void
  /** Ends all connections; new ones go to another server. */
  turnTo(serverPort: number): void
  /** How many were cut. */
  readonly cuts: number
  close(): Promise<void>
}

const COMMIT = Buffer.from('COMMIT\0')
/** The text of a statement is sent when a connection first uses it. */
const CALL = /FROM "\w+"\.\w+_[0-9a-f]{12}\(/
/** "Ready for query", outside of any transaction: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const IDLE = Buffer.from('Z\0\0\0\x05I')
const ASKING = Buffer.from('voided = excluded.voided')

export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  let armed: Cut | undefined
  let cuts = 0
  let target = serverPort
  let arriveLate: (() => void) | undefined
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let answerIsLost = false
    let keepsUpstream = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        if (socket === client && keepsUpstream) return
        client.destroy()
        upstream.destroy()
      })
    }
    upstream.on('data', (chunk) => {
      if (!answerIsLost) client.write(chunk)
      // Not before: a server that cannot tell what it did before the COMMIT gives up the rest.
      else if (chunk.includes(IDLE)) client.destroy()
    })
    client.on('data', (chunk) => {
      if (arriveLate && chunk.includes(ASKING)) {
        upstream.write(chunk)
        arriveLate()
        arriveLate = undefined
        return
      }
      const commits = chunk.includes(COMMIT) || CALL.test(chunk.toString('latin1'))
      const cut = commits ? armed : undefined
      if (cut) {
        armed = undefined
        cuts += 1
      }
      if (cut === 'before the commit') {
        client.destroy()
        return
      }
      if (cut === 'late commit') {
        keepsUpstream = true
        arriveLate = () => upstream.write(chunk)
        client.destroy()
        return
      }
      answerIsLost = cut === 'after the commit'
      upstream.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cutNext(cut) {
      armed = cut
    },
    turnTo(otherPort) {
      target = otherPort
      for (const socket of sockets) socket.destroy()
    },
    get cuts() {
      return cuts
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
