/** What an audit finds, from rows that a SQL store has counted anew. */
import { ITEM_STATES, type ItemState } from '../core/item-state.ts'
import { ACCEPTED, ARCHIVED_PREFIX, balanceOf, noStates, type StateCounts } from './counts.ts'
import type { AuditReport, Balance } from './port.ts'

export type CheckReport = AuditReport['checks'][number]

export interface BookRow {
  id: number
  batch: string
  pipeline: string
}

export interface TallyRow {
  book: number
  kind: string
  count: number
}

/** Items of one book in one state. */
export interface CountRow {
  book: number
  state: ItemState
  count: number
  needs_person: number
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

/** By their ids. */
export type Books = Map<number, Book>

export const MOST_EXAMPLES = 10

export function booksOf(rows: readonly BookRow[], tallies: readonly TallyRow[]): Books {
  const books: Books = new Map(rows.map((row) => [row.id, emptyBook(row.batch, row.pipeline)]))
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

/** Adds the items to their books; returns those that fit into none, for {@link checkBooked}. */
export function countItems(rows: readonly CountRow[], books: Books): string[] {
  const misfits: string[] = []
  for (const row of rows) {
    const book = books.get(row.book)
    if (book && row.state in book.counted) {
      book.counted[row.state] += row.count
      book.needsPerson += row.needs_person
    } else misfits.push(`${row.count} items, book ${row.book}, state ${row.state}`)
  }
  return misfits
}

export function checkBooked(misfits: readonly string[]): CheckReport {
  return checkReport('items_booked', 'each item is in a known book and state', misfits)
}

export function checkAccepted(books: Books): CheckReport {
  const wrong = [...books.values()].flatMap((book) => {
    const { accepted, states } = sumOf([book])
    const found = Object.values(states).reduce((sum, count) => sum + count, 0)
    return accepted === found ? [] : [`${nameOf(book)}: accepted ${accepted}, found ${found}`]
  })
  return checkReport('accepted_is_found', 'as many items are found, or archived, as were accepted', wrong)
}

export function checkTallies(books: Books): CheckReport {
  const wrong = [...books.values()].flatMap((book) =>
    ITEM_STATES.filter((state) => book.tallied[state] !== book.counted[state]).map(
      (state) => `${nameOf(book)}: ${state} tallied ${book.tallied[state]}, found ${book.counted[state]}`,
    ),
  )
  return checkReport('tallies_agree', 'the running tally of each state equals the number of its rows', wrong)
}

export function checkReport(name: string, description: string, found: readonly string[]): CheckReport {
  return { name, description, violations: found.length, examples: found.slice(0, MOST_EXAMPLES) }
}

export function auditReport(books: Books, checks: readonly CheckReport[]): AuditReport {
  const balance = sumOf([...books.values()])
  const batches = [...Map.groupBy(books.values(), (book) => book.batch)]
  return {
    balanced: balance.balanced && checks.every((check) => check.violations === 0),
    balance,
    batches: batches.map(([batch, its]) => ({ batch, ...sumOf(its) })),
    checks,
  }
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
