/** Legal transitions are enforced in the store itself, from the one table in core/item-state.ts. */
import { ITEM_STATES, LEGAL_TRANSITIONS } from '../../core/item-state.ts'
import { ILLEGAL_TRANSITION_STATE } from './errors.ts'

/**
 * The trigger asks in its WHEN clause, so that a legal transition costs no call. A row that keeps its state (a step that
 * still waits for another) makes no transition. After the update, not before: a trigger before it would lock each row once more.
 */
export function transitionGuard(s: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${s}.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'illegal transition of an item: % -> %', OLD.state, NEW.state
        USING ERRCODE = '${ILLEGAL_TRANSITION_STATE}';
    END $$;
    DROP TRIGGER IF EXISTS legal_transitions ON ${s}.items;
    CREATE TRIGGER legal_transitions AFTER UPDATE OF state ON ${s}.items FOR EACH ROW
      WHEN (OLD.state <> NEW.state AND NOT ${legality()}) EXECUTE FUNCTION ${s}.refuse_transition();`
}

function legality(): string {
  const cases = ITEM_STATES.flatMap((from) => {
    const targets = Object.keys(LEGAL_TRANSITIONS[from]).map((to) => `'${to}'`)
    return targets.length === 0 ? [] : [`WHEN '${from}' THEN NEW.state IN (${targets.join(', ')})`]
  })
  return `CASE OLD.state ${cases.join(' ')} ELSE false END`
}
