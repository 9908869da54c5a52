import { initial } from './0001-initial.ts'
import { actions } from './0002-actions.ts'
import { jobs } from './0003-jobs.ts'
import { order } from './0004-order.ts'
import { standingClaims } from './0005-standing-claims.ts'

export interface Migration {
  /** The schema version it leads to; versions are counted from 1 without gaps. */
  readonly version: number
  readonly name: string
  /** For a schema, given as a quoted identifier. */
  readonly sql: (schema: string) => string
}

/** In order. A migration that was released is never changed: a correction is a new one. */
export const MIGRATIONS: readonly Migration[] = [initial, actions, jobs, order, standingClaims]
