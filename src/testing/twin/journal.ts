import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { configurationError } from '../../core/errors.ts'
import type { Effect } from './effects.ts'
import type { RememberedAnswer } from './idempotency.ts'
import type { RecordChange } from './record-store.ts'

/** One line of a journal. */
export type JournalEntry =
  | ({ readonly type: 'effect' } & Effect)
  | ({ readonly type: 'record' } & RecordChange)
  | ({ readonly type: 'answer' } & RememberedAnswer)

/**
 * An append-only file of what a twin did, so that the story goes on when its process is killed and started again. Written
 * before the answer is sent; not synced to disk: it survives a killed process, not a power cut.
 */
export interface Journal {
  readonly entries: readonly JournalEntry[]
  /** Keeps it until `flush`. */
  add(entry: JournalEntry): void
  flush(): void
  /** Idempotent. */
  close(): void
}

const TYPES: ReadonlySet<unknown> = new Set<JournalEntry['type']>(['effect', 'record', 'answer'])

/** @throws HoldfastError `invalid_journal` naming file and line; the unfinished last line of a killed twin is dropped. */
export function openJournal(path: string): Journal {
  const file = openSync(path, 'a+')
  const content = readFileSync(path, 'utf8')
  const whole = content.slice(0, content.lastIndexOf('\n') + 1)
  if (whole.length < content.length) ftruncateSync(file, Buffer.byteLength(whole))
  let waiting = ''
  let open = true
  return {
    entries: whole.split('\n').flatMap((line, index) => (line === '' ? [] : [parseLine(path, index + 1, line)])),
    add(entry) {
      waiting += `${JSON.stringify(entry)}\n`
    },
    flush() {
      if (waiting === '') return
      writeSync(file, waiting)
      waiting = ''
    },
    close() {
      if (!open) return
      open = false
      closeSync(file)
    },
  }
}

function parseLine(path: string, line: number, text: string): JournalEntry {
  let cause: unknown
  try {
    const entry = JSON.parse(text)
    if (TYPES.has(entry?.type)) return entry
  } catch (error) {
    cause = error
  }
  throw configurationError(
    'invalid_journal',
    `Line ${line} of ${path} is not an entry of a twin's journal`,
    'Give the twin a file of its own, or a new one.',
    { path, line },
    cause,
  )
}
