import type { Failure } from '../core/failure.ts'

/** Who or what can fix it (D23): outage causes redrive themselves, the others wait for a person. */
export type DeadLetterCause = 'outage' | 'data' | 'schema' | 'credentials' | 'configuration' | 'unknown'

export interface DeadLetterText {
  readonly fingerprint: string
  readonly summary: string
  readonly hint: string
  readonly cause: DeadLetterCause
}

/**
 * What a dead letter says to people (R130-R134). The fingerprint is equal for the same root cause: integration or pipeline
 * step, class, code and blamed subject, never values, ids or times.
 */
export declare function describeDeadLetter(
  failure: Failure,
  where: { readonly integration: string; readonly endpoint: string; readonly pipeline: string; readonly step: string },
  reason: string,
): DeadLetterText

/** When the slow lane tries next: 10 tries over 3 days, growing, outage causes only (D09, D23). `undefined`: never. */
export declare function slowLaneDelayMs(
  cause: DeadLetterCause,
  triesSoFar: number,
  settings: { readonly maxTries: number; readonly spanMs: number },
): number | undefined
