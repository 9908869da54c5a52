/** `submit` of the port: the runs of many calls in one statement. */
import { dependentsOf, idTaken, stepsAbove } from '../../new-runs.ts'
import type { NewItem, NewRun, SubmitReceipt, SupersededItem } from '../../port.ts'
import { unmetOf } from '../../turns.ts'
import {
  type Column,
  column,
  prepare,
  type Session,
  type SqlValue,
  type Statement,
  storable,
} from '../transactions/connection.ts'
import type { Procedure } from '../transactions/procedures.ts'
import type { Transactor } from '../transactions/transact.ts'
import { runThatSuperseded, type Turns } from '../work/turns.ts'
import { alikeRunsText, newRunsText, submitProcedures, unknownRunsText } from './insert-runs.ts'
import type { Names } from './names.ts'

export interface Submit {
  /** What {@link accept} needs to exist, made outside of its transaction. */
  prepareNames(runs: readonly NewRun[]): Promise<void>
  /** Inside a transaction, runs of which none is known; fails with a unique violation where one is. */
  acceptNew(session: Session, runs: readonly NewRun[]): Promise<Accepted>
  /**
   * The same as a transaction by itself, of no more than {@link MOST_ALONE} runs.
   * @param behind as of `WriteOptions`
   */
  acceptAlone(runs: readonly NewRun[], behind: () => string | undefined): Promise<Accepted>
  /** Whether it can be leased to a worker that waits: one item of it is due, at once. */
  canBeAwaited(run: NewRun): boolean
  /** As {@link acceptAlone}, leased to a worker whose claim stands, if there is one, who is told. `undefined`: something of it is known. */
  acceptAwaited(run: NewRun): Promise<Accepted | undefined>
  /** Inside a transaction with joins by `hash`, with runs that `assertRuns` let through. */
  accept(session: Session, runs: readonly NewRun[]): Promise<Accepted>
}

export interface Accepted {
  readonly receipts: SubmitReceipt[]
  /** The highest number of a run that was given; 0: none. */
  readonly newestRun: number
}

interface NewStep {
  readonly run: NewRun
  readonly item: NewItem
  readonly position: number
  /** Of its run in the statement, from 1. */
  readonly place: number
}

/** One statement, for two uses. */
interface Forms {
  /** Inside a transaction. */
  readonly along: Statement<{ newest: number }>
  /** As a transaction by itself. */
  readonly alone: Statement<{ newest: number }>
}

const LARGEST_CHUNK = 250
export const MOST_ALONE = LARGEST_CHUNK

/** What is answered where all of them are new. */
export function allAccepted(runs: readonly NewRun[]): Accepted {
  return { receipts: runs.map((run) => ({ outcome: 'accepted', runId: run.id })), newestRun: 0 }
}

/** It takes places in the order of entities. */
export function isOrdered({ items }: NewRun): boolean {
  return items.some(({ turn }) => turn !== undefined)
}

function formsOf(text: string, procedure: Procedure): Forms {
  return { along: prepare(text), alone: prepare(procedure.call) }
}

export interface SubmitParts {
  readonly names: Names
  readonly turns: Turns
  readonly transactor: Pick<Transactor, 'call'>
  /** What is notified. */
  readonly channel: string
}

export function prepareSubmit(s: string, { names, turns, transactor, channel: notified }: SubmitParts): Submit {
  const { call } = transactor
  const insert = prepare<{ accepted: number; newest: number | null; ids: string[] | null }>(unknownRunsText(s))
  const insertNew = formsOf(newRunsText(s), submitProcedures(s).any)
  const insertAlike = formsOf(alikeRunsText(s), submitProcedures(s).alike)
  const insertAwaited = prepare<{ newest: number; leased: boolean }>(submitProcedures(s).awaited.call)
  const selectKnown = prepare<{ known: [id: string, inputFingerprint: string] | null }>(
    // As a subquery, which is answered by the index whatever joins are allowed.
    `SELECT (SELECT json_build_array(r.id, r.input_fingerprint) FROM ${s}.runs r
       WHERE r.key = n.key AND r.pipeline = n.pipeline AND r.tenant = n.tenant) AS known
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY n (key, pipeline, tenant, ord) ORDER BY n.ord`,
  )

  async function acceptNew(session: Session, runs: readonly NewRun[]): Promise<Accepted> {
    // Sent one after the other without waiting, so that the server is busy with the first while the next is put together.
    const answers = await Promise.all(
      chunksOf(runs).map((chunk, index) => {
        if (index > 0) session.sendNow()
        const { forms, columns } = bestFor(chunk)
        return session.rows(forms.along, columns)
      }),
    )
    return { ...allAccepted(runs), newestRun: Math.max(0, ...answers.map(([row]) => row?.newest ?? 0)) }
  }

  function canBeAwaited(run: NewRun): boolean {
    const [item, ...others] = run.items.filter(needsNothing)
    return item !== undefined && others.length === 0 && item.dueAtMs <= run.createdAtMs && !isOrdered(run)
  }

  function acceptAwaited(run: NewRun): Promise<Accepted | undefined> {
    const [item] = run.items.filter(needsNothing)
    const numbers = item && names.channel(item.lane, item.endpoint)
    const own = [run.key === undefined ? null : storable(run.key), run.inputFingerprint ?? null]
    const values = [...alikeColumns([run], run), ...own, numbers?.channel ?? null, numbers?.lane ?? null, notified]
    return call(insertAwaited, values, {
      read: ([row]) =>
        row && {
          receipts: [{ outcome: 'accepted', runId: run.id, ...(row.leased && { isLeased: true }) }],
          newestRun: row.newest,
        },
      unheard: () => allAccepted([run]),
    })
  }

  function acceptAlone(runs: readonly NewRun[], behind: () => string | undefined): Promise<Accepted> {
    const { forms, columns } = bestFor(runs)
    return call(forms.alone, columns, {
      behind,
      read: ([row]) => ({ ...allAccepted(runs), newestRun: row?.newest ?? 0 }),
      unheard: () => allAccepted(runs),
    })
  }

  function bestFor(runs: readonly NewRun[]): { readonly forms: Forms; readonly columns: SqlValue[] } {
    const [first] = runs
    return first && areAlike(runs, first)
      ? { forms: insertAlike, columns: alikeColumns(runs, first) }
      : { forms: insertNew, columns: newColumns(runs) }
  }

  function newColumns(runs: readonly NewRun[]): SqlValue[] {
    const steps = stepsOf(runs)
    return [
      ...runColumns(runs, names),
      ...itemColumns(steps, names),
      column(steps, ({ place }) => place),
      column(steps, ({ run }) => run.tenant),
      column(steps, ({ run }) => names.book(run.batch, run.pipeline)),
    ]
  }

  function alikeColumns(runs: readonly NewRun[], first: NewRun): SqlValue[] {
    return [
      column(runs, (run) => run.id),
      column(runs, (run) => (run.correlationId === run.id ? null : run.correlationId)),
      column(runs, (run) => run.input),
      storable(first.tenant),
      storable(first.pipeline),
      names.book(first.batch, first.pipeline) ?? null,
      first.createdAtMs,
      labelsText(first.labels),
      ...itemColumns(stepsOf([first]), names),
    ]
  }

  async function accept(session: Session, runs: readonly NewRun[]): Promise<Accepted> {
    const fresh = firstOfEach(runs)
    const answers = await Promise.all(
      chunksOf(fresh).map((chunk, index) => {
        if (index > 0) session.sendNow()
        return insertChunk(session, chunk)
      }),
    )
    const isAccepted = new Set(answers.flatMap(({ accepted }) => accepted))
    const receipts = await receiptsOfKnown(
      session,
      runs.filter((run) => !isAccepted.has(run)),
    )
    const superseded = await takePlaces(
      session,
      fresh.filter((run) => isAccepted.has(run) && isOrdered(run)),
    )
    return {
      receipts: runs.map((run) => receipts.get(run) ?? acceptedReceipt(run, superseded.get(run.id))),
      newestRun: Math.max(0, ...answers.map(({ newest }) => newest)),
    }
  }

  /** What was superseded, by the run that did it. */
  async function takePlaces(session: Session, runs: readonly NewRun[]): Promise<Map<string, SupersededItem[]>> {
    const newcomers = runs.flatMap(({ tenant, id: runId, items }) =>
      items.flatMap(({ step, turn }) => (turn ? [{ tenant, runId, step, turn, above: stepsAbove(step, items) }] : [])),
    )
    const nowMs = Math.max(0, ...runs.map((run) => run.createdAtMs))
    const { superseded } = await turns.join(session, newcomers, nowMs)
    const byRun = Map.groupBy(superseded, runThatSuperseded)
    return new Map(
      [...byRun].map(([runId, ended]) => [
        runId,
        ended.map(({ itemId, reason, attempts }) => ({ itemId, reason, attempts })),
      ]),
    )
  }

  async function insertChunk(session: Session, runs: readonly NewRun[]) {
    const steps = stepsOf(runs)
    const [row] = await session.rows(insert, [
      ...runColumns(runs, names),
      ...itemColumns(steps, names),
      column(steps, ({ run }) => run.id),
    ])
    const ids = row?.ids && new Set(row.ids)
    return { accepted: ids ? runs.filter((run) => ids.has(storable(run.id))) : runs, newest: row?.newest ?? 0 }
  }

  async function receiptsOfKnown(session: Session, runs: readonly NewRun[]): Promise<Map<NewRun, SubmitReceipt>> {
    const receipts = new Map<NewRun, SubmitReceipt>()
    if (runs.length === 0) return receipts
    const rows = await session.rows(selectKnown, [
      column(runs, (run) => run.key),
      column(runs, (run) => run.pipeline),
      column(runs, (run) => run.tenant),
    ])
    for (const [index, run] of runs.entries()) {
      const known = rows[index]?.known
      if (!known) throw idTaken(run)
      receipts.set(run, { outcome: known[1] === run.inputFingerprint ? 'duplicate' : 'conflict', runId: known[0] })
    }
    return receipts
  }

  return {
    prepareNames: (runs) =>
      names.make(
        runs.flatMap((run) => run.items),
        runs,
      ),
    acceptNew,
    acceptAlone,
    canBeAwaited,
    acceptAwaited,
    accept,
  }
}

function needsNothing({ after }: NewItem): boolean {
  return after.length === 0
}

function acceptedReceipt({ id: runId }: NewRun, superseded: readonly SupersededItem[] | undefined): SubmitReceipt {
  return { outcome: 'accepted', runId, ...(superseded && { superseded }) }
}

/** They were submitted in one call, and differ in nothing but their ids and what they bring. */
function areAlike(runs: readonly NewRun[], { tenant, pipeline, batch, createdAtMs, labels, items }: NewRun): boolean {
  const text = labelsText(labels)
  return runs.every(
    (run) =>
      run.items === items &&
      run.createdAtMs === createdAtMs &&
      run.tenant === tenant &&
      run.batch === batch &&
      run.pipeline === pipeline &&
      (run.labels === labels || labelsText(run.labels) === text),
  )
}

function chunksOf(runs: readonly NewRun[]): (readonly NewRun[])[] {
  const chunks: (readonly NewRun[])[] = []
  for (let from = 0; from < runs.length; from += LARGEST_CHUNK) chunks.push(runs.slice(from, from + LARGEST_CHUNK))
  return chunks
}

/** Of runs with one id or one key, the first: one statement does not see what it has inserted itself. */
function firstOfEach(runs: readonly NewRun[]): NewRun[] {
  const ids = new Set<string>()
  const keys = new Set<string>()
  return runs.filter((run) => {
    const key = run.key === undefined ? undefined : JSON.stringify([run.tenant, run.pipeline, run.key])
    if (ids.has(run.id) || (key !== undefined && keys.has(key))) return false
    ids.add(run.id)
    if (key !== undefined) keys.add(key)
    return true
  })
}

function runColumns(runs: readonly NewRun[], names: Names): Column[] {
  return [
    column(runs, (run) => run.id),
    column(runs, (run) => run.tenant),
    column(runs, (run) => run.pipeline),
    column(runs, (run) => run.key),
    column(runs, (run) => names.book(run.batch, run.pipeline)),
    column(runs, (run) => run.items.length),
    column(runs, (run) => run.createdAtMs),
    column(runs, (run) => run.correlationId),
    column(runs, (run) => labelsText(run.labels)),
    column(runs, (run) => run.inputFingerprint),
    column(runs, (run) => run.input),
  ]
}

function stepsOf(runs: readonly NewRun[]): NewStep[] {
  return runs.flatMap((run, index) =>
    run.items.map((item, position): NewStep => ({ run, item, position, place: index + 1 })),
  )
}

function itemColumns(steps: readonly NewStep[], names: Names): Column[] {
  return [
    column(steps, ({ item }) => item.step),
    column(steps, ({ position }) => position),
    column(steps, ({ item }) => names.channel(item.lane, item.endpoint)?.channel),
    column(steps, ({ item }) => (unmetOf(item) > 0 ? 'waiting' : 'queued')),
    column(steps, ({ item }) => (unmetOf(item) > 0 ? null : item.dueAtMs)),
    column(steps, ({ item }) => item.optional),
    column(steps, ({ item }) => unmetOf(item)),
    column(steps, ({ run }) => run.createdAtMs),
    column(steps, ({ run, item }) => (unmetOf(item) > 0 && item.dueAtMs > run.createdAtMs ? item.dueAtMs : null)),
    column(steps, ({ item }) => listText(item.after)),
    column(steps, ({ run, item }) => listText(dependentsOf(item.step, run.items))),
  ]
}

function listText(steps: readonly string[]): string | null {
  return steps.length === 0 ? null : JSON.stringify(steps)
}

/** Filtered by PostgreSQL's own JSON, which knows neither NUL nor halves of surrogate pairs. */
export function labelsText(labels: NewRun['labels']): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return '{}'
  return JSON.stringify(Object.fromEntries(entries.map((pair) => pair.map((text) => storable(text.toWellFormed())))))
}
