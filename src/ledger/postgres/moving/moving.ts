/**
 * The mark of a store that another one is being moved to. Until that has finished nobody may work here: what is here may not
 * be all, and whatever is done would be done twice if the move were given up. Triggers hold that for every process, also for
 * those that had the empty store open before.
 */
import type { MoveMark, TargetFound } from '../../transfer.ts'
import { prepare, type Session } from '../transactions/connection.ts'
import { MOVING_STATE } from '../transactions/errors.ts'

/** What lets the mover's own transactions through. */
export interface Pass {
  /** For {@link TransactOptions}. */
  settings(): string
  /** From now on they are those of this move. */
  take(move: string): void
}

interface MoveRow {
  id: string
  source: string
  reached: string | null
  records: number
  finished: boolean
}

export function createPass(): Pass {
  let settings = ''
  return {
    settings: () => settings,
    take(move) {
      settings = `SET LOCAL holdfast.move = '${assertId(move)}'`
    },
  }
}

export async function findMove(session: Session, s: string): Promise<TargetFound> {
  const [exists] = await session.once<{ known: boolean }>(`SELECT to_regclass('${s}.moves') IS NOT NULL AS known`)
  const [row] = exists?.known
    ? await session.once<MoveRow>(
        `SELECT id, source, reached, records, finished_at_ms IS NOT NULL AS finished FROM ${s}.moves`,
      )
    : []
  if (row) {
    const { id, source, records, finished } = row
    return { what: finished ? 'moved' : 'moving', id, source, records, reached: row.reached ?? undefined }
  }
  return { what: (await isEmpty(session, s)) ? 'empty' : 'taken' }
}

/** Names that were made for something that was given up do not count. */
export async function isEmpty(session: Session, s: string): Promise<boolean> {
  const [row] = await session.once<{ taken: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM ${s}.runs) OR EXISTS (SELECT 1 FROM ${s}.tallies) OR EXISTS (SELECT 1 FROM ${s}.effects)
       OR EXISTS (SELECT 1 FROM ${s}.health)
       OR EXISTS (SELECT 1 FROM ${s}.lanes WHERE gate_until_ms > 0 OR suspended_at_ms IS NOT NULL) AS taken`,
  )
  return row?.taken === false
}

/** Every transaction of a writer begins with `commits`; those of users that submits join, with `runs`. */
export async function beginMove(session: Session, s: string, mark: MoveMark, source: string): Promise<void> {
  const others = `coalesce(current_setting('holdfast.move', true), '') <> '${assertId(mark.id)}'`
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${s}.moves (id text PRIMARY KEY, source text NOT NULL, reached text,
       records bigint NOT NULL DEFAULT 0, started_at_ms bigint NOT NULL, finished_at_ms bigint);
     CREATE FUNCTION ${s}.refuse_while_moving() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
       RAISE EXCEPTION 'a store is being moved here' USING ERRCODE = '${MOVING_STATE}';
     END $$;
     CREATE TRIGGER moving BEFORE INSERT OR UPDATE ON ${s}.commits FOR EACH STATEMENT
       WHEN (${others}) EXECUTE FUNCTION ${s}.refuse_while_moving();
     CREATE TRIGGER moving BEFORE INSERT ON ${s}.runs FOR EACH STATEMENT
       WHEN (${others}) EXECUTE FUNCTION ${s}.refuse_while_moving()`,
  )
  await session.rows(prepare(`INSERT INTO ${s}.moves (id, source, started_at_ms) VALUES ($1, $2, $3)`), [
    mark.id,
    source,
    mark.startedAtMs,
  ])
}

export async function finishMove(session: Session, s: string, id: string, nowMs: number): Promise<void> {
  await open(session, s)
  await session.rows(prepare(`UPDATE ${s}.moves SET finished_at_ms = $2 WHERE id = $1 AND finished_at_ms IS NULL`), [
    id,
    nowMs,
  ])
}

/** The names stay: processes that have seen them go by their numbers. */
export async function discardMove(session: Session, s: string): Promise<void> {
  await open(session, s)
  await session.run(
    `TRUNCATE ${s}.runs, ${s}.items, ${s}.attempts, ${s}.operations, ${s}.edits, ${s}.effects, ${s}.actions, ${s}.health, ${s}.leases, ${s}.entities, ${s}.places,
       ${s}.tallies, ${s}.moves;
     UPDATE ${s}.lanes SET gate_until_ms = 0, gate_reason = '', suspended_at_ms = NULL, suspended_reason = NULL;
     UPDATE ${s}.turns SET value = 0`,
  )
}

async function open(session: Session, s: string): Promise<void> {
  await session.run(`DROP TRIGGER IF EXISTS moving ON ${s}.commits; DROP TRIGGER IF EXISTS moving ON ${s}.runs;
    DROP FUNCTION IF EXISTS ${s}.refuse_while_moving()`)
}

/** It becomes part of SQL. */
function assertId(id: string): string {
  if (!/^[\w-]+$/.test(id)) throw new Error(`"${id}" is no id of a move`)
  return id
}
