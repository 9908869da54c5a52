import type { Failure } from './failure.ts'

/** What a strategy returns instead of throwing; errors are thrown only at the public edge. */
export type Outcome<Value, Failed = Failure> = Success<Value> | Unsuccessful<Failed>

export interface Success<Value> {
  readonly ok: true
  readonly value: Value
}

interface Unsuccessful<Failed> {
  readonly ok: false
  readonly failure: Failed
}

export function succeeded<Value>(value: Value): Success<Value> {
  return { ok: true, value }
}

export function failed<Failed>(failure: Failed): Unsuccessful<Failed> {
  return { ok: false, failure }
}
