/** What a benchmark is made of: cases, each run by several contenders that do the same work. */
import type { Delays, Measured } from './stopwatch.ts'

export const GROUPS = ['policy', 'client', 'ledger', 'postgres', 'gateway'] as const
export type Group = (typeof GROUPS)[number]

export interface BenchCase {
  readonly group: Group
  readonly name: string
  /** How a measurement is shown. Everything is measured as operations over time. */
  readonly shownAs: 'microseconds per call' | 'operations per second' | 'milliseconds of delay'
  readonly contenders: readonly Contender[]
  readonly comparisons: readonly Comparison[]
}

export interface Contender {
  readonly name: string
  /** Prepares, measures and cleans up, in a process of its own. */
  run(options: RunOptions): Promise<Measured>
}

export interface RunOptions {
  /** 1 for the figures of the README; smaller for a quick look. Scales sizes and durations. */
  readonly scale: number
  /** Where stores are made: a folder on a real disk. */
  readonly folder: string
  /** Of a server whose user may create databases; given where a case of the group `postgres` is run. */
  readonly postgresUrl?: string
}

/** Of speeds: contender / against. */
export interface Comparison {
  readonly contender: string
  readonly against: string
  /** Default: operations per second. Else how quick one was, as the inverse of a delay. */
  readonly by?: keyof Delays
  /** What is expected of it. Absent: shown for what it is. */
  readonly atLeast?: number
}
