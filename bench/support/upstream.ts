/** The API that is called: a server in a process of its own, so that client and server do not share an event loop. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Upstream extends Disposable {
  readonly origin: string
  /** Milliseconds of CPU that its process has used. */
  cpuMs(): Promise<number>
}

export async function startUpstream(): Promise<Upstream> {
  const child = fork(fileURLToPath(new URL('./api-server.ts', import.meta.url)))
  const [port] = (await once(child, 'message')) as [number]
  return {
    origin: `http://127.0.0.1:${port}`,
    async cpuMs() {
      child.send('cpu')
      const [cpuMs] = (await once(child, 'message')) as [number]
      return cpuMs
    },
    [Symbol.dispose]() {
      child.disconnect()
    },
  }
}
