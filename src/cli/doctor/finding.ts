/** One line of `holdfast doctor`. */
import { isHoldfastError, messageOf } from '../../core/errors.ts'

export interface Finding {
  readonly verdict: 'ok' | 'attention' | 'broken'
  readonly check: string
  readonly what: string
  /** What to do about it. */
  readonly hint?: string
}

export function ok(check: string, what: string, hint?: string): Finding {
  return { verdict: 'ok', check, what, ...(hint !== undefined && { hint }) }
}

export function attention(check: string, what: string, hint: string): Finding {
  return { verdict: 'attention', check, what, hint }
}

export function broken(check: string, what: string, hint: string): Finding {
  return { verdict: 'broken', check, what, hint }
}

export function failed(check: string, error: unknown): Finding {
  const hint = isHoldfastError(error) ? error.hint : ''
  return { verdict: 'broken', check, what: messageOf(error), ...(hint && { hint }) }
}

/** Either end of a move that has not finished. */
export function movingOn(what: string): Finding {
  return attention(
    'move',
    `${what}: it is closed for work`,
    'Run the same `holdfast migrate --from --to` again, which goes on where it is; or give it up with --abort.',
  )
}
