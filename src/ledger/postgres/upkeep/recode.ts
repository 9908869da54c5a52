/** `recode` and `scrub` of the port. Rewriting is to be done inside a transaction. */
import {
  placeOf,
  type RecodeReceipt,
  type RecodeScope,
  type Rewrite,
  rewritten,
  type Shelf,
  type ShelfRow,
  textOfPlace,
} from '../../recoding.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'

interface ServerShelf extends Shelf {
  /** The condition for rows of the runs in $1; `undefined`: none of it is of a run. */
  readonly ofRuns: string | undefined
}

const TYPES: Readonly<Record<string, string>> = { no: 'bigint', run: 'bigint', number: 'bigint' }
const IS_OF_RUNS = 'r.id = ANY($1::text[])'

/** The history outlives its runs: it goes with its partition. */
function shelvesOf(s: string): readonly ServerShelf[] {
  const ofItem = (table: string, key: readonly string[], columns: Shelf['columns']): ServerShelf => ({
    name: table,
    from: `${s}.${table} x LEFT JOIN ${s}.runs r ON r.no = x.run AND r.tenant = x.tenant`,
    ofRuns: IS_OF_RUNS,
    key,
    runId: `coalesce(r.id, '')`,
    columns,
  })
  const alone = (table: string, key: readonly string[], columns: Shelf['columns'], ofRuns?: string): ServerShelf => ({
    name: table,
    from: `${s}.${table} x`,
    ofRuns,
    key,
    runId: `''`,
    columns,
  })
  return [
    {
      ...alone(
        'runs',
        ['no', 'tenant'],
        { input: 'input', input_fingerprint: 'fingerprint', key: 'key', labels: 'labels' },
        'x.id = ANY($1::text[])',
      ),
      runId: 'x.id',
    },
    ofItem('items', ['run', 'step', 'tenant'], {
      output: 'output',
      memo: 'memo',
      reason: 'text',
      cancel_reason: 'text',
      summary: 'text',
      hint: 'text',
      external_id: 'external_id',
      success_key: 'derived_key',
      last_failure: 'failure',
    }),
    ofItem('edits', ['run', 'step', 'number', 'tenant'], { input: 'input' }),
    ofItem('operations', ['run', 'step', 'number', 'tenant'], { note: 'text' }),
    ofItem('attempts', ['run', 'step', 'number', 'tenant'], {
      note: 'text',
      idempotency_key: 'derived_key',
      failure: 'failure',
    }),
    alone(
      'effects',
      ['tenant', 'key'],
      { key: 'effect_key', fingerprint: 'fingerprint', output: 'output', external_id: 'external_id' },
      `split_part(x.owner, '.', 1) = ANY($1::text[])`,
    ),
    alone('actions', ['id'], { reason: 'text', details: 'details' }),
    alone('jobs', ['id'], { state: 'details' }),
    alone('lanes', ['lane'], { gate_reason: 'text', suspended_reason: 'text' }),
  ]
}

export interface Recoding {
  recode(session: Session, scope: RecodeScope, rewrite: Rewrite): Promise<RecodeReceipt>
  /** Outside of a transaction. */
  scrub(session: Session): Promise<void>
}

interface Wanted {
  readonly condition: string
  readonly values: readonly (string | number | readonly string[])[]
  /** `LIMIT ...` */
  readonly limit?: string
}

export function prepareRecode(s: string): Recoding {
  const shelves = shelvesOf(s)
  const actions = shelves.findIndex(({ name }) => name === 'actions')

  async function select(session: Session, shelf: ServerShelf, wanted: Wanted): Promise<ShelfRow[]> {
    const key = shelf.key.map((name) => `x.${name}`)
    const columns = Object.keys(shelf.columns).map((name) => `x.${name}`)
    const statement = prepare<ShelfRow>(
      `SELECT json_build_array(${key}) AS key, ${shelf.runId} AS "runId", json_build_array(${columns}) AS texts
       FROM ${shelf.from} WHERE ${wanted.condition} ORDER BY ${key} ${wanted.limit ?? ''} FOR UPDATE OF x`,
    )
    return session.rows(statement, wanted.values)
  }

  async function write(session: Session, shelf: ServerShelf, rows: readonly ShelfRow[], rewrite: Rewrite) {
    const looked = rows.map((row) => ({ row, ...rewritten(shelf, row, rewrite) }))
    const changed = looked.filter((entry) => entry.changed > 0)
    if (changed.length > 0) {
      const columns = Object.keys(shelf.columns)
      const arrays = [
        ...shelf.key.map((name, index) => `$${index + 1}::${TYPES[name] ?? 'text'}[]`),
        ...columns.map((_name, index) => `$${shelf.key.length + index + 1}::text[]`),
      ]
      const names = [...shelf.key.map((_name, index) => `k${index}`), ...columns.map((_name, index) => `c${index}`)]
      const statement = prepare(
        `UPDATE ${s}.${shelf.name} x SET ${columns.map((name, index) => `${name} = n.c${index}`)}
         FROM unnest(${arrays}) n (${names})
         WHERE ${shelf.key.map((name, index) => `x.${name} = n.k${index}`).join(' AND ')}`,
      )
      await session.rows(statement, [
        ...shelf.key.map((_name, index) => column(changed, ({ row }) => row.key[index])),
        ...columns.map((_name, index) => column(changed, ({ texts }) => texts[index])),
      ])
    }
    return {
      seen: looked.reduce((sum, { seen }) => sum + seen, 0),
      changed: looked.reduce((sum, entry) => sum + entry.changed, 0),
    }
  }

  async function recodeRuns(session: Session, runs: readonly string[], rewrite: Rewrite): Promise<RecodeReceipt> {
    let [seen, changed] = [0, 0]
    for (const shelf of shelves) {
      if (shelf.ofRuns === undefined) continue
      const rows = await select(session, shelf, { condition: shelf.ofRuns, values: [runs] })
      const counts = await write(session, shelf, rows, rewrite)
      seen += counts.seen
      changed += counts.changed
    }
    return { seen, changed, reached: undefined }
  }

  return {
    async recode(session, scope, rewrite) {
      if ('runs' in scope) return recodeRuns(session, scope.runs, rewrite)
      const [index, after] = scope.only && scope.after === undefined ? [actions, []] : placeOf(scope.after)
      const shelf = shelves[index]
      if (!shelf) return { seen: 0, changed: 0, reached: undefined }
      const rows = await select(session, shelf, beyond(shelf, after, scope.limit))
      const counts = await write(session, shelf, rows, rewrite)
      const last = rows.length < scope.limit ? undefined : rows.at(-1)
      if (last) return { ...counts, reached: textOfPlace([index, last.key]) }
      const isEnd = scope.only !== undefined || index + 1 >= shelves.length
      return { ...counts, reached: isEnd ? undefined : textOfPlace([index + 1, []]) }
    },
    async scrub(session) {
      for (const { name } of shelves) await session.run(`VACUUM ${s}.${name}`)
    },
  }
}

function beyond({ key }: Shelf, after: readonly (string | number)[], limit: number): Wanted {
  if (after.length === 0) return { condition: 'TRUE', values: [limit], limit: 'LIMIT $1' }
  const columns = key.map((name) => `x.${name}`)
  const given = key.map((name, index) => `$${index + 2}::${TYPES[name] ?? 'text'}`)
  return { condition: `(${columns}) > (${given})`, values: [limit, ...after], limit: 'LIMIT $1' }
}
