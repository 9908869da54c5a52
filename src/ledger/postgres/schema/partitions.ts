/**
 * The history in partitions by the number of the run, each made before it is needed and dropped whole when all its runs are
 * forgotten. What comes before its partition exists goes to a table for the rest, so nothing ever fails for want of one.
 */
import { prepare, type Session } from '../transactions/connection.ts'
import { hasState } from '../transactions/errors.ts'
import type { Transactor } from '../transactions/transact.ts'

export const RUNS_PER_PARTITION = 262_144
const HISTORIES = ['attempts', 'operations'] as const
/** What would have to go to a new partition is in the table for the rest already. */
const ROWS_IN_THE_WAY = '23514'
const LOCK_TIMEOUT_MS = 1000

export interface Partitions {
  /** Makes the partition for what follows on this run, in the background. */
  reach(newestRun: number): void
  /** Drops what no run is left of. */
  dropEmpty(): Promise<void>
  idle(): Promise<void>
}

export function createPartitions(s: string, { write, read }: Transactor, runsPer = RUNS_PER_PARTITION): Partitions {
  const selectEmpty = prepare<{ number: number }>(
    // The newest two are left alone: runs that are being accepted have their numbers already.
    `WITH parts AS (
       SELECT substring(c.relname FROM '_([0-9]+)$')::bigint AS number
       FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
       WHERE h.inhparent = '${s}.attempts'::regclass AND c.relname ~ '_[0-9]+$')
     SELECT p.number FROM parts p
     WHERE p.number < (SELECT max(no) FROM ${s}.runs) / $1 - 1 AND NOT EXISTS (
       SELECT 1 FROM ${s}.runs r WHERE r.no >= p.number * $1 AND r.no < (p.number + 1) * $1)
     ORDER BY p.number`,
  )
  // The first is made by the migration.
  let made = 0
  let making: Promise<void> = Promise.resolve()

  async function make(number: number): Promise<void> {
    try {
      await write((session) => createPartition(session, s, number, runsPer))
    } catch (error) {
      // Its rows stay where they are, and the next partition is made in time.
      if (!hasState(error, ROWS_IN_THE_WAY)) made = Math.min(made, number - 1)
    }
  }

  return {
    reach(newestRun) {
      const wanted = Math.floor((newestRun + runsPer / 2) / runsPer)
      if (wanted <= made) return
      made = wanted
      making = making.then(() => make(wanted))
    },
    async dropEmpty() {
      const empty = await read((session) => session.rows(selectEmpty, [runsPer]))
      for (const { number } of empty) {
        await write((session) =>
          session.run(
            `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};
             ${HISTORIES.map((table) => `DROP TABLE IF EXISTS ${s}.${table}_${number}`).join(';')}`,
          ),
        )
      }
    },
    idle: () => making,
  }
}

/** Made apart and then attached: so neither readers nor writers of the history wait. */
export async function createPartition(session: Session, s: string, number: number, runsPer = RUNS_PER_PARTITION) {
  const bounds = `FROM (${number * runsPer}) TO (${(number + 1) * runsPer})`
  await session.run(`SELECT pg_advisory_xact_lock(hashtext('holdfast partitions ${s}'))`)
  for (const table of HISTORIES) {
    const name = `${table}_${number}`
    const [known] = await session.once<{ known: boolean }>(`SELECT to_regclass('${s}.${name}') IS NOT NULL AS known`)
    if (known?.known) continue
    await session.run(
      `CREATE TABLE ${s}.${name} (LIKE ${s}.${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
       ALTER TABLE ${s}.${table} ATTACH PARTITION ${s}.${name} FOR VALUES ${bounds}`,
    )
  }
}
