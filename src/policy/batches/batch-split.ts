/** When a call with several records is refused as a whole: is it one of them that spoils it for all? Pure. */
import type { Failure, FailureClass } from '../../core/failure.ts'

export type SplitDecision =
  /** Too large: both halves are sent (R010, R127). */
  | 'halve'
  /** Nothing was done, and one record may be to blame: search for it by halves. */
  | 'search'
  /** As `search`, but where both halves fail too it is no record's fault. */
  | 'search_once'
  /** Not the records' fault: each is judged by itself. */
  | 'each'

export interface RefusedBatch {
  readonly failure: Failure
  readonly records: number
  readonly repeatable: boolean
  /** A record among them was in a call that failed like this before. */
  readonly again: boolean
}

/** Failures that what was sent can cause. */
const BLAMES_RECORDS: ReadonlySet<FailureClass> = new Set(['validation', 'schema', 'not_found', 'conflict'])

export function decideSplit({ failure, records, repeatable, again }: RefusedBatch): SplitDecision {
  if (records < 2) return 'each'
  const isHarmless = failure.certainty === 'not_sent'
  if (failure.class === 'too_large' && isHarmless) return 'halve'
  if (isHarmless && blamesRecords(failure)) return 'search'
  // A record that makes the API stumble looks like an outage. Once it may be one; the second time it is worth a look.
  return failure.status === 500 && repeatable && again ? 'search_once' : 'each'
}

function blamesRecords({ class: failureClass, status = 0 }: Failure): boolean {
  return BLAMES_RECORDS.has(failureClass) || (failureClass === 'unknown' && status >= 400 && status < 500)
}
