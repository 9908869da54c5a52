/**
 * What must be true of every row, as queries that find the rows of which it is not. Each looks at the runs numbered
 * above ?1 up to ?2, or the items so numbered, and returns one `example` per violation.
 */
import { type AuditCheck, commonViolations, ITEM_RULES } from '../../audit-checks.ts'
import { ITEMS_OF_RUNS } from '../intake/item-numbers.ts'

const ITEM = `coalesce((SELECT id FROM runs WHERE no = i.run), 'run number ' || i.run) || '.' || i.step AS example`
/** The attempt that is kept with its item, as 0 or 1. */
const KEPT = '(i.success_at_ms IS NOT NULL)'
/** Steps before it, for as long as they are of its run: items of a run are numbered in the order of its steps. */
const BEFORE = 'before.no >= i.run AND before.no < i.no AND before.run = i.run AND before.step = need.value'
const UNRELEASED = `(SELECT count(*) FROM json_each(i."after") need
  LEFT JOIN items before ON ${BEFORE} WHERE before.released IS NOT 1)`

const common = commonViolations(UNRELEASED, { own: 'places p WHERE p.item = i.no', places: 'places' })

/** Beside those of every store. */
const DESCRIPTIONS = {
  ...ITEM_RULES,
  success_kept_whole: 'an attempt that is kept with its item is that of its success, with its beginning and its end',
  past_begins_with_a_claim: 'an item that was never claimed has nothing that only a claim can give',
} as const

export const AUDIT_CHECKS: readonly AuditCheck[] = [
  {
    name: 'runs_complete',
    description: 'each run has exactly the items it was accepted with, each step once',
    sql: `SELECT r.id AS example FROM runs r WHERE r.no > ?1 AND r.no <= ?2
      AND r.item_count <> (SELECT count(DISTINCT i.step) FROM items i WHERE ${ITEMS_OF_RUNS} AND i.run = r.no)`,
  },
  itemCheck(
    'items_belong',
    `NOT EXISTS (SELECT 1 FROM runs r WHERE r.no = i.run AND r.book = i.book AND ${ITEMS_OF_RUNS})
      OR NOT EXISTS (SELECT 1 FROM channels c WHERE c.id = i.channel)`,
  ),
  itemCheck('states_known', common.states_known),
  itemCheck(
    'processing_is_leased',
    `(i.state = 'processing') <> (i.lease IS NOT NULL)
      OR (i.lease IS NOT NULL AND (i.lease_token < 1 OR NOT EXISTS (SELECT 1 FROM leases l
        WHERE l.id = i.lease AND l.channel = i.channel AND i.no IN (SELECT value FROM json_each(l.items)))))`,
  ),
  itemCheck('due_is_claimable', common.due_is_claimable),
  itemCheck('waiting_for_something', common.waiting_for_something),
  itemCheck('order_kept', common.order_kept),
  itemCheck('turns_in_order', common.turns_in_order),
  itemCheck('turns_kept', common.turns_kept),
  itemCheck(
    'no_waiting_for_ever',
    `i.state = 'waiting' AND EXISTS (SELECT 1 FROM json_each(i."after") need
      JOIN items before ON ${BEFORE}
      WHERE before.released = 0 AND before.state IN ('superseded', 'cancelled', 'discarded'))`,
  ),
  itemCheck(
    'released_rightly',
    `i.dependents IS NOT NULL AND CASE WHEN i.state IN ('succeeded', 'skipped') THEN i.released = 0
      ELSE i.released = 1 AND i.optional = 0 END`,
  ),
  itemCheck('ended_at_known', common.ended_at_known),
  itemCheck('output_of_success', common.output_of_success),
  itemCheck('dead_letters_explained', common.dead_letters_explained),
  itemCheck(
    'attempts_counted',
    `i.attempts <> ${KEPT} + (SELECT count(*) FROM attempts a WHERE a.item = i.no AND a.counts = 1)`,
  ),
  itemCheck(
    'attempts_numbered',
    `i.recorded <> ${KEPT} + (SELECT count(*) FROM attempts a WHERE a.item = i.no)
      OR i.recorded <> ${KEPT} + (SELECT coalesce(max(number), 0) FROM attempts a WHERE a.item = i.no)`,
  ),
  itemCheck(
    'success_kept_whole',
    `(i.success_from_ms IS NULL) <> (i.success_at_ms IS NULL)
      OR (i.success_at_ms IS NOT NULL AND i.state <> 'succeeded')`,
  ),
  itemCheck(
    'past_begins_with_a_claim',
    `i.lease_token = 0 AND (i.attempts + i.deferrals + i.crashes + i.replays + i.recorded + i.edits + i.slow_lane_tries
        + i.attempts_before_budget > 0 OR i.budget_from_ms IS NOT NULL OR i.first_attempt_at_ms IS NOT NULL
        OR i.cancel_reason IS NOT NULL OR i.fingerprint IS NOT NULL OR i.memo IS NOT NULL)`,
  ),
  itemCheck('edits_counted', 'i.edits <> (SELECT count(*) FROM edits e WHERE e.item = i.no)'),
  ...['attempts', 'edits', 'operations', 'places'].map((table) => ({
    name: `no_orphan_${table}`,
    description: `no row of ${table} is without its item`,
    sql: `SELECT 'item number ' || t.item AS example FROM ${table} t WHERE t.item > ?1 AND t.item <= ?2
      AND NOT EXISTS (SELECT 1 FROM items WHERE no = t.item)`,
  })),
  {
    name: 'failures_known',
    description: 'what an attempt failed with is on record',
    sql: `SELECT 'item number ' || a.item AS example FROM attempts a WHERE a.item > ?1 AND a.item <= ?2
      AND a.failure IS NOT NULL AND NOT EXISTS (SELECT 1 FROM failures WHERE id = a.failure)`,
  },
  {
    name: 'failures_named',
    description: 'no failure is on record that no attempt ended with',
    sql: `SELECT 'failure number ' || f.id AS example FROM failures f WHERE f.id > ?1 AND f.id <= ?2
      AND NOT EXISTS (SELECT 1 FROM attempts WHERE failure = f.id)`,
  },
  {
    name: 'leases_counted',
    description: 'each lease counts the items that belong to it, and there is none without any',
    sql: `SELECT 'lease number ' || l.id AS example FROM leases l WHERE l.id > ?1 AND l.id <= ?2 AND (l.open < 1
      OR l.open <> (SELECT count(*) FROM json_each(l.items) m JOIN items i ON i.no = m.value AND i.lease = l.id))`,
  },
]

function itemCheck(name: keyof typeof DESCRIPTIONS, violation: string): AuditCheck {
  const sql = `SELECT ${ITEM} FROM items i WHERE i.no > ?1 AND i.no <= ?2 AND (${violation})`
  return { name, description: DESCRIPTIONS[name], sql }
}
