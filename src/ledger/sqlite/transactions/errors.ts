/** SQLite's errors as ours: a stable code, what was wrong and where, and what to do about it. */
import { HoldfastError, isHoldfastError, messageOf } from '../../../core/errors.ts'
import { type Explanation, explained, illegalTransition } from '../../store-errors.ts'

/** Primary result codes, https://sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READ_ONLY = 8
const IO_ERROR = 10
const CORRUPT = 11
const FULL = 13
const CANNOT_OPEN = 14
const NOT_A_DATABASE = 26

/** What the trigger of `transitions.ts` says first. */
export const ILLEGAL_TRANSITION = 'illegal transition'
/** What the triggers of `moving.ts` say, before the address. */
export const MOVED = 'the store has moved to '

const CORRUPTED: Explanation = {
  code: 'store_corrupt',
  what: 'is damaged, or is not a SQLite database',
  hint: 'Check the path. If it was a Holdfast store, keep the file and restore the last backup beside it.',
}
const UNAVAILABLE: Explanation = {
  code: 'store_unavailable',
  what: 'cannot be opened or read',
  hint: 'Check that the folder exists, that this user may write to it, and that the disk is healthy and has room.',
}

const LOCKED_BY_ANOTHER: Explanation = {
  code: 'store_busy',
  what: 'is locked by another process',
  hint: 'Find the process that holds it (a database tool?), end it, and try again.',
}

const EXPLANATIONS: Readonly<Record<number, Explanation>> = {
  [BUSY]: LOCKED_BY_ANOTHER,
  [LOCKED]: LOCKED_BY_ANOTHER,
  [READ_ONLY]: {
    code: 'store_read_only',
    what: 'cannot be written',
    hint: 'Give this user the right to write to the file and to its folder (SQLite keeps two more files beside it).',
  },
  [IO_ERROR]: UNAVAILABLE,
  [CANNOT_OPEN]: UNAVAILABLE,
  [CORRUPT]: CORRUPTED,
  [NOT_A_DATABASE]: CORRUPTED,
  [FULL]: {
    code: 'store_full',
    what: 'has no space left',
    hint: 'Free some disk space: nothing was changed, and the store goes on working as soon as there is room.',
  },
}

/** True where another connection held the lock: nothing was done, and trying again later is right. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error)
  return code === BUSY || code === LOCKED
}

/** Any error of the store, understood. Errors that are ours already pass through. */
export function storeError(error: unknown, store: string): HoldfastError {
  if (isHoldfastError(error)) return error
  const message = messageOf(error)
  if (message.startsWith(ILLEGAL_TRANSITION)) return illegalTransition(store, error)
  if (message.startsWith(MOVED)) return storeMoved(message.slice(MOVED.length), store, error)
  const code = primaryCode(error)
  if (code === undefined) return explained(undefined, { store, cause: error })
  return explained(EXPLANATIONS[code], { store, cause: error, details: { sqliteCode: code } })
}

export function storeBusy(store: string, waitedMs: number): HoldfastError {
  return new HoldfastError({
    code: 'store_busy',
    class: 'configuration',
    message: `The store ${store} was locked by another process for ${Math.round(waitedMs)} ms; nothing was changed`,
    hint: 'Find the process that holds a write transaction open (a database tool?), end it, and try again.',
    details: { store, waitedMs },
  })
}

function storeMoved(to: string, store: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'store_moved',
    class: 'configuration',
    message: `The store ${store} has moved, or is being moved, to ${to}: nothing is written here any more`,
    hint: 'Set "store" in the configuration to that address, with its password; `holdfast migrate` tells when it is there.',
    details: { store, to },
    cause,
  })
}
/** `errcode` is SQLite's extended code; its low byte is the primary one. */
function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}
