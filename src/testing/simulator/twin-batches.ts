/** Calls with several records, at every simulated vendor: answered record by record, or all or nothing. */
import { sha256Hex } from '../../core/json.ts'
import type { RecordStore } from '../twin/record-store.ts'
import type { TwinRequest } from '../twin/request.ts'
import { refusal, route, type TwinResponse, type TwinRoute } from '../twin/route.ts'

/** Tells which call it is, so that one request done twice is known from two requests. */
export const CALL_HEADER = 'x-call'

/** A record of such a call, as simulated pipelines send it. */
export interface BatchRecord {
  readonly operation: string
  /** The item it is. */
  readonly item: string
  readonly step?: string
  readonly refused?: readonly string[]
}

interface Told {
  readonly status: number
  readonly operation: string
  readonly code?: string
}

/** More in one call are too large (413). */
const MOST_RECORDS = 12
/** Of all records: those that the API has no time for when they come first. */
const BUSY_SHARE = 0.1
/** By each record's `operation`: those that were told to come again. */
const BUSY = 'busy'

/** `POST /batch-records`, `/batch-things` answer for each; with `-atomic` behind they do all or nothing, and do not say who was to blame. */
export function batchRoutes(isRefused: (record: BatchRecord) => boolean): readonly TwinRoute[] {
  const put = (store: RecordStore, { operation, ...fields }: BatchRecord): void => {
    store.collection('things').put(operation, fields)
  }
  // Where `GET /records?operation=` finds it.
  const create = (store: RecordStore, record: BatchRecord): void => {
    store.collection('records', 'number').create({ ...record })
  }
  return [
    route('POST', '/batch-records', { effectKey: doneKeys, apply: each(create) }),
    route('POST', '/batch-things', { effectKey: doneKeys, apply: each(put) }),
    route('POST', '/batch-records-atomic', { effectKey: allKeys, apply: together(create) }),
    route('POST', '/batch-things-atomic', { effectKey: allKeys, apply: together(put) }),
  ]

  function each(act: (store: RecordStore, record: BatchRecord) => void) {
    return (request: TwinRequest, store: RecordStore): TwinResponse => {
      const records = recordsOf(request)
      if (records.length > MOST_RECORDS) return tooLarge()
      const body = records.map((record): Told => {
        const { operation } = record
        if (isRefused(record)) return { status: 422, operation, code: 'validation_failed' }
        if (isBusy(store, operation, request)) return { status: 503, operation, code: 'busy' }
        act(store, record)
        return { status: 201, operation }
      })
      return { status: 200, body }
    }
  }

  function together(act: (store: RecordStore, record: BatchRecord) => void) {
    return (request: TwinRequest, store: RecordStore): TwinResponse => {
      const records = recordsOf(request)
      if (records.length > MOST_RECORDS) return tooLarge()
      if (records.some(isRefused)) return refusal(422, 'validation_failed', 'One of these records is not valid')
      for (const record of records) act(store, record)
      return { status: 200, body: { accepted: records.length } }
    }
  }
}

function tooLarge(): TwinResponse {
  return refusal(413, 'too_large', `No more than ${MOST_RECORDS} records in one call`)
}

function isBusy(store: RecordStore, operation: string, { headers }: TwinRequest): boolean {
  const draw = Number.parseInt(sha256Hex(operation).slice(0, 4), 16) / 0x1_0000
  if (draw >= BUSY_SHARE) return false
  const call = headers[CALL_HEADER]
  const told = store.collection(BUSY).get(operation)
  // The network's copy of a call is told the same: what was refused must not be done behind the caller's back.
  if (told) return told['call'] === call
  store.collection(BUSY).put(operation, { call })
  return true
}

function recordsOf({ body }: TwinRequest): readonly BatchRecord[] {
  return body as readonly BatchRecord[]
}

function allKeys(request: TwinRequest): readonly string[] {
  return recordsOf(request).map(({ operation }) => operation)
}

/** Before it is executed, nobody knows which. */
function doneKeys(request: TwinRequest, { body }: TwinResponse): readonly string[] {
  if (body === undefined) return allKeys(request)
  return (body as readonly Told[]).filter(({ status }) => status < 300).map(({ operation }) => operation)
}
