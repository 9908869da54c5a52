/** In which worlds records come one by one, soon after each other: what claims that stand are for (decision 035). */
import type { SubmissionPlan } from '../scenario.ts'
import { createChance } from './chance.ts'
import type { Frame } from './frame.ts'

const WORLDS_WITH_SINGLES = 0.3
/** A worker waits for some seconds where work has come from. */
const APART_MS = [2, 2000] as const

/** By chance of its own, and changing nothing else: a world without them is what it was before there were any. */
export function withSingles(
  seed: string,
  { busyMs }: Pick<Frame, 'busyMs'>,
  submissions: readonly SubmissionPlan[],
): readonly SubmissionPlan[] {
  const chance = createChance(`${seed}:singles`)
  if (!chance.yes(WORLDS_WITH_SINGLES)) return submissions
  return submissions
    .flatMap((submission) => {
      const { atMs, records } = submission
      if (!chance.yes(0.7)) return [submission]
      const apartMs = Math.min(chance.magnitude(...APART_MS), (busyMs - atMs) / records.length)
      return records.map((record, index): SubmissionPlan => {
        const laterMs = apartMs * (index + chance.between(0, 0.9))
        return { ...submission, atMs: atMs + Math.floor(laterMs), records: [record] }
      })
    })
    .toSorted((left, right) => left.atMs - right.atMs)
}
