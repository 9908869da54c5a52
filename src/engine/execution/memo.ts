/** What the engine remembers with an item between tries; stored in the ledger, so that it survives restarts. */
import type { Failure, FailureClass } from '../../core/failure.ts'

export interface Memo {
  /** How often in a row the same class of failure came. */
  readonly failureClass?: FailureClass
  readonly inARow?: number
  readonly previousDelayMs?: number
  /** Looks for a lost effect that found nothing. */
  readonly looks?: number
  /** The API has stored a failure under a key of this step (idempotency-key.ts). */
  readonly keySpent?: boolean
  /** It may have happened: whoever claims the item next looks for the effect before anything is sent (rule 3). */
  readonly unresolved?: boolean
  /** The most records it may share a call with, itself included: one of a larger call was refused with all others. */
  readonly together?: number
}

export function parseMemo(text: string | undefined): Memo {
  return text === undefined ? {} : (JSON.parse(text) as Memo)
}

/** The memo after one more failure. */
export function rememberFailure(memo: Memo, failure: Failure): Memo & { inARow: number } {
  const inARow = memo.failureClass === failure.class ? (memo.inARow ?? 0) + 1 : 1
  return { ...memo, failureClass: failure.class, inARow, ...(failure.keySpent && { keySpent: true }) }
}
