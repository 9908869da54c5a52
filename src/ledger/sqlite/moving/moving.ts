/**
 * The mark of a store that moves to another one. It is in the file itself, as triggers: so it holds at once for every process
 * that has the file open, of older versions too, and costs nothing where nothing moves.
 */
import { moveNotBegun } from '../../move.ts'
import type { MoveMark } from '../../transfer.ts'
import { type Database, prepare } from '../transactions/connection.ts'
import { MOVED } from '../transactions/errors.ts'

interface MarkRow {
  id: string
  target: string
  started_at_ms: number
  finished: number
}

export function readMark(database: Database): MoveMark | undefined {
  const exists = prepare<object>(database, `SELECT 1 FROM sqlite_schema WHERE name = 'moves'`).get()
  const row = exists && prepare<MarkRow>(database, 'SELECT * FROM moves').get()
  return row && { id: row.id, target: row.target, startedAtMs: row.started_at_ms, finished: row.finished === 1 }
}

/** Refuses every write from now on; returns the mark that is there already, if there is one. */
export function closeForWork(database: Database, mark: Omit<MoveMark, 'finished'>): MoveMark {
  return transaction(database, () => {
    const known = readMark(database)
    if (known) return known
    database.exec(`CREATE TABLE moves (
      id TEXT NOT NULL, target TEXT NOT NULL, started_at_ms INTEGER NOT NULL, finished INTEGER NOT NULL) STRICT`)
    prepare(database, 'INSERT INTO moves VALUES (?, ?, ?, 0)').run(mark.id, mark.target, mark.startedAtMs)
    for (const { name, operation, table } of guardsOf(database)) {
      database.exec(`CREATE TRIGGER ${name} BEFORE ${operation} ON ${table}
        BEGIN SELECT RAISE(ABORT, ${quoted(MOVED + mark.target)}); END`)
    }
    return { ...mark, finished: false }
  })
}

export function reopen(database: Database): void {
  transaction(database, () => {
    for (const { name } of guardsOf(database)) database.exec(`DROP TRIGGER IF EXISTS ${name}`)
    database.exec('DROP TABLE IF EXISTS moves')
  })
}

/** @throws HoldfastError `move_not_begun` */
export function finishMove(database: Database, id: string, store: string): void {
  transaction(database, () => {
    if (readMark(database)?.id !== id) throw moveNotBegun(store)
    database.exec('UPDATE moves SET finished = 1')
  })
}

/** One for each way to change each table. */
function guardsOf(database: Database): { name: string; operation: string; table: string }[] {
  const tables = prepare<{ name: string }>(
    database,
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'moves'`,
  ).all()
  return tables.flatMap(({ name: table }) =>
    ['INSERT', 'UPDATE', 'DELETE'].map((operation) => ({ name: `moved_${table}_${operation}`, operation, table })),
  )
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function transaction<Result>(database: Database, work: () => Result): Result {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
