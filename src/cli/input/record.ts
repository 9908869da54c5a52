/** What a reader of files gives: records, and the places where there was none. */

export type InputEntry = InputRecord | BadRecord

export interface InputRecord {
  readonly kind: 'record'
  /** Where it begins, from 1. */
  readonly line: number
  readonly value: unknown
}

export interface BadRecord {
  readonly kind: 'bad'
  readonly line: number
  readonly reason: string
  /** As it stands in the file, where it can be shown. */
  readonly text?: string
}
