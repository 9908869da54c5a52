/** `failures` of the port. */
import type { FailureTally } from '../../port.ts'
import { MOST_TALLIES, type TallyRow, toTally } from '../../tallies.ts'
import { type Database, prepareAgain } from '../transactions/connection.ts'

export function listFailures(database: Database, sinceMs: number): FailureTally[] {
  const rows = prepareAgain<TallyRow>(
    database,
    // Counted by number of failure first, so that each text is parsed once. Beside max(), bare columns are of its row.
    `WITH counted AS (
       SELECT a.failure, i.channel, a.ended_at_ms / 86400000 AS day, count(*) AS count, min(a.ended_at_ms) AS first_ms,
         max(a.ended_at_ms) AS last_ms, i.run, i.step
       FROM attempts a JOIN items i ON i.no = a.item
       WHERE a.failure IS NOT NULL AND a.ended_at_ms >= ?
       GROUP BY a.failure, i.channel, day)
     SELECT c.lane, c.endpoint, counted.day, sum(counted.count) AS count, min(counted.first_ms) AS first_ms,
       max(counted.last_ms) AS last_ms, r.id || '.' || counted.step AS example, f.text AS failure
     FROM counted JOIN failures f ON f.id = counted.failure JOIN channels c ON c.id = counted.channel
       JOIN runs r ON r.no = counted.run
     GROUP BY c.lane, c.endpoint, counted.day, f.text ->> 'rule', f.text ->> 'code', f.text ->> 'status'
     ORDER BY count DESC, last_ms DESC LIMIT ${MOST_TALLIES}`,
  ).all(sinceMs)
  return rows.map(toTally)
}
