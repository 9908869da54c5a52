/** Measures one stretch of work: wall time, the CPU it took, and the CPU that others took meanwhile. */
import { cpus } from 'node:os'

export interface Measured {
  readonly operations: number
  readonly elapsedMs: number
  /** Of the measured process, all its threads. Hardly moved by busy neighbours, as the elapsed time is. */
  readonly cpuMs: number
  /** Of processes that took part: a server. */
  readonly helperCpuMs: number
  /** Cores that processes which do not belong to the measurement kept busy meanwhile. */
  readonly foreignCores: number
  /** Where each operation was timed by itself. */
  readonly delays?: Delays
}

export interface Delays {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Milliseconds of CPU that a helper process has used so far: it belongs to the measurement, and is not foreign. */
export type HelperCpu = () => Promise<number>

const NO_HELPER: HelperCpu = async () => 0

/** @param work resolves with how many operations it made. */
export async function measure(work: () => Promise<number>, helperCpu: HelperCpu = NO_HELPER): Promise<Measured> {
  const before = await cpuSoFar(helperCpu)
  const startedMs = performance.now()
  const operations = await work()
  const elapsedMs = performance.now() - startedMs
  const after = await cpuSoFar(helperCpu)
  const cpuMs = after.ownMs - before.ownMs
  const helperCpuMs = after.helperMs - before.helperMs
  const foreignMs = after.machineMs - before.machineMs - helperCpuMs - cpuMs
  return { operations, elapsedMs, cpuMs, helperCpuMs, foreignCores: Math.max(0, foreignMs / elapsedMs) }
}

/** Repeats a piece of work that makes `operationsPerRound` operations until the time is over. */
export async function measureFor(
  durationMs: number,
  operationsPerRound: number,
  round: () => Promise<void>,
  helperCpu: HelperCpu = NO_HELPER,
): Promise<Measured> {
  return measure(async () => {
    const endMs = performance.now() + durationMs
    let rounds = 0
    do {
      await round()
      rounds += 1
    } while (performance.now() < endMs)
    return rounds * operationsPerRound
  }, helperCpu)
}

async function cpuSoFar(helperCpu: HelperCpu): Promise<{ ownMs: number; helperMs: number; machineMs: number }> {
  const helperMs = await helperCpu()
  const { user, system } = process.cpuUsage()
  return { ownMs: (user + system) / 1000, helperMs, machineMs: machineCpuMs() }
}

function machineCpuMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
}
