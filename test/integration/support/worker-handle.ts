/** The other end of `worker-process.ts`: starts one, listens, kills. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { StandStill, WorkerOrders, WorkerReport } from './worker-process.ts'

const PROGRAM = fileURLToPath(new URL('worker-process.ts', import.meta.url))

export interface WorkerHandle extends AsyncDisposable {
  readonly child: ChildProcess
  readonly reports: readonly WorkerReport[]
  count(type: WorkerReport['type']): number
  /** Resolves at once when it holds, or with the report that makes it hold; rejects where the process ends before. */
  until(predicate: () => boolean): Promise<void>
  /** Once; until it gets SIGCONT. */
  standStill(order: StandStill): void
  /** Ends it without warning. */
  kill(): Promise<void>
  /** Asks it to end; resolves to its exit code. */
  terminate(): Promise<number | null>
}

/** @param compileCacheFolder Where Node keeps what it has compiled: halves the time to start. */
export function startWorkerProcess(orders: WorkerOrders, compileCacheFolder: string): WorkerHandle {
  const child = fork(PROGRAM, [JSON.stringify(orders)], {
    execArgv: [],
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: compileCacheFolder },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const reports: WorkerReport[] = []
  const counts = new Map<string, number>()
  const waiting = new Set<() => void>()
  const ended = once(child, 'exit') as Promise<[number | null]>
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  ended.then(() => process.off('exit', killAtExit)).catch(() => {})
  child.on('message', (message: WorkerReport) => {
    reports.push(message)
    counts.set(message.type, (counts.get(message.type) ?? 0) + 1)
    for (const look of waiting) look()
  })
  const running = () => child.exitCode === null && child.signalCode === null

  async function until(predicate: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (predicate()) resolve()
    }
    waiting.add(look)
    look()
    const gone = ended.then(([code]) => {
      if (!predicate())
        throw new Error(`The worker ended (${code}) before it was so far: ${JSON.stringify(reports.at(-1))}`)
    })
    await Promise.race([promise, gone]).finally(() => waiting.delete(look))
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (running()) child.kill(signal)
    const [code] = await ended
    return code
  }

  return {
    child,
    reports,
    count: (type) => counts.get(type) ?? 0,
    until,
    standStill: (order) => void child.send(order),
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}
