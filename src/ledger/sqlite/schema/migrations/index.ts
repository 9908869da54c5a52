import { initial } from './0001-initial.ts'
import { leanRows } from './0002-lean-rows.ts'
import { actions } from './0003-actions.ts'
import { jobs } from './0004-jobs.ts'
import { order } from './0005-order.ts'

export interface Migration {
  /** The schema version it leads to; versions are counted from 1 without gaps. */
  readonly version: number
  readonly name: string
  readonly sql: string
}

/** In order. A migration that was released is never changed: a correction is a new one. */
export const MIGRATIONS: readonly Migration[] = [initial, leanRows, actions, jobs, order]
