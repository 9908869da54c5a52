/** Runs cases: contenders take turns (A B C A B C ...), each measurement in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { BenchCase, RunOptions } from './bench-case.ts'
import type { Measured } from './stopwatch.ts'
import { type CaseResult, shown } from './summary.ts'

export interface SessionOptions extends RunOptions {
  readonly repetitions: number
  readonly tell: (line: string) => void
}

const CHILD = fileURLToPath(new URL('./measure-one.ts', import.meta.url))

/** @throws Error where a contender fails: a figure that is missing must not look like one that was left out. */
export async function runCase(benchCase: BenchCase, options: SessionOptions): Promise<CaseResult> {
  const measurements = new Map<string, Measured[]>(benchCase.contenders.map(({ name }) => [name, []]))
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const { name } of benchCase.contenders) {
      const measured = await runInChild(benchCase.name, name, options)
      measurements.get(name)?.push(measured)
      options.tell(`${benchCase.name} | ${repetition} | ${name}: ${shown(benchCase, [measured])}`)
    }
  }
  return { case: benchCase, measurements }
}

async function runInChild(caseName: string, contender: string, options: SessionOptions): Promise<Measured> {
  const { scale, folder, postgresUrl } = options
  const child = fork(CHILD, [caseName, contender, JSON.stringify({ scale, folder, postgresUrl })], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let measured: Measured | undefined
  child.on('message', (message) => {
    measured = message as Measured
  })
  const [exitCode] = (await once(child, 'exit')) as [number | null]
  if (exitCode !== 0 || !measured) throw new Error(`${caseName}, ${contender}: the measurement failed (see above)`)
  return measured
}
