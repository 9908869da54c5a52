/**
 * What attempts failed with, each text once: in an outage thousands of attempts end with the same words, which are longer than
 * everything else that is known of them. Writing is to be done inside a transaction.
 */
import type { Failure } from '../../../core/failure.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Failures {
  /** The number of a failure; made where this connection has not written it lately. */
  numberOf(failure: Failure): number
  /** Inside a transaction, of a number that an attempt names. */
  read(number: number): Failure | undefined
  /** Numbers that no attempt names any more are gone, these included. */
  sweep(numbers: Iterable<number>): void
  /** Before the commit: from then on another process may sweep what this one knows. */
  endTransaction(): void
  /** After a rollback: what was written in it does not exist. */
  forget(): void
}

/** Texts that differ in each case (ids, times) would fill the memory: now and then everything is forgotten. */
const MOST_REMEMBERED = 1000

export function prepareFailures(database: Database): Failures {
  const insert = prepare(database, 'INSERT INTO failures (text) VALUES (?)')
  const select = prepare<{ text: string }>(database, 'SELECT text FROM failures WHERE id = ?')
  const remove = prepare(
    database,
    'DELETE FROM failures WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE failure = ?1)',
  )
  const numbers = new Map<string, number>()
  /** Of `numbers`, those seen in the transaction under way. */
  const present = new Set<number>()
  /** Numbers are never used again, so what was read once stays true. */
  const parsed = new Map<number, Failure>()

  function remembered(text: string): number | undefined {
    const number = numbers.get(text)
    if (number === undefined || present.has(number)) return number
    if (!select.get(number)) return undefined
    present.add(number)
    return number
  }

  function write(text: string): number {
    const { lastInsertRowid: number } = insert.run(text)
    if (numbers.size >= MOST_REMEMBERED) numbers.clear()
    numbers.set(text, number)
    present.add(number)
    return number
  }

  return {
    numberOf(failure) {
      const text = JSON.stringify(failure)
      return remembered(text) ?? write(text)
    },
    read(number) {
      const known = parsed.get(number)
      const row = known ? undefined : select.get(number)
      if (!row) return known
      const failure = JSON.parse(row.text) as Failure
      if (parsed.size >= MOST_REMEMBERED) parsed.clear()
      parsed.set(number, failure)
      return failure
    },
    sweep(swept) {
      for (const number of swept) remove.run(number)
      present.clear()
    },
    endTransaction: () => present.clear(),
    forget() {
      numbers.clear()
      present.clear()
      parsed.clear()
    },
  }
}
