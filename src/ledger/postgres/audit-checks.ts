/** What must be true of every row, as queries that find the rows of which it is not: one `example` per violation. */
import { END_STATES, ITEM_STATES } from '../../core/item-state.ts'

export interface AuditCheck {
  readonly name: string
  readonly description: string
  readonly sql: string
}

const ENDS = listed(END_STATES)

export function auditChecks(s: string): AuditCheck[] {
  const item = `coalesce((SELECT id FROM ${s}.runs WHERE no = i.run LIMIT 1), 'run number ' || i.run) || '.' || i.step AS example`
  const itemCheck = (name: string, description: string, violation: string): AuditCheck => {
    return { name, description, sql: `SELECT ${item} FROM ${s}.items i WHERE (${violation})` }
  }
  const needs = `json_array_elements_text(i."after"::json) need (step)
    LEFT JOIN ${s}.items before ON before.run = i.run AND before.tenant = i.tenant AND before.step = need.step`
  const unreleased = `(SELECT count(*) FROM ${needs} WHERE before.released IS NOT TRUE)`
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
      'each item belongs to a run, to its book and to a channel',
      `NOT EXISTS (SELECT 1 FROM ${s}.runs r WHERE r.no = i.run AND r.tenant = i.tenant AND r.book = i.book)
        OR NOT EXISTS (SELECT 1 FROM ${s}.channels c WHERE c.id = i.channel)`,
    ),
    itemCheck('states_known', 'each item is in a known state', `i.state NOT IN (${listed(ITEM_STATES)})`),
    itemCheck(
      'processing_is_leased',
      'an item is being processed exactly while it is leased',
      `(i.state = 'processing') <> (i.lease_until_ms IS NOT NULL)
        OR (i.lease_until_ms IS NOT NULL AND (i.lease_worker IS NULL OR i.lease_from_ms IS NULL OR i.lease_token < 1))`,
    ),
    itemCheck(
      'due_is_claimable',
      'an item has a due time only where it can be claimed, and always where only time holds it',
      `(i.due_at_ms IS NOT NULL
          AND i.state NOT IN ('queued', 'retrying', 'parked', 'unknown_outcome', 'dead_lettered'))
        OR (i.due_at_ms IS NULL AND i.state IN ('queued', 'retrying', 'parked'))`,
    ),
    itemCheck(
      'waiting_for_something',
      'a waiting item waits for as many steps as have not released it, and for at least one',
      `i.state = 'waiting' AND (i.unmet < 1 OR i.unmet <> ${unreleased})`,
    ),
    itemCheck(
      'order_kept',
      'no item was queued before the steps it needs released it',
      `i."after" IS NOT NULL AND i.state NOT IN ('waiting', 'superseded', 'cancelled', 'discarded')
        AND ${unreleased} > 0`,
    ),
    itemCheck(
      'no_waiting_for_ever',
      'no item waits for a step that will never end well',
      `i.state = 'waiting' AND EXISTS (SELECT 1 FROM ${needs}
        WHERE NOT before.released AND before.state IN ('superseded', 'cancelled', 'discarded'))`,
    ),
    itemCheck(
      'released_rightly',
      'an item has released its dependents where it ended well, and else only where it is optional',
      `i.dependents IS NOT NULL AND CASE WHEN i.state IN ('succeeded', 'skipped') THEN NOT i.released
        ELSE i.released AND NOT i.optional END`,
    ),
    itemCheck(
      'ended_at_known',
      'an item has an end time exactly where it has ended',
      `(i.state IN (${ENDS})) <> (i.ended_at_ms IS NOT NULL)`,
    ),
    itemCheck(
      'output_of_success',
      'an item has an output exactly where it succeeded',
      `(i.state = 'succeeded') <> (i.output IS NOT NULL)`,
    ),
    itemCheck(
      'dead_letters_explained',
      'each dead letter and unknown outcome says why, and nothing else does (but one that is being tried again)',
      `CASE WHEN i.state IN ('dead_lettered', 'unknown_outcome')
          THEN i.fingerprint IS NULL OR i.summary IS NULL OR i.hint IS NULL OR i.cause IS NULL OR i.dead_since_ms IS NULL
        ELSE i.fingerprint IS NOT NULL AND i.state <> 'processing' END`,
    ),
    itemCheck(
      'attempts_counted',
      'the number of attempts equals the recorded attempts that count',
      `i.attempts <> (SELECT count(*) FROM ${s}.${own('attempts')} AND h.counts)`,
    ),
    itemCheck(
      'attempts_numbered',
      'the recorded attempts of each item are numbered from 1 without gaps',
      `EXISTS (SELECT 1 FROM (SELECT count(*) AS found, coalesce(max(h.number), 0) AS highest
        FROM ${s}.${own('attempts')}) a WHERE a.found <> i.recorded OR a.highest <> i.recorded)`,
    ),
    itemCheck('edits_counted', 'each edited payload is kept', `i.edits <> (SELECT count(*) FROM ${s}.${own('edits')})`),
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

function listed(states: readonly string[]): string {
  return states.map((state) => `'${state}'`).join(', ')
}
