/** What every store says where its file or server refuses something: the same codes and words from every adapter. */
import { HoldfastError, messageOf } from '../core/errors.ts'
import type { Certainty } from '../core/failure.ts'

/** Of one kind of error of a store. */
export interface Explanation {
  readonly code: string
  /** Goes on after "The store ...". */
  readonly what: string
  readonly hint: string
}

export interface StoreFailure {
  readonly store: string
  readonly cause: unknown
  /** What the store itself calls it. */
  readonly details?: Readonly<Record<string, unknown>>
  /** Default `not_sent`. */
  readonly certainty?: Certainty
}

/** An error of a store, understood; `store_failed` where there is no explanation. */
export function explained(explanation: Explanation | undefined, failure: StoreFailure): HoldfastError {
  const { store, cause, details, certainty } = failure
  return new HoldfastError({
    code: explanation?.code ?? 'store_failed',
    class: 'configuration',
    ...(certainty && { certainty }),
    message: `The store ${store} ${explanation?.what ?? 'refused an operation'}: ${messageOf(cause)}`,
    hint: explanation?.hint ?? 'Nothing was changed. If it happens again, report it with this message.',
    details: { store, ...details },
    cause,
  })
}

export function storeClosed(store: string): HoldfastError {
  return new HoldfastError({
    code: 'store_closed',
    class: 'configuration',
    message: `The store ${store} is closed`,
    hint: 'Nothing was changed. Close the store only after everything that uses it has stopped.',
    details: { store },
  })
}

/** `cause` is what the store's guard of transitions raised. */
export function illegalTransition(store: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'illegal_transition',
    class: 'configuration',
    message: `The store ${store} refused an ${messageOf(cause)}`,
    hint: 'The table of legal transitions is in core/item-state.ts. This is a defect of the caller: report it.',
    details: { store },
    cause,
  })
}

export function schemaTooNew(store: string, found: number, known: number): HoldfastError {
  return new HoldfastError({
    code: 'schema_too_new',
    class: 'configuration',
    message: `The store ${store} has schema version ${found}; this Holdfast knows versions up to ${known}`,
    hint: 'A newer Holdfast has written it. Use that version, or a newer one; an older one would not understand the data.',
    details: { store, found, known },
  })
}
