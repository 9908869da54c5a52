/** The proxies that are compared, each in a process of its own, so that caller and proxy do not share an event loop. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** `direct`: none. */
export type ProxyKind = 'direct' | 'bare' | 'node' | 'web'

export interface RunningProxy extends Disposable {
  readonly origin: string
  /** Of the paths below it. */
  readonly base: string
  readonly cpuMs: () => Promise<number>
}

export async function startProxy(kind: ProxyKind, upstream: string, store: string): Promise<RunningProxy> {
  if (kind === 'direct') return { origin: upstream, base: '', cpuMs: async () => 0, [Symbol.dispose]() {} }
  const child = fork(fileURLToPath(new URL('./proxy-server.ts', import.meta.url)), [kind, upstream, store])
  const [port] = (await once(child, 'message')) as [number]
  return {
    origin: `http://127.0.0.1:${port}`,
    base: '/proxy/crm',
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
