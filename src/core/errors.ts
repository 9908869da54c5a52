import type { Certainty, Failure, FailureClass } from './failure.ts'

/** Survives duplicate installs of the package, where `instanceof` does not. */
const BRAND = Symbol.for('holdfast.error')

export interface HoldfastErrorOptions {
  /** Stable, lower_snake_case or a network code; part of the public contract. */
  code: string
  class: FailureClass
  /** For the log; never contains secrets. */
  message: string
  /** Safe to show to an end user. Default: a sentence that tells nothing about the inside. */
  userMessage?: string
  /** Default `not_sent`: most of our own errors happen before anything left. */
  certainty?: Certainty
  /** What to do about it. */
  hint?: string
  cause?: unknown
  /** The understood upstream failure, where there is one. */
  failure?: Failure
  /** Where it happened and what was wrong, as data: `{ path, expected, received, file, line, ... }`. */
  details?: Record<string, unknown>
}

/** Every error that Holdfast throws on purpose. Match on `code`, or use {@link isHoldfastError}. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError'
  readonly code: string
  readonly class: FailureClass
  readonly certainty: Certainty
  readonly userMessage: string
  readonly hint: string
  readonly failure: Failure | undefined
  readonly details: Record<string, unknown>

  constructor(options: HoldfastErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    Object.defineProperty(this, BRAND, { value: true })
    this.code = options.code
    this.class = options.class
    this.certainty = options.certainty ?? 'not_sent'
    this.userMessage = options.userMessage ?? 'This could not be done right now.'
    this.hint = options.hint ?? ''
    this.failure = options.failure
    this.details = options.details ?? {}
  }

  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      class: this.class,
      certainty: this.certainty,
      message: this.message,
      hint: this.hint,
      details: this.details,
    }
  }
}

/** True for errors of any copy of this package in the process. */
export function isHoldfastError(value: unknown): value is HoldfastError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true
}

/** The error a caller gets when a call failed for good: carries the whole understood failure. */
export function errorFromFailure(failure: Failure, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: failure.code,
    class: failure.class,
    certainty: failure.certainty,
    message: failure.message,
    userMessage: failure.userMessage,
    hint: failure.hint,
    failure,
    cause,
  })
}

/** Wrong use or set-up of Holdfast: thrown at once, never retried. */
export function configurationError(
  code: string,
  message: string,
  hint: string,
  details?: Record<string, unknown>,
  cause?: unknown,
): HoldfastError {
  return new HoldfastError({ code, class: 'configuration', message, hint, ...(details && { details }), cause })
}

/** The text of anything that was thrown, without assuming that it is an Error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name
  if (typeof thrown === 'string') return thrown
  try {
    return JSON.stringify(thrown) ?? String(thrown)
  } catch {
    return String(thrown)
  }
}
