/**
 * What the server does in one statement: a transaction of a few statements costs more for what is said back and forth than for what
 * is done. Each has a name by its text, so that processes of different versions do not get in each other's way.
 */
import { sha256Hex } from '../../../core/json.ts'
import { PLANS } from './transact.ts'

export interface ProcedureText {
  readonly name: string
  /** Types of its own parameters, `$1` and so on. Four more follow them; see `Transactor.call`. */
  readonly takes: readonly string[]
  /** Columns. */
  readonly returns: string
  /** Of PL/pgSQL. */
  readonly variables?: string
  /** Statements of PL/pgSQL; each sees what was committed before it began. */
  readonly body: string
}

export interface Procedure {
  readonly create: string
  readonly call: string
}

/**
 * It begins with the settings that every transaction has. Whether it is to be kept is decided by what it finds: only {@link keptIf}
 * leaves its number and lets the commit wait for the disk.
 */
export function procedureOf(s: string, { name, takes, returns, variables, body }: ProcedureText): Procedure {
  const own = takes.length
  const plans = Object.entries(PLANS).map(([setting, value]) => `set_config('${setting}', '${value}', true)`)
  const text = `(${[...takes, 'text', 'text', 'text', 'text'].join(', ')}) RETURNS TABLE (${returns}) LANGUAGE plpgsql AS $procedure$
    #variable_conflict use_column${
      variables
        ? `
    DECLARE ${variables}`
        : ''
    }
    BEGIN
      PERFORM num_nulls(${plans.join(', ')}, set_config('synchronous_commit', 'off', true),
        set_config('holdfast.mark', $${own + 1}, true), set_config('holdfast.slot', $${own + 2}, true),
        set_config('lock_timeout', $${own + 3}, true), set_config('holdfast.durable', $${own + 4}, true));
      ${body}
    END $procedure$`
  const fullName = `${s}.${name}_${sha256Hex(text).slice(0, 12)}`
  const parameters = Array.from({ length: own + 4 }, (_, index) => `$${index + 1}`)
  return {
    create: `CREATE OR REPLACE FUNCTION ${fullName}${text};`,
    call: `SELECT * FROM ${fullName}(${parameters.join(', ')})`,
  }
}

/** For the four parameters of a call that changes nothing. */
export const NO_MARK = ['', '', '5s', 'on'] as const

/** When it was called, by the clock of whoever did: in the body of a procedure. */
export const CALLED_AT_MS = `(current_setting('holdfast.mark')::json ->> 3)::bigint`

/**
 * One of the parts of a WITH: keeps what a procedure did, if the condition holds. In a transaction that is no procedure, which is kept
 * anyway, nothing.
 */
export function keptIf(s: string, condition: string): string {
  return `INSERT INTO ${s}.commits AS c (writer, slot, number, at_ms)
    SELECT (m ->> 0)::bigint, (m ->> 1)::int, (m ->> 2)::bigint, (m ->> 3)::bigint
    FROM (SELECT nullif(current_setting('holdfast.mark', true), '')::json AS m OFFSET 0) mark WHERE m IS NOT NULL AND ${condition}
    ON CONFLICT (writer, slot) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms
    RETURNING set_config('synchronous_commit', current_setting('holdfast.durable'), true)`
}
