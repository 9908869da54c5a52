/** What a call to a vendor twin does: one route for whatever path is asked for, made from what the profile tells of it. */
import type { BatchShape } from '../../config/batch-shapes.ts'
import { byExactness, type EndpointTemplate, endpointTemplate } from '../../config/endpoint-template.ts'

import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import { type Duration, formatDuration } from '../../core/duration.ts'
import { isJsonObject, type Json, sha256Hex } from '../../core/json.ts'
import { seededRandom } from '../../core/random.ts'
import { valueAt } from '../../policy/batches/batch-answer.ts'
import type { RecordStore } from '../twin/record-store.ts'
import type { TwinRequest } from '../twin/request.ts'
import { refusal, route, type TwinResponse, type TwinRoute } from '../twin/route.ts'
import { type BatchRecord, batchAnswerBody, batchRecords, type RecordOutcome, refusesWhole } from './batch-writer.ts'
import type { RuleShare } from './fail.ts'
import { parseGraphql } from './graphql.ts'
import { nounOf, type VendorLook } from './looks.ts'
import { type Shelf, search, shelfOf } from './store.ts'
import type { Spoken, Voice } from './voice.ts'

export interface OperationParts {
  readonly settings: IntegrationSettings
  readonly look: VendorLook
  readonly voice: Voice
  readonly unique: Readonly<Record<string, string>>
  /** What records of batches meet, and how many of them. */
  readonly recordFailures: readonly RuleShare[]
  readonly effectKey?: string | undefined
  readonly work?: Duration | undefined
}

const SEARCHES = /^(?:api_)?search$|^query$|^queryAll$|^listRecords$|^getByIds$|^list$|^batch-?read$|\.list$|^read$/
const LOOKS_LIKE_ID = /^\d+$|^[0-9a-f]{8}-[0-9a-f-]{27}$|^[A-Za-z]{2,7}_?[A-Za-z0-9]*\d[A-Za-z0-9]{5,}$|@/

/** By method and path. Calls to one endpoint of the profile share its name. */
export function createOperations(parts: OperationParts): (method: string, path: string) => TwinRoute {
  const templates = Object.keys(parts.settings.endpoints)
    .map((name) => ({ name, ...endpointTemplate(name) }))
    .sort(byExactness)
  const routes = new Map<string, TwinRoute>()
  return (method, given) => {
    const path = withoutBase(given, parts.settings.baseUrl)
    const template = templates.find((one) => one.method === method && one.pattern.test(path))
    const name = nameOf(method, path, template)
    const known = routes.get(name) ?? makeRoute(parts, method, name, template?.name)
    routes.set(name, known)
    return known
  }
}

/** Calls that came with the base path, as over a socket, and without it, as to an address that has one. */
export function withoutBase(path: string, baseUrl: string): string {
  const base = new URL(baseUrl).pathname.replace(/\/+$/, '')
  return base !== '' && path.startsWith(`${base}/`) ? path.slice(base.length) : path
}

function nameOf(method: string, path: string, template: (EndpointTemplate & { readonly name: string }) | undefined) {
  if (template && !template.isFamily) return template.name
  const parts = path.split('/').map((part) => (LOOKS_LIKE_ID.test(withoutSuffix(part)) ? '{id}' : part))
  return `${method} ${parts.join('/')}`
}

function withoutSuffix(text: string): string {
  return text.replace(/\.json$/, '')
}

function makeRoute(parts: OperationParts, method: string, name: string, template: string | undefined): TwinRoute {
  const endpoint = template === undefined ? undefined : parts.settings.endpoints[template]
  const operation = new Operation(parts, name, endpoint)
  const idempotency = endpoint?.idempotency
  return route(method, name.slice(name.indexOf(' ') + 1), {
    ...(parts.work !== undefined && method === 'POST' && { work: parts.work }),
    ...(idempotency?.kind === 'key' && {
      idempotency: { header: idempotency.header, lifetime: formatDuration(idempotency.lifetimeMs) as Duration },
    }),
    apply: (request, store) => operation.run(request, store),
    effectKey: (request, response) => operation.effectsOf(request, response),
  })
}

class Operation {
  readonly #parts: OperationParts
  readonly #name: string
  readonly #endpoint: EndpointSettings | undefined
  /** What was really done, by the answer that tells of it. */
  readonly #effects = new WeakMap<TwinResponse, readonly string[]>()

  constructor(parts: OperationParts, name: string, endpoint: EndpointSettings | undefined) {
    this.#parts = parts
    this.#name = name
    this.#endpoint = endpoint
  }

  /** Faults ask before anything was done: with the answer of nobody. */
  effectsOf(request: TwinRequest, response: TwinResponse): readonly string[] {
    const done = this.#effects.get(response)
    if (done) return done
    const reads = request.method === 'GET' || request.method === 'HEAD'
    return reads || response.body !== undefined ? [] : [this.#keyOf(request, request.body as Json)]
  }

  run(request: TwinRequest, store: RecordStore): TwinResponse {
    const path = withoutBase(request.path, this.#parts.settings.baseUrl)
    const fixed = this.#parts.look.fixed?.[this.#name] ?? this.#parts.look.fixed?.[`${request.method} ${path}`]
    if (fixed !== undefined) return this.#done({ status: 200, body: fixed }, [])
    const shape = this.#endpoint?.batchShape
    const records = shape && batchRecords(shape, request.body)
    if (shape && records) return this.#batch(shape, records, request, store, path)
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        return this.#read(request, store, path)
      case 'DELETE':
        return this.#delete(store, path, request)
      case 'PUT':
      case 'PATCH':
        return this.#update(request, store, path)
      default:
        return this.#post(request, store, path)
    }
  }

  #shelf(store: RecordStore, collection: string): Shelf {
    const { unique, look } = this.#parts
    const natural = this.#endpoint?.idempotency.kind === 'natural' ? this.#endpoint.idempotency.field : undefined
    const found = Object.entries(unique).find(([template]) =>
      endpointTemplate(`ANY ${template}`).pattern.test(collection),
    )
    return shelfOf(store, collection, found?.[1] ?? natural, look)
  }

  #read(request: TwinRequest, store: RecordStore, path: string): TwinResponse {
    const { collection, parent, id } = placesOf(path)
    const record = this.#shelf(store, parent).records.get(id)
    if (record) return this.#done({ status: 200, body: this.#one(record, nounOf(parent)) }, [])
    const isOne = LOOKS_LIKE_ID.test(id) || (this.#endpoint?.endpoint.endsWith('}') ?? false)
    const shelf = this.#shelf(store, collection)
    const all = shelf.records.all()
    return isOne && all.length === 0 ? notFound() : this.#list(search(all, request), shelf.noun)
  }

  #list(records: readonly Parameters<OneOf>[0][], noun: string): TwinResponse {
    const results = records.map((record) => this.#one(record, noun))
    return this.#done({ status: 200, body: this.#parts.look.many?.(results, noun) ?? { results } }, [])
  }

  #one(record: Parameters<OneOf>[0], noun: string): Json {
    return this.#parts.look.one?.(record, noun) ?? (record as unknown as Json)
  }

  #delete(store: RecordStore, path: string, request: TwinRequest): TwinResponse {
    const { parent, id } = placesOf(path)
    if (!this.#shelf(store, parent).records.delete(id)) return notFound()
    const body = this.#parts.look.deleted?.(id)
    const answer = body === undefined ? { status: 204 } : { status: 200, body }
    return this.#done(answer, [`DELETE ${request.path}`])
  }

  #update(request: TwinRequest, store: RecordStore, path: string): TwinResponse {
    const { parent, id } = placesOf(path)
    const shelf = this.#shelf(store, parent)
    const fields = bodyOf(request)
    const inTheWay = shelf.inTheWay(fields, id)
    if (inTheWay) return exists(inTheWay.id)
    const byKey = request.method === 'PUT' || /Field\}\/\{[^}]+\}$/.test(this.#name)
    const written = shelf.patch(id, fields) ?? (byKey ? shelf.put(id, fields) : undefined)
    if (!written) return notFound()
    const body = this.#one(written.record, shelf.noun)
    return this.#done({ status: 200, body }, written.changed ? [this.#keyOf(request, fields)] : [])
  }

  #post(request: TwinRequest, store: RecordStore, path: string): TwinResponse {
    const { collection, parent, id } = placesOf(path)
    const graphql = parseGraphql(request.body)
    if (graphql?.operation === 'query') return this.#done({ status: 200, body: { data: {} } }, [])
    const isSafe = this.#endpoint?.idempotency.kind === 'safe'
    if (SEARCHES.test(id)) {
      const shelf = this.#shelf(store, parent)
      return this.#list(search(shelf.records.all(), request), shelf.noun)
    }
    const item = this.#shelf(store, parent)
    if (item.records.get(id)) return this.#update(request, store, path)
    const shelf = this.#shelf(store, collection)
    const fields = bodyOf(request)
    const inTheWay = shelf.inTheWay(fields)
    if (inTheWay && !isSafe) return exists(inTheWay.id)
    const { record, changed } = isSafe
      ? shelf.upsert(fields, undefined)
      : { record: shelf.create(fields), changed: true }
    const { look } = this.#parts
    const body = look.created?.(record, shelf.noun) ?? this.#one(record, shelf.noun)
    return this.#done({ status: look.createdStatus ?? 201, body }, changed ? [this.#keyOf(request, fields)] : [])
  }

  #batch(
    shape: BatchShape,
    records: readonly BatchRecord[],
    request: TwinRequest,
    store: RecordStore,
    path: string,
  ): TwinResponse {
    const graphql = parseGraphql(request.body)
    const shelf = this.#shelf(store, collectionOfBatch(path))
    const isRead = graphql?.operation === 'query'
    const isUpsert = this.#endpoint?.idempotency.kind === 'safe'
    const refused = records.map((record) => this.#refusalOf(record, shelf, store, isUpsert))
    const failed = refused.filter((one) => one !== undefined)
    const [first] = failed
    if (first && refusesWhole(shape)) return this.#done({ status: first.status, body: first.body }, [])
    // A store that does all or nothing keeps nothing of a call with a bad record in it.
    const keeps = failed.length === 0 || shape.answer.allOrNothing !== true
    const effects: string[] = []
    const outcomes = records.map((record, place): RecordOutcome => {
      const refusedWith = refused[place]
      if (refusedWith) return refusedWith
      if (isRead || !keeps) return { kind: 'done', data: { id: '0' } }
      const { record: kept, changed } = isUpsert
        ? shelf.upsert(record.sent, idIn(record.sent))
        : { record: shelf.create(record.sent), changed: true }
      if (changed) effects.push(this.#keyOf(request, record.sent))
      return { kind: 'done', data: this.#one(kept, shelf.noun) }
    })
    const told = keeps ? outcomes : outcomes.filter(({ kind }) => kind === 'failed')
    const body = batchAnswerBody(shape, keeps ? records : records.filter((_, place) => refused[place]), told)
    const partial = failed.length > 0 ? this.#parts.look.partialStatus : undefined
    return this.#done({ status: partial ?? shape.answer.statuses?.[0] ?? 200, body }, effects)
  }

  #refusalOf(
    record: BatchRecord,
    shelf: Shelf,
    store: RecordStore,
    isUpsert: boolean,
  ): Extract<RecordOutcome, { kind: 'failed' }> | undefined {
    const { voice } = this.#parts
    const inTheWay = isUpsert ? undefined : shelf.inTheWay(record.sent)
    const [method = 'POST', path = '/'] = this.#name.split(' ')
    const spoken = inTheWay ? voice.say('already_exists', { method, path }) : this.#drawFailure(record, store)
    if (!spoken) return undefined
    return { kind: 'failed', status: spoken.sample.status, body: spoken.sample.body ?? '' }
  }

  /** Drawn from the record itself: what is wrong with it stays wrong; what passes by itself, does with one of the next calls. */
  #drawFailure({ sent }: BatchRecord, store: RecordStore): Spoken | undefined {
    for (const { id, share } of this.#parts.recordFailures) {
      const all = this.#parts.voice.samplesOf(id)
      const name = `${id} ${sha256Hex(JSON.stringify(sent))}`
      const tries = store.collection('(tries of records)')
      const tried = Number(tries.get(name)?.['count'] ?? 0)
      const chance = seededRandom(`${name} ${tried}`)
      if (chance.next() >= share) continue
      const spoken = all[Math.floor(chance.next() * all.length)]
      if (spoken && PASSING.has(spoken.rule.class)) tries.put(name, { count: tried + 1 })
      return spoken
    }
    return undefined
  }

  #keyOf(request: TwinRequest, fields: Json): string {
    const { effectKey } = this.#parts
    const value = effectKey === undefined ? undefined : valueAt(fields, effectKey)
    if (value !== undefined && value !== null) return typeof value === 'object' ? JSON.stringify(value) : String(value)
    return `${request.method} ${request.path} ${sha256Hex(JSON.stringify(fields ?? null)).slice(0, 16)}`
  }

  #done(response: TwinResponse, effects: readonly string[]): TwinResponse {
    this.#effects.set(response, effects)
    return response
  }
}

const PASSING: ReadonlySet<string> = new Set(['transient', 'rate_limited', 'wait_long'])

type OneOf = NonNullable<VendorLook['one']>

interface Places {
  readonly collection: string
  readonly parent: string
  readonly id: string
}

function placesOf(path: string): Places {
  const collection = withoutSuffix(path.replace(/\/+$/, '')) || '/'
  const slash = collection.lastIndexOf('/')
  return { collection, parent: collection.slice(0, slash) || '/', id: decode(collection.slice(slash + 1)) }
}

/** `/contacts/batch/create` is about `/contacts`. */
function collectionOfBatch(path: string): string {
  return withoutSuffix(path).replace(/\/batch(?:\/(?:create|update|upsert))?$/, '')
}

function idIn(sent: Json): string | undefined {
  const id = isJsonObject(sent) ? (sent['id'] ?? sent['Id']) : undefined
  return typeof id === 'string' || typeof id === 'number' ? String(id) : undefined
}

function bodyOf(request: TwinRequest): Json {
  return (request.body as Json | undefined) ?? {}
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A stray percent sign is part of the id.
    return text
  }
}

function notFound(): TwinResponse {
  return refusal(404, 'not_found', 'There is no record with this id')
}

function exists(existingId: string): TwinResponse {
  return refusal(409, 'already_exists', 'A record with this value already exists', { existingId })
}
