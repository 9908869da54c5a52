/**
 * `audit` of the port: counts every row anew and proves what must hold. It goes through the runs slice by slice, so that
 * other work gets its turn in between; all slices see the one snapshot that `database` reads in.
 */
import {
  auditReport,
  type BookRow,
  type Books,
  booksOf,
  type CheckReport,
  type CountRow,
  checkAccepted,
  checkBooked,
  checkReport,
  checkTallies,
  countItems,
  type TallyRow,
} from '../../audit-report.ts'
import type { AuditReport } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import { AUDIT_CHECKS } from './audit-checks.ts'
import { NEEDS_PERSON } from './filter.ts'

interface Slice {
  readonly above: number
  readonly upTo: number
}

const RUNS_PER_SLICE = 1000

/** `pause` is called between any two queries. */
export async function auditStore(database: Database, pause: () => Promise<void> | undefined): Promise<AuditReport> {
  const slices = slicesOf(database)
  const books = readBooks(database)
  const checks: CheckReport[] = [await countSlices(database, books, slices, pause)]
  for (const check of AUDIT_CHECKS) {
    const statement = prepare<{ example: string }>(database, check.sql)
    const found: string[] = []
    for (const { above, upTo } of slices) {
      for (const { example } of statement.all(above, upTo)) found.push(example)
      await pause()
    }
    checks.push(checkReport(check.name, check.description, found))
  }
  checks.push(checkAccepted(books), checkTallies(books), checkFile(database))
  return auditReport(books, checks)
}

/** From below the first to above the last, so that rows whose run is missing are seen too. */
function slicesOf(database: Database): Slice[] {
  const next = prepare<{ no: number }>(
    database,
    `SELECT no FROM runs WHERE no > ? ORDER BY no LIMIT 1 OFFSET ${RUNS_PER_SLICE - 1}`,
  )
  const slices: Slice[] = []
  let above = Number.MIN_SAFE_INTEGER
  for (let row = next.get(above); row; row = next.get(above)) {
    slices.push({ above, upTo: row.no })
    above = row.no
  }
  return [...slices, { above, upTo: Number.MAX_SAFE_INTEGER }]
}

function readBooks(database: Database): Books {
  const books = prepare<BookRow>(database, 'SELECT id, batch, pipeline FROM books')
  const tallies = prepare<TallyRow>(database, 'SELECT book, kind, count FROM tallies')
  return booksOf(books.all(), tallies.all())
}

async function countSlices(
  database: Database,
  books: Books,
  slices: readonly Slice[],
  pause: () => Promise<void> | undefined,
): Promise<CheckReport> {
  const count = prepare<CountRow>(
    database,
    `SELECT i.book, i.state, count(*) AS count, sum(${NEEDS_PERSON}) AS needs_person FROM items i
     WHERE i.no > ? AND i.no <= ? GROUP BY i.book, i.state`,
  )
  const misfits: string[] = []
  for (const { above, upTo } of slices) {
    misfits.push(...countItems(count.all(above, upTo), books))
    await pause()
  }
  return checkBooked(misfits)
}

/** The one part that cannot be sliced: it blocks for as long as SQLite needs to walk the file once. */
function checkFile(database: Database): CheckReport {
  const rows = prepare<{ quick_check: string }>(database, 'PRAGMA quick_check(100)').all()
  const wrong = rows.map((row) => row.quick_check).filter((text) => text !== 'ok')
  return checkReport('file_sound', 'the file itself is sound (SQLite quick_check)', wrong)
}
