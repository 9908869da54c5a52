/** What must be true of every row, as queries that find the rows of which it is not: one `example` per violation. */
import { type AuditCheck, commonViolations, ITEM_RULES } from '../audit-checks.ts'

export function auditChecks(s: string): AuditCheck[] {
  const item = `coalesce((SELECT id FROM ${s}.runs WHERE no = i.run LIMIT 1), 'run number ' || i.run) || '.' || i.step AS example`
  const itemCheck = (name: keyof typeof ITEM_RULES, violation: string): AuditCheck => {
    return { name, description: ITEM_RULES[name], sql: `SELECT ${item} FROM ${s}.items i WHERE (${violation})` }
  }
  const needs = `json_array_elements_text(i."after"::json) need (step)
    LEFT JOIN ${s}.items before ON before.run = i.run AND before.tenant = i.tenant AND before.step = need.step`
  const unreleased = `(SELECT count(*) FROM ${needs} WHERE before.released IS NOT TRUE)`
  const common = commonViolations(unreleased)
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
        OR (i.lease_until_ms IS NOT NULL AND (i.lease_worker IS NULL OR i.lease_from_ms IS NULL OR i.lease_token < 1))`,
    ),
    itemCheck('due_is_claimable', common.due_is_claimable),
    itemCheck('waiting_for_something', common.waiting_for_something),
    itemCheck('order_kept', common.order_kept),
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
    itemCheck('attempts_counted', `i.attempts <> (SELECT count(*) FROM ${s}.${own('attempts')} AND h.counts)`),
    itemCheck(
      'attempts_numbered',
      `EXISTS (SELECT 1 FROM (SELECT count(*) AS found, coalesce(max(h.number), 0) AS highest
        FROM ${s}.${own('attempts')}) a WHERE a.found <> i.recorded OR a.highest <> i.recorded)`,
    ),
    itemCheck('edits_counted', `i.edits <> (SELECT count(*) FROM ${s}.${own('edits')})`),
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
