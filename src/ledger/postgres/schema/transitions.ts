/** Legal transitions are enforced in the store itself, from the one table in core/item-state.ts. */
import { ITEM_STATES, type ItemState, LEGAL_TRANSITIONS } from '../../../core/item-state.ts'
import { ILLEGAL_TRANSITION_STATE } from '../transactions/errors.ts'

/** What happens to nearly every item: it is claimed, and its claim ends. */
const EVERYDAY: {
  readonly from: readonly ItemState[]
  readonly claimed: ItemState
  readonly to: readonly ItemState[]
} = {
  from: ['queued', 'retrying', 'parked'],
  claimed: 'processing',
  to: ['succeeded', 'retrying', 'parked', 'dead_lettered'],
}

/**
 * The trigger knows the everyday transitions by its WHEN clause, so that they cost no call. Of the others it knows nothing: the
 * server reads the clause anew for each statement, and for the whole table that takes longer than all else of a small one. A row
 * that keeps its state (a step that still waits for another) makes no transition. After the update, not before: a trigger before
 * it would lock each row once more.
 */
export function transitionGuard(s: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${s}.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT (${legality()}) THEN
        RAISE EXCEPTION 'illegal transition of an item: % -> %', OLD.state, NEW.state
          USING ERRCODE = '${ILLEGAL_TRANSITION_STATE}';
      END IF;
      RETURN NULL;
    END $$;
    DROP TRIGGER IF EXISTS legal_transitions ON ${s}.items;
    CREATE TRIGGER legal_transitions AFTER UPDATE OF state ON ${s}.items FOR EACH ROW
      WHEN (OLD.state <> NEW.state AND NOT ${everyday()}) EXECUTE FUNCTION ${s}.refuse_transition();`
}

function everyday(): string {
  const { from, claimed, to } = EVERYDAY
  const begins = legalOf(from, (state) => LEGAL_TRANSITIONS[state][claimed] !== undefined)
  const ends = legalOf(to, (state) => LEGAL_TRANSITIONS[claimed][state] !== undefined)
  return `(NEW.state = '${claimed}' AND OLD.state IN (${begins}) OR OLD.state = '${claimed}' AND NEW.state IN (${ends}))`
}

/** The one table decides here too. */
function legalOf(states: readonly ItemState[], isLegal: (state: ItemState) => boolean): string {
  return states
    .filter(isLegal)
    .map((state) => `'${state}'`)
    .join(', ')
}

function legality(): string {
  const cases = ITEM_STATES.flatMap((from) => {
    const targets = Object.keys(LEGAL_TRANSITIONS[from]).map((to) => `'${to}'`)
    return targets.length === 0 ? [] : [`WHEN '${from}' THEN NEW.state IN (${targets.join(', ')})`]
  })
  return `CASE OLD.state ${cases.join(' ')} ELSE false END`
}
