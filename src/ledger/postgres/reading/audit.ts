/** `audit` of the port: counts every row anew and proves what must hold, all in the one snapshot of `session`. */
import {
  auditReport,
  type BookRow,
  booksOf,
  type CountRow,
  checkAccepted,
  checkBooked,
  checkTallies,
  countItems,
  MOST_EXAMPLES,
  type TallyRow,
} from '../../audit-report.ts'
import type { AuditReport } from '../../port.ts'
import { prepare, type Session } from '../transactions/connection.ts'
import { auditChecks } from './audit-checks.ts'
import { NEEDS_PERSON } from './filter.ts'

interface FoundRow {
  violations: number
  examples: string[]
}

interface AuditRow {
  books: BookRow[]
  tallies: TallyRow[]
  items: CountRow[]
  found: FoundRow[]
}

const NOTHING: AuditRow = { books: [], tallies: [], items: [], found: [] }
const NOTHING_FOUND: FoundRow = { violations: 0, examples: [] }

export type Audit = (session: Session) => Promise<AuditReport>

export function prepareAudit(s: string): Audit {
  const described = auditChecks(s)
  // One statement: the round trips would take longer than the work on a small store.
  const readAll = prepare<AuditRow>(
    `SELECT (${listOf(`SELECT id, batch, pipeline FROM ${s}.books ORDER BY id`)}) AS books,
       (${listOf(`SELECT book, kind, sum(count) AS count FROM ${s}.tallies GROUP BY book, kind`)}) AS tallies,
       (${listOf(
         `SELECT i.book, i.state, count(*) AS count, count(*) FILTER (WHERE ${NEEDS_PERSON}) AS needs_person
          FROM ${s}.items i GROUP BY i.book, i.state`,
       )}) AS items,
       (${listOf(described.map(({ sql }) => countedFrom(sql)).join(' UNION ALL '))}) AS found`,
  )

  return async (session) => {
    const [row = NOTHING] = await session.rows(readAll)
    const books = booksOf(row.books, row.tallies)
    const checks = [
      checkBooked(countItems(row.items, books)),
      ...described.map(({ name, description }, index) => ({
        name,
        description,
        ...(row.found[index] ?? NOTHING_FOUND),
      })),
      checkAccepted(books),
      checkTallies(books),
    ]
    return auditReport(books, checks)
  }
}

function listOf(sql: string): string {
  return `SELECT coalesce(json_agg(entry), '[]'::json) FROM (${sql}) entry`
}

/** One row, whatever is found. */
function countedFrom(sql: string): string {
  return `SELECT count(*) AS violations,
      coalesce(json_agg(example) FILTER (WHERE place <= ${MOST_EXAMPLES}), '[]'::json) AS examples
    FROM (SELECT example, row_number() OVER () AS place FROM (${sql}) found) numbered`
}
