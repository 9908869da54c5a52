/**
 * Under which key a step is sent, and whether the API still knows it (D19). An item that was never sent, or whose tries all
 * lie within the key's lifetime, costs no look at its history: that is nearly every item.
 */
import type { ClaimedItem, ItemRecord, Ledger } from '../../ledger/port.ts'
import type { RequestPlan } from '../pipelines/catalog.ts'
import { idempotencyKeyOf } from './context.ts'
import type { Memo } from './memo.ts'

export interface KeyUse {
  readonly key: string
  /** Since when it may have been done without our knowing, where the API has forgotten the key by now (D19). */
  readonly forgottenSinceMs?: number
}

export interface KeyFacts {
  readonly item: ClaimedItem
  readonly memo: Memo
  readonly plan: RequestPlan
  readonly nowMs: number
  readonly ledger: Pick<Ledger, 'item'>
}

export async function keyUseOf({ item, memo, plan, nowMs, ledger }: KeyFacts): Promise<KeyUse> {
  const { idempotency, timeouts } = plan.endpoint
  if (idempotency.kind !== 'key' || item.firstAttemptAtMs === undefined) return { key: idempotencyKeyOf(item) }
  // It must still be known when the call arrives, which may be as late as the call may take.
  const knownSinceMs = nowMs + timeouts.totalMs - idempotency.lifetimeMs
  const isOld = item.firstAttemptAtMs <= knownSinceMs
  const mayBeSpent = memo.keySpent || item.lastFailure?.keySpent || item.counters.replays > 0
  if (!isOld && !mayBeSpent) return { key: idempotencyKeyOf(item) }
  const record = await ledger.item(item.itemId)
  if (!record) return { key: idempotencyKeyOf(item) }
  const sinceMs = uncertainSinceMs(record)
  return {
    key: idempotencyKeyOf(item, spentKeysOf(record)),
    ...(sinceMs !== undefined && sinceMs <= knownSinceMs && { forgottenSinceMs: sinceMs }),
  }
}

/**
 * A key is spent once the API repeats a failure from its memory. The step is sent again only where that was looked into, by a
 * look or by a person, or where the failure was a refusal; and then under the next key, since the old one cannot succeed.
 */
function spentKeysOf({ attempts }: ItemRecord): number {
  return attempts.filter(({ failure }) => failure?.keySpent).length
}

/** When a look or a person last found that there is no effect; minus infinity: never. */
export function foundMissingAtMs({ attempts, operations }: ItemRecord): number {
  const looks = attempts.filter(({ outcome }) => outcome === 'not_found').map(({ endedAtMs }) => endedAtMs)
  const verdicts = operations.filter(isVerdict).map(({ atMs }) => atMs)
  return Math.max(Number.NEGATIVE_INFINITY, ...looks, ...verdicts)
}

/** Start of the first try that may have had an effect, after the last time that there was found to be none. */
export function uncertainSinceMs(record: ItemRecord): number | undefined {
  const { attempts } = record
  const settledAtMs = foundMissingAtMs(record)
  const uncertain = attempts.find((attempt) => attempt.endedAtMs > settledAtMs && mayHaveHadEffect(attempt))
  return uncertain?.startedAtMs
}

/** A replay out of this state needs a person's word that it did not happen. */
function isVerdict({ what, note }: ItemRecord['operations'][number]): boolean {
  return what === 'replay' && note.startsWith('was unknown_outcome')
}

function mayHaveHadEffect({ outcome, failure }: ItemRecord['attempts'][number]): boolean {
  if (outcome === 'crashed') return true
  return outcome === 'failed' && failure !== undefined && failure.certainty !== 'not_sent'
}
