/** The trail of what operators did; `record` is to be called inside a transaction. */
import { ACTION_COLUMNS, type ActionRow, actionsEndOf, toAction, toActionRow } from '../../actions.ts'
import { cursorOf } from '../../cursor.ts'
import type { ActionFilter, ActionRecord, Page, PageOf } from '../../port.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Actions {
  record(action: ActionRecord): void
  list(filter: ActionFilter, page: Page): PageOf<ActionRecord>
}

export function prepareActions(database: Database): Actions {
  const upsert = prepare(
    database,
    `INSERT INTO actions (${ACTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET details = excluded.details, outcome = excluded.outcome`,
  )
  const select = prepare<ActionRow>(
    database,
    `SELECT ${ACTION_COLUMNS} FROM actions
     WHERE (at_ms, id) < (?1, ?2) AND (?3 IS NULL OR by_whom = ?3) AND (?4 IS NULL OR what = ?4)
     ORDER BY at_ms DESC, id DESC LIMIT ?5`,
  )
  return {
    record(action) {
      const row = toActionRow(action)
      upsert.run(row.id, row.at_ms, row.by_whom, row.origin, row.what, row.target, row.reason, row.details, row.outcome)
    },
    list({ by, what }, { limit, cursor }) {
      const [atMs, id] = actionsEndOf(cursor)
      const rows = select.all(atMs, id, by ?? null, what ?? null, limit + 1)
      const shown = rows.slice(0, limit).map(toAction)
      const last = shown.at(-1)
      return { rows: shown, cursor: last && rows.length > limit ? cursorOf([last.atMs, last.id]) : undefined }
    },
  }
}
