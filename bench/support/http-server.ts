/** The servers that are compared, each in a process of its own, so that caller and server do not share an event loop. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** `bare-proxy` passes calls on, `bare-hmac` verifies webhooks and forgets them; `gateway` is what `holdfast serve` runs. */
export type ServerKind = 'bare-proxy' | 'bare-hmac' | 'gateway'

export interface RunningServer extends Disposable {
  readonly port: number
  readonly origin: string
  readonly cpuMs: () => Promise<number>
}

/** What webhooks are signed with. */
export const WEBHOOK_SECRET = 'a secret of the benchmark'

/** @param upstream origin of the API behind the proxies */
export async function startServer(kind: ServerKind, upstream: string, store: string): Promise<RunningServer> {
  const program = fileURLToPath(new URL('./http-server-entry.ts', import.meta.url))
  const child = fork(program, [kind, upstream, store])
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
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
