/**
 * A quota shared out between pipelines (R051): each is a limit of its own beside the quota, and `reserve` is the share of all calls that no
 * pipeline with a share makes. So retries or a flood of one cannot use up the day of the others.
 *
 * The rule of lending: in the last quarter of the window, what others have not used is lent, little by little. At its beginning all that
 * others have not used is still kept for them, at 7/8 of the window half of it, at its end nothing.
 */
import type { LimitSettings, RateSettings } from '../../config/settings.ts'
import { formatDuration } from '../../core/duration.ts'

const LENDS_FROM = 0.75
/** While it is lent, it is worth asking again this often until the window ends. */
const ASK_AGAIN_SHARE = 0.1
const REST = 'share'

/** The limits of the shares, by kind. */
export function shareRates({ quota, shares }: LimitSettings): Readonly<Record<string, RateSettings>> {
  if (!quota || !shares) return {}
  const rate = (share: number): RateSettings => ({ ...quota, limit: Math.floor(quota.limit * share + 1e-6) })
  const named = Object.entries(shares.byPipeline).map(([pipeline, share]) => [kindOf(pipeline), rate(share)])
  return { ...Object.fromEntries(named), [REST]: rate(shares.reserve) }
}

/** Which share a call uses; `undefined` where the quota is not shared out. */
export function shareKind({ quota, shares }: LimitSettings, pipeline: string | undefined): string | undefined {
  if (!quota || !shares) return undefined
  return pipeline !== undefined && Object.hasOwn(shares.byPipeline, pipeline) ? kindOf(pipeline) : REST
}

function kindOf(pipeline: string): string {
  return `${REST}:${pipeline}`
}

export interface Lending {
  readonly settings: LimitSettings
  readonly kind: string
  /** How many calls of the window count, as far as is known: of `quota` and of each share. */
  readonly usedOf: (kind: string) => number
  readonly nowMs: number
}

/** May a pipeline that has used its share go on with what others leave? */
export function isLent({ settings, kind, usedOf, nowMs }: Lending): boolean {
  const { quota } = settings
  if (!quota) return false
  const passed = (nowMs - windowBeginMs(quota, nowMs)) / quota.perMs
  if (passed < LENDS_FROM) return false
  const keptShare = (1 - passed) / (1 - LENDS_FROM)
  let unused = 0
  for (const [other, rate] of Object.entries(shareRates(settings))) {
    if (other !== kind) unused += Math.max(0, rate.limit - usedOf(other))
  }
  return quota.limit - usedOf('quota') > unused * keptShare
}

/** When a pipeline that has used its share should ask again. */
export function askAgainMs({ quota }: LimitSettings, nowMs: number): number {
  if (!quota) return nowMs
  const beginMs = windowBeginMs(quota, nowMs)
  const lendsFromMs = beginMs + quota.perMs * LENDS_FROM
  if (nowMs < lendsFromMs) return lendsFromMs
  const leftMs = beginMs + quota.perMs - nowMs
  return nowMs + Math.max(1, Math.min(leftMs, Math.max(leftMs, quota.perMs / 10) * ASK_AGAIN_SHARE))
}

export function shareReason(settings: LimitSettings, kind: string): string {
  const { limit = 0, perMs = 0 } = shareRates(settings)[kind] ?? {}
  const who =
    kind === REST ? 'calls of pipelines without a share have' : `pipeline "${kind.slice(REST.length + 1)}" has`
  const lent = 'what others leave is lent in the last quarter of the window'
  return `${who} used the share of ${limit} of ${settings.quota?.limit ?? 0} calls per ${formatDuration(perMs)} (R051); ${lent}`
}

function windowBeginMs({ calendarMs, perMs }: RateSettings, nowMs: number): number {
  const windowMs = calendarMs ?? perMs
  return Math.floor(nowMs / windowMs) * windowMs
}
