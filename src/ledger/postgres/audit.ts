/** `audit` of the port: counts every row anew and proves what must hold, all in the one snapshot of `session`. */
import { ITEM_STATES, type ItemState } from '../../core/item-state.ts'
import { balanceOf, noStates, type StateCounts } from '../counts.ts'
import type { AuditReport, Balance } from '../port.ts'
import { auditChecks } from './audit-checks.ts'
import { ACCEPTED, ARCHIVED_PREFIX } from './balance.ts'
import { prepare, type Session } from './connection.ts'
import { NEEDS_PERSON } from './filter.ts'

type CheckReport = AuditReport['checks'][number]

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

interface BookRow {
  id: number
  batch: string
  pipeline: string
}

interface TallyRow {
  book: number
  kind: string
  count: number
}

interface CountRow {
  book: number
  state: ItemState
  count: number
  needs_person: number
}

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

const MOST_EXAMPLES = 10
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
    const booked = countItems(row.items, books)
    const checks = [
      booked,
      ...described.map(({ name, description }, index) => ({
        name,
        description,
        ...(row.found[index] ?? NOTHING_FOUND),
      })),
      checkAccepted(books),
      checkTallies(books),
    ]
    const balance = sumOf([...books.values()])
    const batches = [...Map.groupBy(books.values(), (book) => book.batch)]
    return {
      balanced: balance.balanced && checks.every((check) => check.violations === 0),
      balance,
      batches: batches.map(([batch, its]) => ({ batch, ...sumOf(its) })),
      checks,
    }
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

function booksOf(rows: readonly BookRow[], tallies: readonly TallyRow[]): Map<number, Book> {
  const books = new Map(rows.map((row) => [row.id, emptyBook(row.batch, row.pipeline)]))
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

function countItems(rows: readonly CountRow[], books: Map<number, Book>): CheckReport {
  const unknown: string[] = []
  for (const row of rows) {
    const book = books.get(row.book)
    if (book && row.state in book.counted) {
      book.counted[row.state] += row.count
      book.needsPerson += row.needs_person
    } else unknown.push(`${row.count} items, book ${row.book}, state ${row.state}`)
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
