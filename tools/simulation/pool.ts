/** Child processes that simulate: one order each at a time. One that hangs or dies is replaced, and its order has failed. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../src/core/clock.ts'
import { failedReport, type Order, type Report, SIMULATOR_CHECKS } from './orders.ts'

export interface Pool extends Disposable {
  readonly jobs: number
  /** Waits for a free process. Always resolves: whatever goes wrong is a violation in the report. */
  run(order: Order): Promise<Report>
}

export interface PoolParts {
  readonly clock: Clock
  readonly jobs: number
  /** Real time after which a process that does not answer is killed. Default 60 s. */
  readonly patienceMs?: number
  /** Default: `child.ts`. */
  readonly program?: string
}

const PATIENCE_MS = 60_000
const PROGRAM = fileURLToPath(new URL('child.ts', import.meta.url))

export function openPool({ clock, jobs, patienceMs = PATIENCE_MS, program = PROGRAM }: PoolParts): Pool {
  const idle: ChildProcess[] = []
  const all = new Set<ChildProcess>()
  const waiting: (() => void)[] = []
  let busy = 0

  function killAll(): void {
    for (const child of all) child.kill('SIGKILL')
  }
  // Whatever ends this process must not leave others behind that compute.
  process.once('exit', killAll)

  function start(): ChildProcess {
    const child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    all.add(child)
    child.once('exit', () => all.delete(child))
    return child
  }

  async function run(order: Order): Promise<Report> {
    while (busy >= jobs) await new Promise<void>((resolve) => waiting.push(resolve))
    busy++
    const child = idle.pop() ?? start()
    try {
      const report = await ask(child, order)
      if (child.connected) idle.push(child)
      return report
    } finally {
      busy--
      waiting.shift()?.()
    }
  }

  function ask(child: ChildProcess, order: Order): Promise<Report> {
    const fromMs = clock.monotonicMs()
    const { promise, resolve } = Promise.withResolvers<Report>()
    const fail = (check: string, message: string): void =>
      resolve(failedReport(order, check, message, clock.monotonicMs() - fromMs))
    const onExit = (code: number | null, signal: string | null): void =>
      fail(SIMULATOR_CHECKS.broken, `its process ended (${signal ?? `exit code ${code}`}) without an answer`)
    const watchdog = clock.setTimer(patienceMs, () => {
      fail(SIMULATOR_CHECKS.hung, `no answer for ${patienceMs / 1000} s of real time: its process was killed`)
      child.disconnect()
      child.kill('SIGKILL')
    })
    child.once('message', (report) => resolve(report as Report))
    child.once('exit', onExit)
    child.send(order)
    return promise.finally(() => {
      watchdog.cancel()
      child.removeAllListeners('message').off('exit', onExit)
    })
  }

  return {
    jobs,
    run,
    [Symbol.dispose]() {
      killAll()
      process.off('exit', killAll)
    },
  }
}
