/** From the written limits of an integration to its settings. */
import type { Path, Problem } from './problems.ts'
import { parseRate } from './quantities.ts'
import type { WrittenLimits } from './schema-policies.ts'
import type { LimitSettings } from './settings.ts'

type MergedLimits = WrittenLimits & { readonly concurrency: NonNullable<WrittenLimits['concurrency']> }

const DEFAULT_ADAPTIVE = { min: 1, max: 50 } as const
export const DEFAULT_SLOW_BELOW = { share: 0.1, calls: 10 } as const

/** Settings that contradict each other go into `problems`. */
export function limitSettings(written: MergedLimits, path: Path, problems: Problem[]): LimitSettings {
  const { rate, slowBelow } = written
  const shares = sharesOf(written, path, problems)
  const quota = written.quota === undefined ? undefined : parseRate(written.quota)
  return {
    ...concurrencyOf(written.concurrency, path, problems),
    ...(rate && { rate: parseRate(rate) }),
    // Shares of a day need a day that begins and ends: nobody could say when a sliding one is "used up for today".
    ...(quota && { quota: shares ? { ...quota, calendarMs: quota.perMs } : quota }),
    ...(shares && { shares }),
    ...(slowBelow && {
      slowBelow: {
        share: slowBelow.share ?? DEFAULT_SLOW_BELOW.share,
        calls: slowBelow.calls ?? DEFAULT_SLOW_BELOW.calls,
      },
    }),
  }
}

function concurrencyOf(
  written: MergedLimits['concurrency'],
  path: Path,
  problems: Problem[],
): Pick<LimitSettings, 'concurrency' | 'adaptive'> {
  if (typeof written === 'number') return { concurrency: written }
  const { min = DEFAULT_ADAPTIVE.min, max = Math.max(min, DEFAULT_ADAPTIVE.max) } = written
  if (min > max) problems.push({ path: [...path, 'concurrency'], message: `min (${min}) is more than max (${max})` })
  return { concurrency: max, adaptive: { min } }
}

function sharesOf({ quota, shares, reserve }: MergedLimits, path: Path, problems: Problem[]): LimitSettings['shares'] {
  if (shares === undefined) {
    if (reserve !== undefined) problems.push({ path: [...path, 'reserve'], message: 'expected `shares` beside it' })
    return undefined
  }
  if (quota === undefined) problems.push({ path: [...path, 'shares'], message: 'expected a `quota` to share out' })
  const given = Object.values(shares).reduce((sum, one) => sum + one, 0)
  // Tenths do not add up exactly.
  if (given + (reserve ?? 0) > 1 + 1e-9) {
    const message = `shares and reserve together are ${Math.round((given + (reserve ?? 0)) * 100)} % of the quota: expected at most 100 %`
    problems.push({ path: [...path, 'shares'], message })
  }
  return { byPipeline: shares, reserve: reserve ?? Math.max(0, 1 - given) }
}
