/** The states of an item (design.md, section 4). The balance of rule 2 is over exactly these. */
export const ITEM_STATES = [
  'waiting',
  'queued',
  'processing',
  'retrying',
  'parked',
  'unknown_outcome',
  'dead_lettered',
  'succeeded',
  'skipped',
  'superseded',
  'cancelled',
  'discarded',
] as const

export type ItemState = (typeof ITEM_STATES)[number]

/** States that nothing leaves. */
export const END_STATES = ['succeeded', 'skipped', 'superseded', 'cancelled', 'discarded'] as const

export function isEndState(state: ItemState): boolean {
  return (END_STATES as readonly string[]).includes(state)
}

/**
 * Every legal transition, with why it happens. The ledger refuses any other; the diagram in docs/ is made from this table.
 */
export const LEGAL_TRANSITIONS: Readonly<Record<ItemState, Partial<Readonly<Record<ItemState, string>>>>> = {
  waiting: {
    queued: 'the last step it waited for ended well, or its turn has come',
    skipped: 'a step it needs was skipped, or degraded',
    superseded: 'a newer value replaces it',
    cancelled: 'an operator, or the caller, gave up on it',
    discarded: 'a step it depends on was discarded',
  },
  queued: {
    processing: 'claimed by a worker',
    superseded: 'a newer value replaces it',
    cancelled: 'an operator, or the caller, gave up on it',
    discarded: 'an operator discarded it',
  },
  processing: {
    processing: 'its lease expired and another worker took over',
    queued: 'given back unsent at shutdown',
    succeeded: 'done',
    retrying: 'failed, and will be tried again',
    parked: 'held: gate, breaker, limiter, credentials',
    unknown_outcome: 'it may have happened; it will be looked for, or a person decides',
    dead_lettered: 'failed for good',
    skipped: 'there is nothing to do',
    cancelled: 'cancelled while it ran',
  },
  retrying: {
    processing: 'due, and claimed',
    queued: 'an operator wants it now',
    superseded: 'a newer value replaces it',
    cancelled: 'an operator, or the caller, gave up on it',
    discarded: 'an operator discarded it',
  },
  parked: {
    processing: 'due, and claimed',
    queued: 'what held it is gone',
    superseded: 'a newer value replaces it',
    cancelled: 'an operator, or the caller, gave up on it',
    discarded: 'an operator discarded it',
  },
  unknown_outcome: {
    processing: 'claimed, to look for the effect',
    succeeded: 'a person says that it happened',
    queued: 'a person says that it did not happen',
    waiting: 'a person says that it did not happen, and others of its entity are before it',
    discarded: 'an operator discarded it',
  },
  dead_lettered: {
    processing: 'claimed by the slow lane',
    queued: 'replayed',
    waiting: 'replayed, and others of its entity are before it',
    superseded: 'a newer value replaces it',
    succeeded: 'a person did it by hand',
    discarded: 'an operator discarded it',
  },
  succeeded: {},
  skipped: {},
  superseded: {},
  cancelled: {},
  discarded: {},
}

export function isLegalTransition(from: ItemState, to: ItemState): boolean {
  return LEGAL_TRANSITIONS[from][to] !== undefined
}
