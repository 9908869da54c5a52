import { isJsonObject, type Json } from '../../core/json.ts'
import type { Collection, IdStyle, RecordStore } from './record-store.ts'
import type { TwinRequest } from './request.ts'
import { type FieldProblem, type RouteOptions, refusal, route, type TwinResponse, type TwinRoute } from './route.ts'

export interface ResourceOptions extends Omit<RouteOptions, 'apply' | 'validate'> {
  /** The field that two records may not share: the second is refused with 409 and the id of the first. Default none. */
  readonly uniqueBy?: string
  /** Fields that a new record must have, and that may never be empty. */
  readonly required?: readonly string[]
  /** More rules for new and replaced records. */
  readonly validate?: (request: TwinRequest, store: RecordStore) => readonly FieldProblem[]
  /** Default `uuid`. */
  readonly ids?: IdStyle
  /** Default the last segment of the path. */
  readonly collection?: string
}

const DEFAULT_PAGE = 100
const LARGEST_PAGE = 1000

/**
 * The six routes of a small, believable API for one kind of record: create, list (by any field, in pages), get, put,
 * patch, delete. Options about effects, keys, limits and faults hold for `POST`; those about validation for all writes.
 */
export function resource(path: string, options: ResourceOptions = {}): TwinRoute[] {
  const {
    uniqueBy,
    required = [],
    ids,
    collection = path.split('/').at(-1) as string,
    validate,
    ...createOptions
  } = options
  const records = (store: RecordStore): Collection => store.collection(collection, ids)
  const checkWhole = (request: TwinRequest, store: RecordStore) => [
    ...notAnObject(request),
    ...required.filter((field) => !request.field(field)).map((field) => missing(field)),
    ...(validate?.(request, store) ?? []),
  ]
  const checkChange = (request: TwinRequest) => [
    ...notAnObject(request),
    ...required.filter((field) => isEmptied(request.body, field)).map((field) => missing(field)),
  ]

  function inTheWay(request: TwinRequest, store: RecordStore): TwinResponse | undefined {
    const value = uniqueBy === undefined ? undefined : request.field(uniqueBy)
    if (uniqueBy === undefined || value === undefined) return undefined
    const existing = records(store).findBy(uniqueBy, value)
    if (!existing || existing.id === request.params['id']) return undefined
    const message = `A record with this ${uniqueBy} already exists. Existing ID: ${existing.id}`
    return refusal(409, 'already_exists', message, { existingId: existing.id })
  }

  return [
    route('POST', path, {
      ...createOptions,
      ...(uniqueBy !== undefined && createOptions.effectKey === undefined && { effectKey: uniqueBy }),
      validate: checkWhole,
      apply(request, store) {
        const conflict = inTheWay(request, store)
        if (conflict) return conflict
        const record = records(store).create(fieldsOf(request))
        return { status: 201, headers: { location: `${path}/${record.id}` }, body: record }
      },
    }),
    route('GET', path, { apply: (request, store) => list(request, records(store)) }),
    route('GET', `${path}/{id}`, {
      apply: (request, store) => found(records(store).get(request.params['id'] as string)),
    }),
    route('PUT', `${path}/{id}`, {
      validate: checkWhole,
      apply(request, store) {
        const id = request.params['id'] as string
        const status = records(store).get(id) ? 200 : 201
        return inTheWay(request, store) ?? { status, body: records(store).put(id, fieldsOf(request)) }
      },
    }),
    route('PATCH', `${path}/{id}`, {
      validate: checkChange,
      apply: (request, store) =>
        inTheWay(request, store) ?? found(records(store).patch(request.params['id'] as string, fieldsOf(request))),
    }),
    route('DELETE', `${path}/{id}`, {
      apply: (request, store) =>
        records(store).delete(request.params['id'] as string) ? { status: 204 } : found(undefined),
    }),
  ]
}

function list(request: TwinRequest, records: Collection): TwinResponse {
  const { limit, after, ...wanted } = request.query
  const size = Math.min(Math.max(Number.parseInt(limit ?? '', 10) || DEFAULT_PAGE, 1), LARGEST_PAGE)
  const matching = records
    .all()
    .filter((record) => Object.entries(wanted).every(([field, value]) => String(record[field]) === value))
  const start = after === undefined ? 0 : matching.findIndex(({ id }) => id === after) + 1
  const results = matching.slice(start, start + size)
  const last = results.at(-1)
  const more = start + size < matching.length && last
  return { status: 200, body: { results, ...(more && { paging: { next: { after: last.id } } }) } }
}

function found(record: unknown): TwinResponse {
  return record ? { status: 200, body: record } : refusal(404, 'not_found', 'There is no record with this id')
}

function fieldsOf(request: TwinRequest): Record<string, unknown> {
  return request.body as Record<string, unknown>
}

function notAnObject(request: TwinRequest): FieldProblem[] {
  if (isJsonObject(request.body)) return []
  return [{ field: '', code: 'invalid', message: 'The body must be a JSON object' }]
}

function missing(field: string): FieldProblem {
  return { field, code: 'required', message: `${field} must not be empty` }
}

function isEmptied(body: unknown, field: string): boolean {
  if (!isJsonObject(body) || !Object.hasOwn(body, field)) return false
  const value = (body as Record<string, Json>)[field]
  return value === null || value === ''
}
