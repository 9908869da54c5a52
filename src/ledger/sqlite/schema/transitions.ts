/** Legal transitions are enforced in the store itself, from the one table in core/item-state.ts. */
import { ITEM_STATES, type ItemState, LEGAL_TRANSITIONS } from '../../../core/item-state.ts'
import type { Database } from '../transactions/connection.ts'
import { ILLEGAL_TRANSITION } from '../transactions/errors.ts'

/**
 * A trigger of this connection, not of the file: it always holds the table of the program that runs, and no migration is
 * needed when the table grows. AFTER, because a BEFORE trigger makes SQLite look the row up once more.
 * A row that keeps its state (a step that still waits for another) makes no transition.
 */
export function enforceLegalTransitions(database: Database): void {
  database.exec(`
    CREATE TEMP TRIGGER legal_transitions AFTER UPDATE OF state ON main.items
    WHEN NOT (${EVERYDAY}) AND OLD.state <> NEW.state AND NOT ${legality()}
    BEGIN
      SELECT RAISE(ABORT, '${ILLEGAL_TRANSITION}' || ' of an item: ' || OLD.state || ' -> ' || NEW.state);
    END`)
}

/** Of the legal ones, those that nearly every item makes: asked for first, for the trigger is run at each of them. */
const EVERYDAY = `OLD.state = 'processing' AND NEW.state = 'succeeded' OR OLD.state = 'queued' AND NEW.state = 'processing'`

/** Comparisons joined by OR: SQLite would build a temporary index for each longer `IN` list, on each update. */
function legality(): string {
  const cases = ITEM_STATES.flatMap((from) => {
    const targets = Object.keys(LEGAL_TRANSITIONS[from]) as ItemState[]
    if (targets.length === 0) return []
    return [`WHEN '${from}' THEN ${targets.map((to) => `NEW.state = '${to}'`).join(' OR ')}`]
  })
  return `CASE OLD.state ${cases.join(' ')} ELSE 0 END`
}
