/**
 * How good answers of a vendor look, and how much it takes: what profiles, which are about failures, do not tell. As data; a vendor that
 * is not here answers with plain records. Numbers are those that vendors publish for an ordinary account, for tests, not for planning.
 */
import type { WrittenRate } from '../../config/schema-parts.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { IdStyle, TwinRecord } from '../twin/record-store.ts'

export interface VendorLook {
  /** Default `uuid`. */
  readonly ids?: IdStyle | ((noun: string) => IdStyle)
  /** One record, as it is answered. Default as it is. */
  readonly one?: (record: TwinRecord, noun: string) => Json
  /** What the creation of one answers. Default `one`. */
  readonly created?: (record: TwinRecord, noun: string) => Json
  /** Of a creation. Default 201. */
  readonly createdStatus?: number
  /** Of a deletion: default 204, without a body. */
  readonly deleted?: (id: string) => Json
  /** A list, already in the form of `one`. Default `{ results }`. */
  readonly many?: (records: readonly Json[], noun: string) => Json
  /** Of a batch of which some records failed. Default 200. */
  readonly partialStatus?: number
  /** By name of a reading, or any other name for what the vendor keeps quiet about. */
  readonly limits?: Readonly<Record<string, WrittenRate>>
  /** Paths (templates) and the body field, as a dot path, of which they hold every value only once. */
  readonly unique?: Readonly<Record<string, string>>
  /** Endpoints that answer this, and keep nothing. */
  readonly fixed?: Readonly<Record<string, Json>>
}

/** Ids that are numbers in JSON. */
function numbered(record: TwinRecord): Json {
  return { ...record, id: Number(record.id) } as unknown as Json
}

const asIs = (record: TwinRecord): Json => record as unknown as Json

const PREFIXES: Readonly<Record<string, string>> = {
  customer: 'cus_',
  payment_intent: 'pi_',
  charge: 'ch_',
  refund: 're_',
  subscription: 'sub_',
  invoice: 'in_',
}

const WORDS = 'A short answer of the twin.'

const salesforce: VendorLook = {
  ids: { prefix: '0035' },
  created: ({ id }) => ({ id, success: true, errors: [] }),
  many: (records) => ({ totalSize: records.length, done: true, records }),
  limits: { daily: '100000/24h' },
}

const shopifyGraphql: VendorLook = { ids: 'number', limits: { cost: '1000/20s' } }

export const LOOKS: Readonly<Record<string, VendorLook>> = {
  airtable: {
    ids: { prefix: 'rec' },
    createdStatus: 200,
    one: ({ id, createdAt, fields }) => ({ id, createdTime: createdAt, fields: (fields ?? {}) as Json }),
    many: (records) => ({ records }),
    deleted: (id) => ({ id, deleted: true }),
    limits: { base: '5/1s' },
  },
  anthropic: {
    limits: { requests: '50/1m', tokens: '100000/1m', 'input-tokens': '50000/1m', 'output-tokens': '50000/1m' },
    fixed: {
      'POST /v1/messages': {
        id: 'msg_01TwinTwinTwinTwin',
        type: 'message',
        role: 'assistant',
        model: 'claude-sonnet-4-5',
        content: [{ type: 'text', text: WORDS }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: { input_tokens: 12, output_tokens: 8 },
      },
      'POST /v1/messages/count_tokens': { input_tokens: 12 },
    },
  },
  apollo: { createdStatus: 200, limits: { minute: '50/1m', hour: '200/1h', day: '600/24h' } },
  clay: { limits: { requests: '10/1s' } },
  github: {
    ids: 'number',
    one: numbered,
    many: (records) => records,
    limits: { requests: '5000/1h' },
  },
  google: { createdStatus: 200, limits: { user: '300/1m' }, many: (items) => ({ items }) },
  hubspot: {
    ids: 'number',
    partialStatus: 207,
    limits: { burst: '100/10s', daily: '250000/24h' },
    unique: { '/crm/v3/objects/contacts': 'properties.email', '/crm/v3/objects/companies': 'properties.domain' },
    one: (record) => ({ ...(asIs(record) as object), archived: false }) as Json,
  },
  intercom: {
    createdStatus: 200,
    one: (record, noun) => ({ type: noun, ...(asIs(record) as object) }) as Json,
    many: (data) => ({ type: 'list', data, total_count: data.length }),
    limits: { requests: '1000/1m' },
    unique: { '/contacts': 'email' },
  },
  'microsoft-graph': { many: (value) => ({ value }), limits: { mailbox: '10000/10m' } },
  notion: {
    createdStatus: 200,
    one: (record, noun) => ({ object: noun, ...(asIs(record) as object) }) as Json,
    many: (results) => ({ object: 'list', results, next_cursor: null, has_more: false }),
    limits: { requests: '3/1s' },
  },
  openai: {
    limits: { requests: '500/1m', tokens: '200000/1m' },
    fixed: {
      'POST /v1/chat/completions': {
        id: 'chatcmpl-Twin',
        object: 'chat.completion',
        created: 1_767_225_600,
        model: 'gpt-4.1-mini',
        choices: [{ index: 0, finish_reason: 'stop', logprobs: null, message: { role: 'assistant', content: WORDS } }],
        usage: { prompt_tokens: 12, completion_tokens: 8, total_tokens: 20 },
      },
      'POST /v1/responses': {
        id: 'resp_Twin',
        object: 'response',
        status: 'completed',
        error: null,
        output: [
          { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: WORDS, annotations: [] }] },
        ],
      },
      'POST /v1/embeddings': {
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2, 0.3] }],
        usage: { prompt_tokens: 12, total_tokens: 12 },
      },
    },
  },
  outreach: {
    ids: 'number',
    one: jsonApi,
    many: (data) => ({ data }),
    limits: { requests: '10000/1h' },
    unique: { '/prospects': 'data.attributes.emails' },
  },
  salesforce,
  'salesforce-bulk': salesforce,
  salesloft: {
    ids: 'number',
    createdStatus: 200,
    one: (record) => ({ data: numbered(record) }),
    many: (data) => ({ data: data.map((one) => (one as { data: Json }).data) }),
    limits: { minute: '600/1m' },
    unique: { '/people': 'email_address' },
  },
  segment: { createdStatus: 200, created: () => ({ success: true }), limits: { requests: '1000/1s' } },
  sendgrid: {
    createdStatus: 202,
    limits: { requests: '600/1m' },
    created: ({ id }) => ({ job_id: id }),
    many: (result) => ({ result }),
  },
  shopify: {
    ids: 'number',
    one: wrapped,
    many: unwrapped,
    limits: { bucket: '40/20s' },
    unique: { '/admin/api/{version}/customers': 'customer.email' },
  },
  'shopify-graphql': shopifyGraphql,
  slack: {
    createdStatus: 200,
    one: (record) => ({ ok: true, ts: record.id, message: asIs(record) }),
    many: (items) => ({ ok: true, items }),
    deleted: () => ({ ok: true }),
    limits: { method: '50/1m' },
  },
  stripe: {
    ids: (noun) => ({ prefix: PREFIXES[noun] ?? `${noun.slice(0, 3)}_` }),
    createdStatus: 200,
    one: ({ createdAt, updatedAt: _updatedAt, ...record }, noun) =>
      ({ ...record, object: noun, created: Math.floor(Date.parse(createdAt) / 1000), livemode: false }) as Json,
    many: (data) => ({ object: 'list', data, has_more: false }),
    deleted: (id) => ({ id, deleted: true }),
    limits: { 'live mode': '100/1s' },
  },
  twilio: {
    ids: (noun) => ({ prefix: noun === 'call' ? 'CA' : 'SM' }),
    one: ({ id, ...record }) =>
      ({ sid: id, ...record, status: 'queued', error_code: null, error_message: null }) as Json,
    limits: { account: '100/1s' },
  },
  zendesk: {
    ids: 'number',
    one: wrapped,
    many: unwrapped,
    limits: { account: '700/1m' },
    unique: { '/api/v2/users': 'user.email' },
  },
  zoominfo: {
    createdStatus: 200,
    limits: { second: '25/1s', 'second (old name)': '25/1s', hour: '10000/1h', day: '100000/24h' },
  },
}

function jsonApi(record: TwinRecord, noun: string): Json {
  const { data } = record as { readonly data?: { readonly type?: string; readonly attributes?: Json } }
  return { data: { type: data?.type ?? noun, id: Number(record.id), attributes: data?.attributes ?? {} } }
}

/** `{ order: { ... } }`, sent and answered. */
function wrapped(record: TwinRecord, noun: string): Json {
  const { [noun]: own, ...rest } = record
  const fields = typeof own === 'object' && own !== null ? { ...own, ...rest } : rest
  return { [noun]: { ...fields, id: Number(record.id) } as Json }
}

function unwrapped(records: readonly Json[], noun: string): Json {
  return { [`${noun}s`]: records.map((one) => (isJsonObject(one) ? (one[noun] ?? one) : one)) }
}

/** `customers` -> `customer`, `companies` -> `company`, `people` -> `person`. */
export function nounOf(collection: string): string {
  const last = (collection.split('/').at(-1) ?? '').replace(/\.json$/, '').replace(/[^\w-]/g, '') || 'record'
  if (last === 'people') return 'person'
  if (last.endsWith('ies')) return `${last.slice(0, -3)}y`
  return last.endsWith('s') && !last.endsWith('ss') ? last.slice(0, -1).toLowerCase() : last.toLowerCase()
}
