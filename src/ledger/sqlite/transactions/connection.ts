/** The only file that knows the driver: `node:sqlite`, with typed rows on top. */
import * as sqlite from 'node:sqlite'

export type Database = sqlite.DatabaseSync

/** Node's documentation announces `Database` as the later name of the class. */
const DatabaseClass = (sqlite as { Database?: typeof sqlite.DatabaseSync }).Database ?? sqlite.DatabaseSync

export type SqlValue = string | number | null

/** A prepared statement, typed by what it is known to return. */
export interface Statement<Row = never> {
  get(...values: SqlValue[]): Row | undefined
  all(...values: SqlValue[]): Row[]
  iterate(...values: SqlValue[]): IterableIterator<Row>
  run(...values: SqlValue[]): { readonly changes: number; readonly lastInsertRowid: number }
}

export interface ConnectionOptions {
  /** How long one statement may block the thread while another connection writes. */
  readonly busyWaitMs: number
  readonly readOnly?: boolean
}

export function connect(path: string, options: ConnectionOptions): Database {
  return new DatabaseClass(path, { timeout: options.busyWaitMs, readOnly: options.readOnly ?? false })
}

/** Of connections that several ledgers share: statements by their SQL, and by the form of their rows. */
const shared = new WeakMap<Database, Map<string, unknown>>()

/** From now on equal statements of this connection are prepared once, for all who ask for them. */
export function shareStatements(database: Database): void {
  shared.set(database, new Map())
}

export function prepare<Row = never>(database: Database, sql: string): Statement<Row> {
  return sharedOr(database, sql, () => database.prepare(sql) as unknown as Statement<Row>)
}

function sharedOr<Prepared>(database: Database, name: string, make: () => Prepared): Prepared {
  const known = shared.get(database)
  if (!known) return make()
  const statement = known.get(name) ?? make()
  known.set(name, statement)
  return statement as Prepared
}

/** As {@link prepare}, for hot queries of many columns: rows are plain arrays in the order of the columns. */
export function prepareTuples<Tuple extends readonly unknown[]>(database: Database, sql: string): Statement<Tuple> {
  return sharedOr(database, `tuples: ${sql}`, () => {
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    return statement as unknown as Statement<Tuple>
  })
}

/** Questions of changing shape: those that are asked again and again are prepared once. */
const MOST_REMEMBERED = 50
const remembered = new WeakMap<Database, Map<string, unknown>>()

/** As {@link prepare}, for SQL that is put together anew each time. */
export function prepareAgain<Row = never>(database: Database, sql: string): Statement<Row> {
  const known = remembered.get(database) ?? new Map<string, unknown>()
  remembered.set(database, known)
  const statement = known.get(sql) ?? prepare(database, sql)
  if (known.size >= MOST_REMEMBERED && !known.has(sql)) known.clear()
  known.set(sql, statement)
  return statement as Statement<Row>
}
