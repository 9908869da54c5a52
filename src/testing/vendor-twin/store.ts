/** What is behind a vendor twin: records by path, for whatever paths are asked for. */
import { canonicalJson, isJsonObject, type Json, sha256Hex } from '../../core/json.ts'
import { valueAt } from '../../policy/batches/batch-answer.ts'
import type { Collection, RecordStore, TwinRecord } from '../twin/record-store.ts'
import type { TwinRequest } from '../twin/request.ts'
import { nounOf, type VendorLook } from './looks.ts'

/** The records of one path, with what the vendor holds unique among them. */
export interface Shelf {
  readonly noun: string
  readonly records: Collection
  /** The record that has the same unique value. */
  inTheWay(fields: Json, but?: string): TwinRecord | undefined
  create(fields: Json): TwinRecord
  /** Finds the record with the same id, unique value or content, and writes over it. `changed`: it was not so before. */
  upsert(fields: Json, id: string | undefined): { readonly record: TwinRecord; readonly changed: boolean }
  patch(id: string, changes: Json): { readonly record: TwinRecord; readonly changed: boolean } | undefined
  put(id: string, fields: Json): { readonly record: TwinRecord; readonly changed: boolean }
}

/** @param path Of the collection, without `.json`. @param unique Dot path of the body field that no two records share. */
export function shelfOf(store: RecordStore, path: string, unique: string | undefined, look: VendorLook): Shelf {
  const noun = nounOf(path)
  const style = typeof look.ids === 'function' ? look.ids(noun) : look.ids
  const records = store.collection(path, style)
  // Kept as records too, so that a journal brings them back.
  const index = store.collection(`${path} by ${unique ?? 'content'}`)

  function nameOf(fields: Json): string {
    if (unique === undefined) return sha256Hex(canonicalJson(fields))
    const value = valueAt(fields, unique)
    return value === undefined || value === null ? '' : String(canonicalJson(value))
  }
  function known(fields: Json): TwinRecord | undefined {
    const name = nameOf(fields)
    const found = name === '' ? undefined : index.get(name)?.['of']
    return typeof found === 'string' ? records.get(found) : undefined
  }
  function remember(record: TwinRecord, fields: Json): TwinRecord {
    const name = nameOf(fields)
    if (name !== '') index.put(name, { of: record.id })
    return record
  }
  function write(before: TwinRecord | undefined, next: () => TwinRecord | undefined) {
    const record = next()
    if (!record) return undefined
    const changed = before === undefined || contentOf(before) !== contentOf(record)
    if (unique !== undefined) remember(record, record as unknown as Json)
    return { record, changed }
  }

  const shelf: Shelf = {
    noun,
    records,
    inTheWay(fields, but) {
      const existing = unique === undefined ? undefined : known(fields)
      return existing && existing.id !== but ? existing : undefined
    },
    create: (fields) => remember(records.create(objectOf(fields)), fields),
    upsert(fields, id) {
      const existing = (id === undefined ? undefined : records.get(id)) ?? known(fields)
      if (existing) return shelf.patch(existing.id, fields) ?? { record: existing, changed: false }
      return { record: shelf.create(fields), changed: true }
    },
    patch: (id, changes) => {
      const before = records.get(id)
      return write(before, () => records.patch(id, objectOf(changes)))
    },
    put(id, fields) {
      const before = records.get(id)
      const record = records.put(id, objectOf(fields))
      return { record: remember(record, fields), changed: !before || contentOf(before) !== contentOf(record) }
    },
  }
  return shelf
}

function objectOf(fields: Json): Record<string, unknown> {
  return isJsonObject(fields) ? { ...fields } : { value: fields }
}

function contentOf({ createdAt: _createdAt, updatedAt: _updatedAt, ...content }: TwinRecord): string {
  return canonicalJson(content)
}

const PAGING = new Set(['limit', 'after', 'page', 'per_page', 'pageSize', 'properties', 'key', 'q', 'fields'])
const MOST_RECORDS = 100

/** Records that have what the query or the body of a search asks for, wherever they have it. */
export function search(records: readonly TwinRecord[], request: TwinRequest): readonly TwinRecord[] {
  const wanted = [...filtersOfQuery(request), ...filtersIn(request.body)]
  const matching =
    wanted.length === 0 ? records : records.filter((record) => wanted.every((one) => matches(record, one)))
  const limit = Number.parseInt(request.query['limit'] ?? '', 10) || MOST_RECORDS
  return matching.slice(0, Math.min(limit, MOST_RECORDS))
}

interface Filter {
  readonly field: string
  readonly value: string
}

/** `?email=...`, `?filter[emails]=...` */
function filtersOfQuery({ query }: TwinRequest): Filter[] {
  return Object.entries(query)
    .filter(([name]) => !PAGING.has(name))
    .map(([name, value]) => ({ field: /\[(\w+)\]$/.exec(name)?.[1] ?? name, value }))
}

/** `{ propertyName: 'email', value: '...' }`, wherever it stands (HubSpot, Intercom, Notion alike). */
function filtersIn(body: unknown): Filter[] {
  if (Array.isArray(body)) return body.flatMap(filtersIn)
  if (!isJsonObject(body)) return []
  const field = body['propertyName'] ?? body['field'] ?? body['property']
  const { value } = body
  const own = typeof field === 'string' && (typeof value === 'string' || typeof value === 'number')
  return [...(own ? [{ field, value: String(value) }] : []), ...Object.values(body).flatMap(filtersIn)]
}

function matches(value: unknown, filter: Filter): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([name, own]) => {
    if (name !== filter.field) return matches(own, filter)
    return Array.isArray(own) ? own.map(String).includes(filter.value) : String(own) === filter.value
  })
}
