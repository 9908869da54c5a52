/** What the simulate command and its child processes say to each other. All of it is plain JSON. */
import type { Violation } from '../../src/testing/simulator/checks/check.ts'
import type { Scenario } from '../../src/testing/simulator/scenario.ts'

export interface Order {
  /** A seed to draw a scenario from, or the scenario itself. */
  readonly scenario: string | Scenario
  /** Run it twice and compare the traces. */
  readonly twice?: boolean
  /** Tell the story: about these items and runs, or about what the violations are about, or all of it. */
  readonly story?: { readonly about: readonly string[] | 'violations' | 'all' }
}

export interface Report {
  readonly seed: string
  /** Such as `3 machines, 2 APIs, 4 steps, 320 items, 41 troubles over 3h`. */
  readonly summary: string
  readonly violations: readonly Violation[]
  readonly traceHash: string
  readonly facts: number
  readonly items: number
  readonly troubles: number
  readonly virtualMs: number
  readonly coverage: Readonly<Record<string, number>>
  /** Real time that the simulation took; of the first run, where there were two. */
  readonly tookMs: number
  /** Whether it was run twice. */
  readonly twice: boolean
  /** Empty unless it was asked for. */
  readonly story: readonly string[]
}

/** Not the engine's doing but the simulator's, as far as anyone can tell: reported as violations of these checks. */
export const SIMULATOR_CHECKS = {
  /** The simulation itself threw. */
  broken: 'the simulation ends',
  /** Real time went by, and no answer came. */
  hung: 'the simulation answers',
  /** The same seed gave two traces. */
  differs: 'the same seed gives the same trace',
} as const

/** A run that gave nothing but the news of its failure. */
export function failedReport(order: Order, check: string, message: string, tookMs: number): Report {
  return {
    seed: seedOf(order),
    summary: '',
    violations: [{ check, message, atMs: 0, itemId: undefined, fact: 0 }],
    traceHash: '',
    facts: 0,
    items: 0,
    troubles: 0,
    virtualMs: 0,
    coverage: {},
    tookMs,
    twice: false,
    story: [],
  }
}

export function seedOf({ scenario }: Order): string {
  return typeof scenario === 'string' ? scenario : scenario.seed
}
