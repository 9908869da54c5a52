/** What must be true of every row, as queries that find the rows of which it is not: one `example` per violation. */
import { type AuditCheck, commonViolations, ITEM_RULES } from '../../audit-checks.ts'

/** The attempt that is kept with its item, as 0 or 1. */
const KEPT = '(i.success_at_ms IS NOT NULL)::int'

/** Beside those of every store. */
const RULES = {
  ...ITEM_RULES,
  success_kept_whole: 'an attempt that is kept with its item is that of its success, with its beginning and its end',
  past_begins_with_a_claim: 'an item that was never claimed has nothing that only a claim can give',
} as const

export function auditChecks(s: string): AuditCheck[] {
  const item = `coalesce((SELECT id FROM ${s}.runs WHERE no = i.run LIMIT 1), 'run number ' || i.run) || '.' || i.step AS example`
  const itemCheck = (name: keyof typeof RULES, violation: string): AuditCheck => {
    return { name, description: RULES[name], sql: `SELECT ${item} FROM ${s}.items i WHERE (${violation})` }
  }
  const needs = `json_array_elements_text(i."after"::json) need (step)
    LEFT JOIN ${s}.items before ON before.run = i.run AND before.tenant = i.tenant AND before.step = need.step`
  const unreleased = `(SELECT count(*) FROM ${needs} WHERE before.released IS NOT TRUE)`
  const common = commonViolations(unreleased, {
    own: `${s}.places p WHERE p.run = i.run AND p.step = i.step AND p.tenant = i.tenant`,
    places: `${s}.places`,
  })
  const own = (table: string): string => `${table} h WHERE h.run = i.run AND h.step = i.step AND h.tenant = i.tenant`
  return [
    {
      name: 'runs_complete',
      description: 'each run has exactly the items it was accepted with',
      sql: `SELECT r.id AS example FROM ${s}.runs r
        WHERE r.item_count <> (SELECT count(*) FROM ${s}.items i WHERE i.run = r.no AND i.tenant = r.tenant)`,
    },
    itemCheck(
      'items_belong',
      `NOT EXISTS (SELECT 1 FROM ${s}.runs r WHERE r.no = i.run AND r.tenant = i.tenant AND r.book = i.book)
        OR NOT EXISTS (SELECT 1 FROM ${s}.channels c WHERE c.id = i.channel)`,
    ),
    itemCheck('states_known', common.states_known),
    itemCheck(
      'processing_is_leased',
      `(i.state = 'processing') <> (i.lease_until_ms IS NOT NULL)
        OR (i.lease_until_ms IS NOT NULL AND (i.lease_worker IS NULL OR i.lease_from_ms IS NULL OR i.lease_token < 1
          OR NOT EXISTS (SELECT 1 FROM ${s}.leases l WHERE l.channel = i.channel AND l.slot = i.lease
            AND l.until_ms <= i.lease_until_ms AND i.run = ANY (l.runs))))`,
    ),
    itemCheck('due_is_claimable', common.due_is_claimable),
    itemCheck('waiting_for_something', common.waiting_for_something),
    itemCheck('order_kept', common.order_kept),
    itemCheck('turns_in_order', common.turns_in_order),
    itemCheck('turns_kept', common.turns_kept),
    itemCheck(
      'no_waiting_for_ever',
      `i.state = 'waiting' AND EXISTS (SELECT 1 FROM ${needs}
        WHERE NOT before.released AND before.state IN ('superseded', 'cancelled', 'discarded'))`,
    ),
    itemCheck(
      'released_rightly',
      `i.dependents IS NOT NULL AND CASE WHEN i.state IN ('succeeded', 'skipped') THEN NOT i.released
        ELSE i.released AND NOT i.optional END`,
    ),
    itemCheck('ended_at_known', common.ended_at_known),
    itemCheck('output_of_success', common.output_of_success),
    itemCheck('dead_letters_explained', common.dead_letters_explained),
    itemCheck(
      'attempts_counted',
      `i.attempts <> ${KEPT} + (SELECT count(*) FROM ${s}.${own('attempts')} AND h.counts)`,
    ),
    itemCheck(
      'attempts_numbered',
      `EXISTS (SELECT 1 FROM (SELECT count(*) AS found, coalesce(max(h.number), 0) AS highest
        FROM ${s}.${own('attempts')}) a WHERE a.found + ${KEPT} <> i.recorded OR a.highest + ${KEPT} <> i.recorded)`,
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
    itemCheck('edits_counted', `i.edits <> (SELECT count(*) FROM ${s}.${own('edits')})`),
    {
      name: 'leases_counted',
      description: 'each lease counts the items that belong to it',
      sql: `SELECT 'lease ' || l.slot || ' of channel ' || l.channel AS example FROM ${s}.leases l
        WHERE l.open <> (SELECT count(*) FROM ${s}.items i
          WHERE i.run = ANY (l.runs) AND i.channel = l.channel AND i.lease = l.slot AND i.state = 'processing')`,
    },
    {
      name: 'no_orphan_places',
      description: 'no row of places is without its item',
      sql: `SELECT ${item} FROM ${s}.places i WHERE NOT EXISTS (SELECT 1 FROM ${s}.items own
        WHERE own.run = i.run AND own.step = i.step AND own.tenant = i.tenant)`,
    },
    // The history of a run that was forgotten stays until its partition is dropped.
    ...['attempts', 'edits', 'operations'].map((table) => ({
      name: `no_orphan_${table}`,
      description: `no row of ${table} is without its item, unless its run was forgotten`,
      sql: `SELECT ${item} FROM ${s}.${table} i
        WHERE EXISTS (SELECT 1 FROM ${s}.runs r WHERE r.no = i.run AND r.tenant = i.tenant)
          AND NOT EXISTS (SELECT 1 FROM ${s}.items own
            WHERE own.run = i.run AND own.step = i.step AND own.tenant = i.tenant)`,
    })),
  ]
}
