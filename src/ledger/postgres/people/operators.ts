/** What people, and the engine on their behalf, do to items: to be called inside a transaction. */
import { parseItemId } from '../../../core/ids.ts'
import type { ItemState } from '../../../core/item-state.ts'
import type {
  CancelOrder,
  DiscardOrder,
  NewTurn,
  OperatorOrder,
  OperatorReceipt,
  ReplayOrder,
  ResolveOrder,
} from '../../port.ts'
import { type Refusal, whyNoCancel, whyNoDiscard, whyNoReplay, whyNoResolve } from '../../refusals.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'
import { ENDS, type EndedRow, FOLLOW_UP_COLUMNS, releasedIn } from '../work/dependents.ts'
import type { Effects, Verdict } from '../work/effects.ts'
import { rounds } from '../work/rounds.ts'
import type { Turns } from '../work/turns.ts'

export interface Operators {
  replay(session: Session, orders: readonly ReplayOrder[], nowMs: number): Promise<OperatorReceipt[]>
  discard(session: Session, orders: readonly DiscardOrder[], nowMs: number): Promise<OperatorReceipt[]>
  cancel(session: Session, orders: readonly CancelOrder[], nowMs: number): Promise<OperatorReceipt[]>
  resolve(session: Session, orders: readonly ResolveOrder[], nowMs: number): Promise<OperatorReceipt[]>
}

interface FoundRow {
  ord: number
  tenant: string
  run: number
  step: string
  state: ItemState
  replays: number
  edits: number
  summary: string | null
  reason: string | null
  run_id: string
  entity: number | null
  /** Of a dead letter that was passed: it takes a new place when it is replayed. */
  passed: NewTurn | null
}

/** An order that may be carried out, with the item that it is about. */
interface Task<Order> {
  readonly order: Order
  readonly row: FoundRow
}

/** What happens to one item: written for all of a round together. */
interface Change {
  readonly row: FoundRow
  readonly to: ItemState | 'marked'
  readonly reason: string
  /** For the history. */
  readonly what: string
  readonly by: string
  readonly note: string
  readonly dueAtMs?: number
  readonly output?: string
  readonly externalId?: string | undefined
  readonly editedInput?: string | undefined
  /** It takes a new place. */
  readonly turn?: NewTurn | undefined
  /** What is known now of the effects that the item had reserved. */
  readonly verdict?: Verdict
}

const NOBODY: ReadonlyMap<string, ItemState> = new Map()

export function prepareOperators(
  s: string,
  { effects, turns }: { readonly effects: Effects; readonly turns: Turns },
): Operators {
  const find = prepare<FoundRow>(
    `SELECT n.ord, i.tenant, i.run, i.step, i.state, i.replays, i.edits, i.summary, i.reason, n.run_id, i.entity,
       CASE WHEN i.entity IS NOT NULL THEN (
         SELECT json_build_object('series', e.series, 'entity', e.name, 'rule', p.rule)
         FROM ${s}.places p JOIN ${s}.entities e ON e.id = p.entity AND e.tenant = p.tenant
         WHERE p.run = i.run AND p.step = i.step AND p.tenant = i.tenant AND p.standing = 'passed') END AS passed
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY n (run_id, step, ord)
     JOIN ${s}.runs r ON r.id = n.run_id JOIN ${s}.items i ON i.run = r.no AND i.tenant = r.tenant AND i.step = n.step
     ORDER BY i.run, i.step FOR UPDATE OF i`,
  )
  const change = prepare<EndedRow>(
    `WITH d AS (
       SELECT n.*, i.released AS was_released, r.id AS run_id
       FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
         $10::boolean[]) n (tenant, run, step, next, reason, due_at_ms, output, external_id, edited)
       JOIN ${s}.runs r ON r.no = n.run AND r.tenant = n.tenant
       JOIN ${s}.items i ON i.run = n.run AND i.step = n.step AND i.tenant = n.tenant)
     UPDATE ${s}.items i SET updated_at_ms = $1::bigint, state = d.next, reason = d.reason,
       due_at_ms = CASE WHEN d.next <> 'waiting' THEN d.due_at_ms END,
       not_before_ms = CASE WHEN d.next = 'waiting' THEN d.due_at_ms ELSE i.not_before_ms END,
       unmet = CASE WHEN d.next = 'waiting' THEN 1 ELSE i.unmet END,
       output = d.output, external_id = d.external_id, ended_at_ms = CASE WHEN d.next IN (${ENDS}) THEN $1::bigint END,
       released = ${releasedIn('d.next')},
       edits = i.edits + CASE WHEN d.edited THEN 1 ELSE 0 END,
       replays = i.replays + CASE WHEN d.next IN ('queued', 'waiting') THEN 1 ELSE 0 END,
       budget_from_ms = CASE WHEN d.next IN ('queued', 'waiting') THEN $1::bigint ELSE i.budget_from_ms END,
       attempts_before_budget = CASE WHEN d.next IN ('queued', 'waiting') THEN i.attempts ELSE i.attempts_before_budget END,
       memo = CASE WHEN d.next IN ('queued', 'waiting') THEN NULL ELSE i.memo END,
       fingerprint = NULL, summary = NULL, hint = NULL, cause = NULL, dead_since_ms = NULL
     FROM d WHERE i.run = d.run AND i.step = d.step AND i.tenant = d.tenant
     RETURNING ${FOLLOW_UP_COLUMNS}`,
  )
  const mark = prepare(
    `UPDATE ${s}.items i SET cancel_reason = n.reason, updated_at_ms = $1::bigint
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) n (tenant, run, step, reason)
     WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant`,
  )
  const insertEdits = prepare(
    `INSERT INTO ${s}.edits (at_ms, tenant, run, step, number, replay, by, input)
     SELECT $1::bigint, * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::int[], $6::int[], $7::text[], $8::text[])`,
  )
  const insertOperations = prepare(
    `INSERT INTO ${s}.operations (at_ms, tenant, run, step, what, by, note)
     SELECT $1::bigint, n.tenant, n.run, n.step, n.what, n.by, n.note
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
       n (tenant, run, step, what, by, note, ord) ORDER BY n.ord`,
  )

  /** The frame of all orders: find the items, refuse what does not fit their states, else do it and write down who did. */
  function carryOut<Order extends OperatorOrder>(
    session: Session,
    orders: readonly Order[],
    nowMs: number,
    refusalFor: (state: ItemState, order: Order) => Refusal,
    changeFor: (task: Task<Order>) => Change,
  ): Promise<OperatorReceipt[]> {
    // One run at a time: what is done to one of its items may end others, of which later orders must know.
    const runOf = ({ itemId }: Order): string => parseItemId(itemId)?.runId ?? itemId
    return rounds(orders, runOf, async (round) => {
      const found = await findItems(session, round)
      const tasks: Task<Order>[] = []
      const receipts = round.map((order, index): OperatorReceipt => {
        const { itemId } = order
        const row = found.get(index)
        if (!row) return { outcome: 'not_found', itemId }
        const why = refusalFor(row.state, order)
        if (why !== undefined) return { outcome: 'refused', itemId, state: row.state, why }
        tasks.push({ order, row })
        const { to } = changeFor({ order, row })
        return to === 'marked' ? { outcome: 'marked', itemId } : { outcome: 'done', itemId, state: to }
      })
      if (tasks.length === 0) return receipts
      const became = await apply(session, tasks.map(changeFor), nowMs)
      return receipts.map((receipt) => {
        const state = receipt.outcome === 'done' ? became.get(receipt.itemId) : undefined
        return state ? { outcome: 'done', itemId: receipt.itemId, state } : receipt
      })
    })
  }

  async function findItems(session: Session, orders: readonly OperatorOrder[]): Promise<Map<number, FoundRow>> {
    const at = orders.map((order) => parseItemId(order.itemId))
    const rows = await session.rows(find, [column(at, (place) => place?.runId), column(at, (place) => place?.step)])
    return new Map(rows.map((row) => [row.ord - 1, row]))
  }

  /** What became of items of entities, where that is something else than was meant. */
  async function apply(
    session: Session,
    changes: readonly Change[],
    nowMs: number,
  ): Promise<ReadonlyMap<string, ItemState>> {
    await session.rows(insertOperations, [
      nowMs,
      ...places(changes),
      column(changes, ({ what }) => what),
      column(changes, ({ by }) => by),
      column(changes, ({ note }) => note),
    ])
    await writeEdits(session, changes, nowMs)
    const marked = changes.filter(({ to }) => to === 'marked')
    if (marked.length > 0) {
      await session.rows(mark, [nowMs, ...places(marked), column(marked, ({ reason }) => reason)])
    }
    const moved = changes.filter(({ to }) => to !== 'marked')
    const became = moved.length > 0 ? await move(session, moved, nowMs) : NOBODY
    await effects.endAllOf(
      session,
      changes.flatMap(({ verdict }) => (verdict ? [verdict] : [])),
    )
    return became
  }

  async function writeEdits(session: Session, changes: readonly Change[], nowMs: number): Promise<void> {
    const edited = changes.filter(({ editedInput }) => editedInput !== undefined)
    if (edited.length === 0) return
    await session.rows(insertEdits, [
      nowMs,
      ...places(edited),
      column(edited, ({ row }) => row.edits + 1),
      column(edited, ({ row }) => row.replays + 1),
      column(edited, ({ by }) => by),
      column(edited, ({ editedInput }) => editedInput),
    ])
  }

  async function move(
    session: Session,
    changes: readonly Change[],
    nowMs: number,
  ): Promise<ReadonlyMap<string, ItemState>> {
    const ended = await session.rows(change, [
      nowMs,
      ...places(changes),
      column(changes, ({ to }) => to),
      column(changes, ({ reason }) => reason),
      column(changes, ({ dueAtMs }) => dueAtMs),
      column(changes, ({ output }) => output),
      column(changes, ({ externalId }) => externalId),
      column(changes, ({ editedInput }) => editedInput !== undefined),
    ])
    const rejoining = changes.flatMap(({ row, turn }) => (turn ? [{ ...row, runId: row.run_id, turn }] : []))
    await turns.leave(session, rejoining, nowMs)
    const others = ended.filter(({ state }) => state !== 'waiting')
    const { superseded } = await turns.follow(session, others, nowMs)
    const joined = await turns.join(session, rejoining, nowMs)
    const queued = joined.queued.map((item): [string, ItemState] => [item.itemId, 'queued'])
    const ends = [...superseded, ...joined.superseded].map((item): [string, ItemState] => [item.itemId, 'superseded'])
    return new Map([...queued, ...ends])
  }

  return {
    replay: (session, orders, nowMs) => carryOut(session, orders, nowMs, whyNoReplay, replaying),
    discard: (session, orders, nowMs) =>
      carryOut(session, orders, nowMs, whyNoDiscard, (task) => ending(task, 'discarded')),
    cancel: (session, orders, nowMs) =>
      carryOut(session, orders, nowMs, whyNoCancel, (task) =>
        task.row.state === 'processing' ? marking(task) : ending(task, 'cancelled'),
      ),
    resolve: (session, orders, nowMs) => carryOut(session, orders, nowMs, whyNoResolve, resolving),
  }
}

function replaying({ order, row }: Task<ReplayOrder>): Change {
  const { by, dueAtMs, editedInput } = order
  const reason = `replayed by ${by}${editedInput === undefined ? '' : ', with an edited payload'}`
  const note = `was ${row.state}: ${row.summary ?? row.reason ?? ''}`
  const turn = order.turn ?? row.passed ?? undefined
  const to = turn ? 'waiting' : 'queued'
  const change = { row, to, reason, what: 'replay', by, note, dueAtMs, editedInput, turn } as const
  // Whoever replays an unknown outcome knows that it did not happen.
  return row.state === 'unknown_outcome' ? { ...change, verdict: { owner: order.itemId, done: undefined } } : change
}

function ending({ order, row }: Task<DiscardOrder | CancelOrder>, to: 'discarded' | 'cancelled'): Change {
  const facts = row.summary === null ? '' : ` (was ${row.state}: ${row.summary})`
  const what = to === 'discarded' ? 'discard' : 'cancel'
  return { row, to, reason: order.reason, what, by: order.by, note: order.reason + facts }
}

function marking({ order, row }: Task<CancelOrder>): Change {
  return { row, to: 'marked', reason: order.reason, what: 'cancel', by: order.by, note: order.reason }
}

function resolving({ order, row }: Task<ResolveOrder>): Change {
  const { by, reason, output, externalId } = order
  const note = `${reason} (was ${row.state}: ${row.summary ?? ''})`
  const verdict = { owner: order.itemId, done: order }
  return { row, to: 'succeeded', reason, what: 'resolve', by, note, output, externalId, verdict }
}

function places(changes: readonly Change[]) {
  return [
    column(changes, ({ row }) => row.tenant),
    column(changes, ({ row }) => row.run),
    column(changes, ({ row }) => row.step),
  ]
}
