/**
 * From a scenario that fails to the smallest one that still does: delta debugging (Zeller and Hildebrandt, 2002) over its parts,
 * then over its numbers. Deterministic: the same scenario and the same verdicts give the same result.
 */
import type { Scenario } from './scenario.ts'
import { PART_LISTS, type PartList, SIMPLIFICATIONS } from './shrink-parts.ts'

export interface ShrinkOptions {
  /** The most candidates that are tried. Default 2000. */
  readonly mostRuns?: number
  /** Ends it with what is smallest by then. */
  readonly signal?: AbortSignal
  /** Called after each candidate. */
  readonly onTried?: (progress: ShrinkProgress) => void
}

export interface ShrinkProgress {
  readonly runs: number
  /** What is being left out: `troubles`, `records`, ... */
  readonly part: string
  readonly scenario: Scenario
}

export interface Shrunk {
  readonly scenario: Scenario
  readonly runs: number
  /** True: no single part can be left out any more. False: it was ended before. */
  readonly smallest: boolean
}

type StillFails = (candidate: Scenario) => Promise<boolean>

const MOST_RUNS = 2000

/** @param stillFails Whether a candidate fails in the way that is looked for. The scenario itself is taken to do so. */
export async function shrinkScenario(
  scenario: Scenario,
  stillFails: StillFails,
  options: ShrinkOptions = {},
): Promise<Shrunk> {
  const { mostRuns = MOST_RUNS, signal, onTried } = options
  let smallest = scenario
  let runs = 0
  let part = ''

  /** Adopts the candidate where it still fails. */
  async function adopts(candidate: Scenario): Promise<boolean> {
    if (runs >= mostRuns || signal?.aborted) throw OUT_OF_RUNS
    runs++
    const fails = await stillFails(candidate)
    if (fails) smallest = candidate
    onTried?.({ runs, part, scenario: smallest })
    return fails
  }

  async function leaveOutParts(list: PartList): Promise<boolean> {
    part = list.name
    const before = sizeOf(smallest)
    await minimize(list.count(smallest), async (kept) => {
      const candidate = list.keep(smallest, kept)
      return candidate !== undefined && (await adopts(candidate))
    })
    return sizeOf(smallest) < before
  }

  async function simplify(): Promise<boolean> {
    part = 'numbers'
    let simpler = false
    for (const candidates of SIMPLIFICATIONS) {
      // Each adopted candidate changes what there is to simplify: asked anew, it stops where nothing is left.
      for (let index = 0; ; ) {
        const candidate = candidates(smallest)[index]
        if (!candidate) break
        if (await adopts(candidate)) simpler = true
        else index++
      }
    }
    return simpler
  }

  async function oncePerPart(): Promise<boolean> {
    let progress = false
    for (const list of PART_LISTS) if (await leaveOutParts(list)) progress = true
    return (await simplify()) || progress
  }

  try {
    while (await oncePerPart());
    return { scenario: smallest, runs, smallest: true }
  } catch (error) {
    if (error !== OUT_OF_RUNS) throw error
    return { scenario: smallest, runs, smallest: false }
  }
}

const OUT_OF_RUNS = new Error('out of runs')

/** Length as JSON: the one measure that every kind of progress lowers. */
function sizeOf(scenario: Scenario): number {
  return JSON.stringify(scenario).length
}

/**
 * Leaves out halves, quarters, ... single parts of `count` parts. `keeps` is told which of the parts that are left to keep (by
 * their present position), and answers whether that still fails; then only those are left.
 */
async function minimize(count: number, keeps: (kept: readonly number[]) => Promise<boolean>): Promise<void> {
  let left = count
  for (let chunk = left; chunk >= 1; chunk = Math.floor(chunk / 2)) {
    for (let start = 0; start < left; ) {
      const end = Math.min(left, start + chunk)
      const kept = Array.from({ length: left }, (_, index) => index).filter((index) => index < start || index >= end)
      if (await keeps(kept)) left = kept.length
      else start = end
    }
  }
}
