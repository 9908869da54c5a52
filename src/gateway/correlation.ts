/** The id that an answer carries, and the run, its log lines and the calls to the vendor with it. */
import { givenCorrelation } from '../core/correlation.ts'
import type { RequestHead } from './head.ts'

export interface Correlation {
  readonly id: string
  /** False: made here, and of no use to name a run by. */
  readonly isGiven: boolean
}

export function correlationOf({ header }: RequestHead, newId: () => string): Correlation {
  const given = givenCorrelation(header)
  return given === undefined ? { id: newId(), isGiven: false } : { id: given, isGiven: true }
}
