/**
 * `audit` of the port: counts every row anew and proves what must hold. It goes through the runs slice by slice, so that
 * other work gets its turn in between; all slices see the one snapshot that `database` reads in.
 */
import { ITEM_STATES, type ItemState } from '../../core/item-state.ts'
import type { AuditReport, Balance } from '../port.ts'
import { AUDIT_CHECKS } from './audit-checks.ts'
import { balanceOf, noStates, type StateCounts } from './balance.ts'
import { type Database, prepare } from './connection.ts'
import { NEEDS_PERSON } from './filter.ts'
import { ACCEPTED, ARCHIVED_PREFIX } from './tally.ts'

type CheckReport = AuditReport['checks'][number]

interface Slice {
  readonly above: number
  readonly upTo: number
}

interface Book {
  readonly batch: string
  readonly pipeline: string
  /** From the tallies. */
  accepted: number
  readonly tallied: StateCounts
  readonly archived: StateCounts
  /** From the rows. */
  readonly counted: StateCounts
  needsPerson: number
}

const RUNS_PER_SLICE = 1000
const MOST_EXAMPLES = 10

/** `pause` is called between any two queries. */
export async function auditStore(database: Database, pause: () => Promise<void> | undefined): Promise<AuditReport> {
  const slices = slicesOf(database)
  const books = readBooks(database)
  const checks: CheckReport[] = [await countItems(database, books, slices, pause)]
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
  const balance = sumOf([...books.values()])
  const batches = [...Map.groupBy(books.values(), (book) => book.batch)]
  return {
    balanced: balance.balanced && checks.every((check) => check.violations === 0),
    balance,
    batches: batches.map(([batch, its]) => ({ batch, ...sumOf(its) })),
    checks,
  }
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

function readBooks(database: Database): Map<number, Book> {
  const rows = prepare<{ id: number; batch: string; pipeline: string }>(database, 'SELECT * FROM books').all()
  const books = new Map(rows.map((row) => [row.id, emptyBook(row.batch, row.pipeline)]))
  const tallies = prepare<{ book: number; kind: string; count: number }>(database, 'SELECT * FROM tallies').all()
  for (const { book: id, kind, count } of tallies) {
    const book = books.get(id) ?? emptyBook(`book ${id}`, '?')
    books.set(id, book)
    if (kind === ACCEPTED) book.accepted = count
    else if (kind.startsWith(ARCHIVED_PREFIX)) book.archived[kind.slice(ARCHIVED_PREFIX.length) as ItemState] = count
    else book.tallied[kind as ItemState] = count
  }
  return books
}

function emptyBook(batch: string, pipeline: string): Book {
  return {
    batch,
    pipeline,
    accepted: 0,
    tallied: noStates(),
    archived: noStates(),
    counted: noStates(),
    needsPerson: 0,
  }
}

async function countItems(
  database: Database,
  books: Map<number, Book>,
  slices: readonly Slice[],
  pause: () => Promise<void> | undefined,
): Promise<CheckReport> {
  const count = prepare<{ book: number; state: ItemState; count: number; needs_person: number }>(
    database,
    `SELECT i.book, i.state, count(*) AS count, sum(${NEEDS_PERSON}) AS needs_person FROM items i
     WHERE i.no > ? AND i.no <= ? GROUP BY i.book, i.state`,
  )
  const unknown: string[] = []
  for (const { above, upTo } of slices) {
    for (const row of count.all(above, upTo)) {
      const book = books.get(row.book)
      if (book && row.state in book.counted) {
        book.counted[row.state] += row.count
        book.needsPerson += row.needs_person
      } else unknown.push(`${row.count} items, book ${row.book}, state ${row.state}`)
    }
    await pause()
  }
  return checkReport('items_booked', 'each item is in a known book and state', unknown)
}

function checkAccepted(books: Map<number, Book>): CheckReport {
  const wrong = [...books.values()].flatMap((book) => {
    const { accepted, states } = sumOf([book])
    const found = Object.values(states).reduce((sum, count) => sum + count, 0)
    return accepted === found ? [] : [`${nameOf(book)}: accepted ${accepted}, found ${found}`]
  })
  return checkReport('accepted_is_found', 'as many items are found, or archived, as were accepted', wrong)
}

function checkTallies(books: Map<number, Book>): CheckReport {
  const wrong = [...books.values()].flatMap((book) =>
    ITEM_STATES.filter((state) => book.tallied[state] !== book.counted[state]).map(
      (state) => `${nameOf(book)}: ${state} tallied ${book.tallied[state]}, found ${book.counted[state]}`,
    ),
  )
  return checkReport('tallies_agree', 'the running tally of each state equals the number of its rows', wrong)
}

/** The one part that cannot be sliced: it blocks for as long as SQLite needs to walk the file once. */
function checkFile(database: Database): CheckReport {
  const rows = prepare<{ quick_check: string }>(database, 'PRAGMA quick_check(100)').all()
  const wrong = rows.map((row) => row.quick_check).filter((text) => text !== 'ok')
  return checkReport('file_sound', 'the file itself is sound (SQLite quick_check)', wrong)
}

function checkReport(name: string, description: string, found: readonly string[]): CheckReport {
  return { name, description, violations: found.length, examples: found.slice(0, MOST_EXAMPLES) }
}

function sumOf(books: readonly Book[]): Balance {
  const states = noStates()
  for (const book of books) {
    for (const state of ITEM_STATES) states[state] += book.counted[state] + book.archived[state]
  }
  const accepted = books.reduce((sum, book) => sum + book.accepted, 0)
  const needsPerson = books.reduce((sum, book) => sum + book.needsPerson, 0)
  return balanceOf(accepted, states, needsPerson)
}

function nameOf(book: Book): string {
  return `batch "${book.batch}", pipeline "${book.pipeline}"`
}
