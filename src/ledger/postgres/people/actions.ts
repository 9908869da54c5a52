/** The trail of what operators did. */
import { ACTION_COLUMNS, type ActionRow, actionsEndOf, toAction, toActionRow } from '../../actions.ts'
import { cursorOf } from '../../cursor.ts'
import type { ActionFilter, ActionRecord, Page, PageOf } from '../../port.ts'
import { prepare, type Session, storable } from '../transactions/connection.ts'

export interface Actions {
  record(session: Session, actions: readonly ActionRecord[]): Promise<void>
  list(session: Session, filter: ActionFilter, page: Page): Promise<PageOf<ActionRecord>>
}

export function prepareActions(s: string): Actions {
  const upsert = prepare(
    `INSERT INTO ${s}.actions (${ACTION_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (id) DO UPDATE SET details = excluded.details, outcome = excluded.outcome`,
  )
  const select = prepare<ActionRow>(
    `SELECT ${ACTION_COLUMNS} FROM ${s}.actions
     WHERE (at_ms, id) < ($1::bigint, $2::text) AND ($3::text IS NULL OR by_whom = $3)
       AND ($4::text IS NULL OR what = $4)
     ORDER BY at_ms DESC, id DESC LIMIT $5::int`,
  )
  return {
    async record(session, actions) {
      for (const action of actions) {
        const row = toActionRow(action)
        const { id, at_ms, by_whom, origin, what, target, reason, details, outcome } = row
        const values = [id, at_ms, by_whom, origin, what, target, reason, details, outcome]
        await session.rows(upsert, values.map(storableValue))
      }
    },
    async list(session, { by, what }, { limit, cursor }) {
      const [atMs, id] = actionsEndOf(cursor)
      const rows = await session.rows(select, [
        atMs,
        id,
        storableValue(by ?? null),
        storableValue(what ?? null),
        limit + 1,
      ])
      const shown = rows.slice(0, limit).map(toAction)
      const last = shown.at(-1)
      return { rows: shown, cursor: last && rows.length > limit ? cursorOf([last.atMs, last.id]) : undefined }
    },
  }
}

function storableValue<Value extends string | number | null>(value: Value): string | number | null {
  return typeof value === 'string' ? storable(value) : value
}
