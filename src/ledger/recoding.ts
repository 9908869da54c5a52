/** Rewriting what is stored in place: the shelves of a store on which contents lie, for encrypting anew and for erasing. */

/**
 * What a stored text is. `json`: content as JSON text; `memo`: what the engine keeps with an item, JSON too; `text`: words for people;
 * `failure`: a `Failure` as JSON; `fingerprint`: a hash of content; `key`: the name of a run; `effect_key`: of an operation;
 * `derived_key`: an idempotency key, made of names; `labels`: JSON object; `details`: what an action or a job is about, as JSON.
 */
export type CellKind =
  | 'input'
  | 'output'
  | 'memo'
  | 'text'
  | 'failure'
  | 'fingerprint'
  | 'key'
  | 'effect_key'
  | 'derived_key'
  | 'external_id'
  | 'labels'
  | 'details'

export interface Cell {
  readonly kind: CellKind
  readonly text: string
  /** The run that it is of; empty for what belongs to none. */
  readonly runId: string
}

/** What is to stand there instead; `undefined`: it stays. `null` where nothing is to be left, of kinds that may be missing. */
export type Rewrite = (cell: Cell) => string | null | undefined

export type RecodeScope =
  /** All that is stored of these runs, their effects included. */
  | { readonly runs: readonly string[] }
  /** All there is, or one shelf of it, from a place that was reached on. */
  | { readonly after: string | undefined; readonly limit: number; readonly only?: 'actions' }

export interface RecodeReceipt {
  /** Texts that were looked at, and those that are other now. */
  readonly seen: number
  readonly changed: number
  /** From here the next call goes on; `undefined`: that was all. */
  readonly reached: string | undefined
}

/** Kinds that may be missing: the others stay as they are where `null` is given. */
export const NULLABLE: ReadonlySet<CellKind> = new Set(['memo', 'derived_key', 'external_id'])

/** One table: its columns with contents, and what names a row. */
export interface Shelf {
  readonly name: string
  readonly from: string
  /** Expressions that name a row, and order the table. */
  readonly key: readonly string[]
  readonly columns: Readonly<Record<string, CellKind>>
  /** Expression: the id of the run; `''` for none. */
  readonly runId: string
}

export interface ShelfRow {
  readonly key: readonly (string | number)[]
  readonly runId: string
  readonly texts: readonly (string | null)[]
}

/** The columns of a row that are to be written, in their order; `undefined` where none is. */
export function rewritten(
  { columns }: Shelf,
  row: ShelfRow,
  rewrite: Rewrite,
): { readonly texts: (string | null)[]; readonly seen: number; readonly changed: number } {
  let [seen, changed] = [0, 0]
  const texts = Object.values(columns).map((kind, index) => {
    const text = row.texts[index] ?? null
    if (text === null) return null
    seen += 1
    const next = rewrite({ kind, text, runId: row.runId })
    if (next === undefined || next === text || (next === null && !NULLABLE.has(kind))) return text
    changed += 1
    return next
  })
  return { texts, seen, changed }
}

/** Which shelf, and the last row of it that was done. */
export type Place = readonly [shelf: number, after: readonly (string | number)[]]

export function placeOf(after: string | undefined): Place {
  return after === undefined ? [0, []] : (JSON.parse(after) as Place)
}

export function textOfPlace(place: Place): string {
  return JSON.stringify(place)
}
