import type { Clock } from '../../core/clock.ts'
import { newId } from '../../core/ids.ts'
import { type Json, mergePatch } from '../../core/json.ts'
import { type Random, randomInteger } from '../../core/random.ts'

/** How ids look: a UUID, a growing number, or a prefix with 14 letters and digits (`con_8sZ1...`). */
export type IdStyle = 'uuid' | 'number' | { readonly prefix: string }

export interface TwinRecord {
  readonly id: string
  /** RFC 3339. */
  readonly createdAt: string
  readonly updatedAt: string
  readonly [field: string]: unknown
}

/** The records behind a twin, by collection. */
export interface RecordStore {
  collection(name: string, ids?: IdStyle): Collection
}

export interface Collection {
  create(fields: Readonly<Record<string, unknown>>): TwinRecord
  get(id: string): TwinRecord | undefined
  /** In the order of creation. */
  all(): readonly TwinRecord[]
  /** The first record with this value. Fast: kept in an index from the first use on. */
  findBy(field: string, value: string): TwinRecord | undefined
  /** Creates or replaces the record of this id. */
  put(id: string, fields: Readonly<Record<string, unknown>>): TwinRecord
  /** RFC 7396 merge patch. */
  patch(id: string, changes: Readonly<Record<string, unknown>>): TwinRecord | undefined
  delete(id: string): boolean
}

export type RecordChange = { readonly collection: string; readonly id: string; readonly record: TwinRecord | undefined }

export interface WritableRecordStore extends RecordStore {
  /** Takes over a change from a journal. */
  restore(change: RecordChange): void
}

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export function createRecordStore(
  clock: Clock,
  random: Random,
  onChange: (change: RecordChange) => void,
): WritableRecordStore {
  const tables = new Map<string, Table>()
  let lastNumber = 100_000_000

  function tableOf(name: string): Table {
    const table = tables.get(name) ?? createTable()
    tables.set(name, table)
    return table
  }

  function makeId(style: IdStyle): string {
    if (style === 'uuid') return newId(clock, random)
    if (style !== 'number') return style.prefix + randomLetters(random, 14)
    lastNumber += randomInteger(random, 1, 40)
    return String(lastNumber)
  }

  function collection(name: string, ids: IdStyle = 'uuid'): Collection {
    const table = tableOf(name)

    function write(id: string, fields: Readonly<Record<string, unknown>>): TwinRecord {
      const now = new Date(clock.wallMs()).toISOString()
      const createdAt = table.get(id)?.createdAt ?? now
      const record = { ...fields, id, createdAt, updatedAt: now }
      table.set(id, record)
      onChange({ collection: name, id, record })
      return record
    }

    return {
      create: (fields) => write(makeId(ids), fields),
      get: table.get,
      all: table.all,
      findBy: table.findBy,
      put: write,
      patch(id, changes) {
        const record = table.get(id)
        if (!record) return undefined
        return write(id, mergePatch(record as unknown as Json, changes as Json) as Record<string, unknown>)
      },
      delete(id) {
        if (!table.get(id)) return false
        table.set(id, undefined)
        onChange({ collection: name, id, record: undefined })
        return true
      },
    }
  }

  return {
    collection,
    restore({ collection: name, id, record }) {
      tableOf(name).set(id, record)
      if (/^\d{1,15}$/.test(id)) lastNumber = Math.max(lastNumber, Number(id))
    },
  }
}

interface Table {
  get(id: string): TwinRecord | undefined
  all(): readonly TwinRecord[]
  findBy(field: string, value: string): TwinRecord | undefined
  set(id: string, record: TwinRecord | undefined): void
}

function createTable(): Table {
  const records = new Map<string, TwinRecord>()
  /** Field, value, ids in the order of creation. */
  const indexes = new Map<string, Map<string, Set<string>>>()

  function index(field: string): Map<string, Set<string>> {
    const known = indexes.get(field)
    if (known) return known
    const fresh = new Map<string, Set<string>>()
    indexes.set(field, fresh)
    for (const record of records.values()) addTo(fresh, field, record)
    return fresh
  }

  return {
    get: (id) => records.get(id),
    all: () => [...records.values()],
    findBy(field, value) {
      const [id] = index(field).get(value) ?? []
      return id === undefined ? undefined : records.get(id)
    },
    set(id, record) {
      const before = records.get(id)
      for (const [field, values] of indexes) {
        if (before) values.get(String(before[field]))?.delete(id)
        if (record) addTo(values, field, record)
      }
      if (record) records.set(id, record)
      else records.delete(id)
    },
  }
}

function addTo(values: Map<string, Set<string>>, field: string, record: TwinRecord): void {
  const value = String(record[field])
  values.set(value, (values.get(value) ?? new Set()).add(record.id))
}

export function randomLetters(random: Random, length: number): string {
  return Array.from({ length }, () => LETTERS[Math.floor(random.next() * LETTERS.length)]).join('')
}
