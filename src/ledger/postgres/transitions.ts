/** Legal transitions are enforced in the store itself, from the one table in core/item-state.ts. */
import { ITEM_STATES, type ItemState, isLegalTransition, LEGAL_TRANSITIONS } from '../../core/item-state.ts'
import { ILLEGAL_TRANSITION_STATE } from './errors.ts'

/** What happens to nearly all items. */
const EVERYDAY: readonly (readonly [from: ItemState, to: ItemState])[] = [
  ['queued', 'processing'],
  ['retrying', 'processing'],
  ['processing', 'succeeded'],
  ['processing', 'retrying'],
  ['waiting', 'queued'],
]

/**
 * An everyday transition is let through by the WHEN clause, without a call. All the others are left to the function: the clause is read and
 * prepared anew by each statement that changes items, and the whole table cost more there than a claim of one item does otherwise. A row that
 * keeps its state (a step that still waits for another) makes no transition. After the update, not before: a trigger before it would
 * lock each row once more.
 */
export function transitionGuard(s: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${s}.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF (${legality()}) THEN RETURN NULL; END IF;
      RAISE EXCEPTION 'illegal transition of an item: % -> %', OLD.state, NEW.state
        USING ERRCODE = '${ILLEGAL_TRANSITION_STATE}';
    END $$;
    DROP TRIGGER IF EXISTS legal_transitions ON ${s}.items;
    CREATE TRIGGER legal_transitions AFTER UPDATE OF state ON ${s}.items FOR EACH ROW
      WHEN (OLD.state <> NEW.state AND NOT ${everyday()}) EXECUTE FUNCTION ${s}.refuse_transition();`
}

function legality(): string {
  const cases = ITEM_STATES.flatMap((from) => {
    const targets = Object.keys(LEGAL_TRANSITIONS[from]).map((to) => `'${to}'`)
    return targets.length === 0 ? [] : [`WHEN '${from}' THEN NEW.state IN (${targets.join(', ')})`]
  })
  return `CASE OLD.state ${cases.join(' ')} ELSE false END`
}

function everyday(): string {
  const pairs = EVERYDAY.filter(([from, to]) => isLegalTransition(from, to)).map(([from, to]) => `'${from}>${to}'`)
  return `(OLD.state || '>' || NEW.state IN (${pairs.join(', ')}))`
}
