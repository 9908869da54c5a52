import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { configurationError, messageOf } from '../../core/errors.ts'

/** An HTTP listener that can go away and come back on the same port. */
export interface Listener {
  readonly port: number
  /** Ends all connections and stops listening: connections are refused from now on. */
  goAway(): Promise<void>
  comeBack(): Promise<void>
}

/** Idle connections are kept for long: which side closes first should not be left to chance. */
const KEEP_ALIVE_MS = 120_000

/** @throws HoldfastError `cannot_listen` */
export async function listen(
  host: string,
  port: number,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, onRequest)
  await startListening(server, host, port)
  const boundPort = (server.address() as AddressInfo).port
  return {
    port: boundPort,
    async goAway() {
      if (!server.listening) return
      const closed = new Promise((resolve) => {
        server.once('close', resolve)
      })
      server.close()
      server.closeAllConnections()
      await closed
    },
    async comeBack() {
      if (!server.listening) await startListening(server, host, boundPort)
    },
  }
}

function startListening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    function fail(cause: unknown): void {
      reject(
        configurationError(
          'cannot_listen',
          `Cannot listen on ${host}:${port}: ${messageOf(cause)}`,
          'Choose another port, or 0 for any free one.',
          { host, port },
          cause,
        ),
      )
    }
    server.once('error', fail)
    server.listen(port, host, () => {
      server.off('error', fail)
      resolve()
    })
  })
}
