/** What must be true of every row of any SQL store. The adapters add how to find the rows of which it is not. */
import { END_STATES, ITEM_STATES } from '../core/item-state.ts'

export interface AuditCheck {
  readonly name: string
  readonly description: string
  /** Returns one `example` per violation. */
  readonly sql: string
}

/** Of each item, by the name of the check. */
export const ITEM_RULES = {
  items_belong: 'each item belongs to a run, to its book and to a channel',
  states_known: 'each item is in a known state',
  processing_is_leased: 'an item is being processed exactly while it is leased',
  due_is_claimable: 'an item has a due time only where it can be claimed, and always where only time holds it',
  waiting_for_something:
    'a waiting item waits for as many steps as have not released it and for its turn, and for at least one of them',
  turns_in_order:
    'of each entity the first item has its turn, all others wait, and whoever waits for a turn is waiting',
  turns_kept: 'an item of an entity keeps its place until it has ended',
  order_kept: 'no item was queued before the steps it needs released it',
  no_waiting_for_ever: 'no item waits for a step that will never end well',
  released_rightly: 'an item has released its dependents where it ended well, and else only where it is optional',
  ended_at_known: 'an item has an end time exactly where it has ended',
  output_of_success: 'an item has an output exactly where it succeeded',
  dead_letters_explained:
    'each dead letter and unknown outcome says why, and nothing else does (but one that is being tried again)',
  attempts_counted: 'the number of attempts equals the recorded attempts that count',
  attempts_numbered: 'the recorded attempts of each item are numbered from 1 without gaps',
  edits_counted: 'each edited payload is kept',
} as const

/** `own`: the places of item `i`, as `places p WHERE ...`; `places`: the table. */
export interface PlacesOfItem {
  readonly own: string
  readonly places: string
}

/**
 * The violations that every dialect words alike, as conditions over `items i`. `unreleased` is an expression: how many of
 * the steps that the item needs have not released it.
 */
export function commonViolations(unreleased: string, { own, places }: PlacesOfItem) {
  const waits = `(SELECT count(*) FROM ${own} AND p.standing = 'waits')`
  const first = `NOT EXISTS (SELECT 1 FROM ${places} f
    WHERE f.entity = p.entity AND f.place < p.place AND f.standing <> 'passed')`
  return {
    turns_in_order: `EXISTS (SELECT 1 FROM ${own} AND (
        (p.standing = 'waits' AND (i.state <> 'waiting' OR ${first}))
        OR (p.standing = 'has_turn' AND NOT ${first})
        OR (p.standing = 'passed' AND i.state <> 'dead_lettered')))`,
    turns_kept: `(i.ended_at_ms IS NULL AND i.entity IS NOT NULL) <> EXISTS (SELECT 1 FROM ${own})
      OR EXISTS (SELECT 1 FROM ${own} AND p.entity <> i.entity)`,
    states_known: `i.state NOT IN (${listed(ITEM_STATES)})`,
    due_is_claimable: `(i.due_at_ms IS NOT NULL
        AND i.state NOT IN ('queued', 'retrying', 'parked', 'unknown_outcome', 'dead_lettered'))
      OR (i.due_at_ms IS NULL AND i.state IN ('queued', 'retrying', 'parked'))`,
    waiting_for_something: `i.state = 'waiting' AND (i.unmet < 1 OR i.unmet <> ${unreleased} + ${waits})`,
    order_kept: `i."after" IS NOT NULL AND i.state NOT IN ('waiting', 'superseded', 'cancelled', 'discarded')
      AND ${unreleased} > 0`,
    ended_at_known: `(i.state IN (${listed(END_STATES)})) <> (i.ended_at_ms IS NOT NULL)`,
    output_of_success: `(i.state = 'succeeded') <> (i.output IS NOT NULL)`,
    dead_letters_explained: `CASE WHEN i.state IN ('dead_lettered', 'unknown_outcome')
        THEN i.fingerprint IS NULL OR i.summary IS NULL OR i.hint IS NULL OR i.cause IS NULL OR i.dead_since_ms IS NULL
      ELSE i.fingerprint IS NOT NULL AND i.state <> 'processing' END`,
  } as const
}

function listed(states: readonly string[]): string {
  return states.map((state) => `'${state}'`).join(', ')
}
