/** Statements, typed by what they are known to return, and the one place where values cross to PostgreSQL and back. */
import { sha256Hex } from '../../../core/json.ts'
import type { PostgresClient, PostgresQuery, PostgresResult } from './driver.ts'
import { inTurn } from './in-turn.ts'

export type Scalar = string | number | boolean | null
export type SqlValue = Scalar | readonly Scalar[]

declare const ROW: unique symbol

/** SQL text with a name, under which a connection keeps its plan. */
export interface Statement<Row> {
  readonly text: string
  readonly name: string
  readonly [ROW]?: Row
}

export function prepare<Row = never>(text: string): Statement<Row> {
  return { text, name: `hf_${sha256Hex(text).slice(0, 24)}` }
}

/** What SQL is run on: inside a transaction, or alone. */
export interface Session {
  rows<Row>(statement: Statement<Row>, values?: readonly SqlValue[]): Promise<Row[]>
  /** As {@link rows}, for text that is made for one call: its plan is not kept. */
  once<Row>(text: string, values?: readonly SqlValue[]): Promise<Row[]>
  /** One or more commands without values; returns what the last one says that it did. */
  run(commands: string): Promise<string>
  /** What was asked so far leaves at once, so that the server works while more of it is put together here. */
  sendNow(): void
}

/** Something that the driver or the server refused; `state` is the SQLSTATE, absent where the connection failed. */
export class QueryFailed extends Error {
  override readonly name = 'QueryFailed'
  readonly state: string | undefined

  constructor(cause: unknown) {
    super(textOf(cause), { cause })
    this.state = sqlStateOf(cause)
  }
}

export interface SessionOptions {
  /** False for poolers that give each transaction another connection and know no prepared statements. */
  readonly keepPlans: boolean
  /** For what may take as long as it takes. */
  readonly isPatient?: boolean
}

/** The longest that a timer can wait. */
const PATIENT_MS = 2_147_483_647

export function sessionOf(client: PostgresClient, { keepPlans, isPatient }: SessionOptions): Session {
  const send = client.pipeline ? together(client) : inTurn(client)
  async function query(text: string, values?: readonly SqlValue[], name?: string): Promise<PostgresResult> {
    const asked = {
      text,
      types: TYPES,
      ...(values && { values: values.map(toParameter) }),
      ...(name && keepPlans && { name }),
      ...(isPatient && { query_timeout: PATIENT_MS }),
    }
    try {
      return await send(asked)
    } catch (cause) {
      throw new QueryFailed(cause)
    }
  }
  return {
    rows: async <Row>({ text, name }: Statement<Row>, values: readonly SqlValue[] = []) =>
      (await query(text, values, name)).rows as Row[],
    once: async <Row>(text: string, values: readonly SqlValue[] = []) => (await query(text, values)).rows as Row[],
    run: async (commands) => {
      // Of several commands the driver gives an array of results.
      const results = [await query(commands)].flat()
      return results.at(-1)?.command ?? ''
    },
    sendNow() {
      const stream = client.connection?.stream
      // The driver holds back too, once for each query; what it lets go of later is gone by then.
      while (stream?.uncork && (stream.writableCorked ?? 0) > 0) stream.uncork()
    },
  }
}

/**
 * What is asked in one go leaves in one packet. Each write of its own would wake the server, which goes to sleep again before the
 * next: for a transaction of several small statements that is most of what it costs.
 */
function together(client: PostgresClient): (query: PostgresQuery) => Promise<PostgresResult> {
  let held = false
  return (query) => {
    const stream = client.connection?.stream
    if (!held && stream?.cork && stream.uncork) {
      held = true
      stream.cork()
      queueMicrotask(() => {
        held = false
        stream.uncork?.()
      })
    }
    return client.query(query)
  }
}

/** A column of many rows: an array in PostgreSQL's own notation, or NULL. */
export type Column = string | null

/**
 * A column of many rows, as one array for `unnest`. A column in which nothing is said becomes NULL, which `unnest` pads:
 * most settlements say little. PostgreSQL keeps no NUL in text. The driver knows arrays too, but takes several times as
 * long; and columns are most of what is sent.
 */
export function column<Entry>(
  entries: readonly Entry[],
  pick: (entry: Entry, index: number) => Scalar | undefined,
): Column {
  let said = false
  let index = 0
  let before: Scalar | undefined
  let element = ''
  let text = '{'
  for (const entry of entries) {
    const value = pick(entry, index) ?? null
    if (value !== null) said = true
    // Neighbours often say the same, and large numbers are dear to write.
    if (value !== before) element = toElement(value)
    before = value
    text += index === 0 ? element : `,${element}`
    index += 1
  }
  return said ? `${text}}` : null
}

/** A column without gaps; where all say the same it is said once. To be read with {@link steady}. */
export function steadyColumn<Entry>(entries: readonly Entry[], pick: (entry: Entry) => string | number): Column {
  const [first] = entries
  if (first === undefined) return null
  const value = pick(first)
  return column(entries.every((entry) => pick(entry) === value) ? [first] : entries, pick)
}

/** @param of an expression: the column's value in this row, and the column itself as it was sent */
export const steady = (value: string, of: string): string => `coalesce(${value}, (${of})[1])`

function toParameter(value: SqlValue): Scalar {
  return isList(value) ? `{${value.map(toElement).join(',')}}` : value
}

function isList(value: SqlValue): value is readonly Scalar[] {
  return Array.isArray(value)
}

/** https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function toElement(value: Scalar): string {
  if (value === null) return 'NULL'
  if (typeof value !== 'string') return String(value)
  const stored = storable(value)
  const escaped = stored.includes('\\') ? stored.replaceAll('\\', '\\\\') : stored
  return `"${escaped.includes('"') ? escaped.replaceAll('"', '\\"') : escaped}"`
}

export function storable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}

const asNumber = (value: string): unknown => Number(value)
/** https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat; milliseconds fit a double exactly. */
const PARSERS: Readonly<Record<number, (value: string) => unknown>> = {
  16: (value) => value === 't',
  20: asNumber,
  21: asNumber,
  23: asNumber,
  114: (value) => JSON.parse(value) as unknown,
  701: asNumber,
}
const asText = (value: string): unknown => value
const TYPES = { getTypeParser: (oid: number) => PARSERS[oid] ?? asText }

/** Five characters, where it is the server that speaks; the driver's own errors have names like `ECONNRESET`. */
function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && typeof severity === 'string' ? code : undefined
}

/** A refused connection to a name with several addresses is an error without a message. */
function textOf(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  return String(message || code || error)
}
