/** One kind of endpoint for each way in which a repetition is, or is not, safe: its twin, and how it is configured. */
import type { WrittenIntegration, WrittenStep } from '../../src/config/schema.ts'
import { sha256Hex } from '../../src/core/json.ts'
import type { FaultRule } from '../../src/testing/faults/fault.ts'
import type { DisturbanceKind } from '../../src/testing/network/disturbance.ts'
import type { RecordStore } from '../../src/testing/twin/record-store.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { refusal, route, type TwinRoute } from '../../src/testing/twin/route.ts'

export interface Kind {
  readonly name: string
  /** For the table. */
  readonly title: string
  readonly routes: readonly TwinRoute[]
  readonly idempotency: WrittenStep['idempotency']
  readonly request: WrittenStep['request']
  readonly reconcile?: WrittenStep['reconcile']
  readonly retry?: WrittenIntegration['retry']
  /** The API keeps copies out by itself, so that the network may deliver requests twice. */
  readonly survivesCopies: boolean
  /** Nothing can tell what happened: a person decides. */
  readonly hopeless?: true
  /** What was there before anything was sent. */
  readonly prepare?: (store: RecordStore, operation: string) => void
}

/** All that the twins keep. */
export const COLLECTION = 'records'
/** A request may arrive this much later, long after its caller gave up on it. */
export const LONGEST_DELAY_MS = 40_000
/** Looks are conclusive only once nothing can be on its way any more. */
const LOOK_DELAY = '60s'
const SHORT_LIFETIME = '5m'
/** Records of a full answer of the recent list: all that a world makes. */
const NEWEST = 2000

const body = { operation: '{{ input.operation }}', amount: '{{ input.amount }}' }
const create = { collection: COLLECTION, required: ['operation'], ids: 'number' } as const
const byOperation = {
  get: '/records?operation={{ input.operation }}',
  found: '{{ answer.data.results[operation = $$.input.operation][0] }}',
  externalId: '{{ found.id }}',
  delay: LOOK_DELAY,
} as const
const post = { method: 'POST', path: '/records', body } as const

export const KINDS: readonly Kind[] = [
  {
    name: 'put',
    title: 'PUT: safe by nature',
    routes: [
      route('PUT', '/records/{id}', {
        apply: ({ params, body: sent }, store) => ({ status: 200, body: put(store, params['id'] as string, sent) }),
      }),
    ],
    idempotency: 'safe',
    request: { method: 'PUT', path: '/records/{id}', params: { id: '{{ input.operation }}' }, body },
    survivesCopies: true,
  },
  {
    name: 'upsert',
    title: 'POST that upserts',
    routes: [
      route('POST', '/upsert', {
        apply: (request, store) => ({
          status: 200,
          body: put(store, request.field('operation') as string, request.body),
        }),
      }),
    ],
    idempotency: 'safe',
    request: { method: 'POST', path: '/upsert', body },
    survivesCopies: true,
  },
  {
    name: 'natural',
    title: 'POST with a natural key',
    routes: resource('/records', { ...create, uniqueBy: 'operation' }),
    idempotency: { natural: 'operation' },
    request: post,
    survivesCopies: true,
  },
  {
    name: 'key',
    title: 'key header, 24 h',
    routes: resource('/records', { ...create, idempotency: { required: true, lifetime: '24h' } }),
    idempotency: { key: 'Idempotency-Key', lifetime: '24h' },
    request: post,
    survivesCopies: true,
  },
  {
    name: 'short-key',
    title: 'key header, 5 min; then reconcile',
    routes: resource('/records', { ...create, idempotency: { required: true, lifetime: SHORT_LIFETIME } }),
    idempotency: { key: 'Idempotency-Key', lifetime: SHORT_LIFETIME },
    request: post,
    reconcile: byOperation,
    // Most retries come when the key is forgotten.
    retry: { base: '8m', cap: '30m', jitter: 'equal' },
    // A copy comes within seconds: the key is known for minutes.
    survivesCopies: true,
  },
  {
    name: 'stored-500',
    title: 'key header that stores 500s; reconcile',
    routes: [
      route('POST', '/records', { idempotency: { required: true }, apply: oftenFailing }),
      ...resource('/records', create).filter(({ method }) => method === 'GET'),
    ],
    idempotency: { key: 'Idempotency-Key' },
    request: post,
    reconcile: byOperation,
    survivesCopies: true,
  },
  {
    name: 'by-key',
    title: 'unsafe; reconcile by key',
    routes: resource('/records', create),
    idempotency: 'unsafe',
    request: post,
    reconcile: byOperation,
    survivesCopies: false,
  },
  {
    name: 'by-id',
    title: 'unsafe; reconcile by external id',
    routes: [
      ...resource('/records', create),
      route('GET', '/by-reference/{reference}', {
        apply({ params }, store) {
          const record = store.collection(COLLECTION).findBy('operation', params['reference'] as string)
          return record ? { status: 200, body: record } : refusal(404, 'not_found', 'There is no such record')
        },
      }),
    ],
    idempotency: 'unsafe',
    request: post,
    reconcile: {
      get: '/by-reference/{{ input.operation }}',
      found: '{{ answer.data }}',
      externalId: '{{ found.id }}',
      delay: LOOK_DELAY,
    },
    survivesCopies: false,
  },
  {
    name: 'recent',
    title: 'unsafe; reconcile by recent list',
    routes: [
      ...resource('/records', create),
      route('GET', '/newest', {
        apply: (_request, store) => ({
          status: 200,
          body: { results: store.collection(COLLECTION).all().slice(-NEWEST).reverse() },
        }),
      }),
    ],
    idempotency: 'unsafe',
    request: post,
    reconcile: {
      get: '/newest',
      found: '{{ answer.data.results[operation = $$.input.operation] }}',
      externalId: '{{ found.id }}',
      newestFirst: { records: '{{ answer.data.results }}', createdAt: 'record.createdAt', within: '1m', size: NEWEST },
      delay: LOOK_DELAY,
    },
    survivesCopies: false,
    // Yesterday's record of the same looks must not be taken for ours.
    prepare: (store, operation) => void store.collection(COLLECTION, 'number').create({ operation, old: true }),
  },
  {
    name: 'hopeless',
    title: 'unsafe; nothing can tell',
    routes: resource('/records', create),
    idempotency: 'unsafe',
    request: post,
    survivesCopies: false,
    hopeless: true,
  },
]

function put(store: RecordStore, id: string, sent: unknown) {
  return store.collection(COLLECTION).put(id, sent as Record<string, unknown>)
}

/** A tenth of all keys get a 500 and nothing else, a tenth get one although it was done; both for as long as the key lives. */
function oftenFailing(request: Parameters<NonNullable<TwinRoute['apply']>>[0], store: RecordStore) {
  const draw = Number.parseInt(sha256Hex(`${request.idempotencyKey}`).slice(0, 4), 16) / 0x1_0000
  const failed = refusal(500, 'api_error', 'Something went wrong on our side')
  if (draw < 0.1) return failed
  const record = store.collection(COLLECTION, 'number').create(request.body as Record<string, unknown>)
  return draw < 0.2 ? failed : { status: 201, body: record }
}

/** Of the API, on reads and writes alike. */
export const FAULTS: readonly FaultRule[] = [
  { fault: 'executed_then_reset', probability: 0.05 },
  { fault: 'executed_then_hang', probability: 0.02 },
  { fault: { kind: 'executed_then_status', status: 500 }, probability: 0.02 },
  { fault: { kind: 'executed_then_status', status: 504 }, probability: 0.02 },
  { fault: { kind: 'executed_then_delayed', delay: '30s' }, probability: 0.01 },
  { fault: 'truncated_body', probability: 0.02 },
  { fault: 'reset_before_executing', probability: 0.03 },
  { fault: 'reset_before_reading', probability: 0.01 },
  { fault: 'hang', probability: 0.01 },
  { fault: { kind: 'status', status: 500 }, probability: 0.02 },
  { fault: { kind: 'status', status: 503 }, probability: 0.02 },
]

export const COPY: FaultRule = { fault: 'duplicated_execution', probability: 0.02 }

/** Of the network, by their share of all requests. */
export const DISTURBANCES: Readonly<Partial<Record<DisturbanceKind, number>>> = {
  refused: 0.02,
  lost_request: 0.02,
  lost_answer: 0.03,
  delayed: 0.04,
  reset_before_reading: 0.01,
  reset_before_executing: 0.02,
  reset_after_executing: 0.03,
  cut_in_the_answer: 0.02,
}

export const NETWORK_COPIES = 0.03
