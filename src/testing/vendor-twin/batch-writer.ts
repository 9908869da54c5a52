/** How a vendor answers for each record of one call: the inverse of `readBatchAnswer` in `policy/`, by the same data. */
import type { BatchShape, RecordError, RecordList } from '../../config/batch-shapes.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { valueAt } from '../../policy/batches/batch-answer.ts'
import { graphqlRecords } from './graphql.ts'
import { writeAt } from './write-at.ts'

/** One record as it arrived. */
export interface BatchRecord {
  /** The name that the call gave it: a mark, or an alias. */
  readonly mark: string | undefined
  /** Without its mark. */
  readonly sent: Json
}

/** What became of one record. */
export type RecordOutcome =
  | { readonly kind: 'done'; readonly data: Json }
  /** `body` in the vendor's words, `status` as if it were an answer of its own. */
  | { readonly kind: 'failed'; readonly status: number; readonly body: Json }

/** The records of a call; `undefined` where its body is no batch of this shape. */
export function batchRecords(shape: BatchShape, body: unknown): readonly BatchRecord[] | undefined {
  const { envelope } = shape
  if (envelope.kind === 'graphql') return graphqlRecords(body)
  const list = valueAt(body as Json, envelope.at)
  if (!Array.isArray(list)) return undefined
  return (list as readonly Json[]).map((sent) => {
    const { mark: name } = envelope
    if (name === undefined || !isJsonObject(sent)) return { sent, mark: undefined }
    // The mark is of this call: the same record has another one in the next.
    const mark = sent[name]
    return { sent: without(sent, [name]), mark: typeof mark === 'string' ? mark : undefined }
  })
}

/** Is it all or nothing, with no words for one record that failed? Then the call as a whole is refused. */
export function refusesWhole({ answer }: BatchShape): boolean {
  return answer.allOrNothing === true && !answer.lists.some(canFail)
}

/** The body of a good answer that tells of each record. */
export function batchAnswerBody(
  { answer }: BatchShape,
  records: readonly BatchRecord[],
  outcomes: readonly RecordOutcome[],
): Json {
  let body: Json = {}
  for (const list of answer.lists) {
    const elements = records.flatMap((record, place) => {
      const outcome = outcomes[place] as RecordOutcome
      const home = answer.lists.find((other) => (outcome.kind === 'done' ? canSucceed(other) : canFail(other)))
      if (home !== list) return []
      return [{ record, element: elementOf(list, record, place, outcome) }]
    })
    if (list.match.by === 'member') {
      const members = elements.map(({ record, element }, place) => [record.mark ?? `r${place}`, element])
      body = writeAt(body, list.at, Object.fromEntries(members) as Json)
      // An empty list of errors is left out: its presence is the sign.
    } else if (elements.length > 0 || canSucceed(list)) {
      body = writeAt(
        body,
        list.at,
        elements.map(({ element }) => element),
      )
    }
  }
  return body
}

function canSucceed({ signs }: RecordList): boolean {
  return signs.all === 'succeeded' || [signs.status, signs.good, signs.goodIfAny].some((sign) => sign !== undefined)
}

function canFail({ signs }: RecordList): boolean {
  return signs.all === 'failed' || [signs.status, signs.bad, signs.badIfAny].some((sign) => sign !== undefined)
}

function elementOf(list: RecordList, record: BatchRecord, place: number, outcome: RecordOutcome): Json {
  const element = outcome.kind === 'done' ? goodElement(list, outcome.data) : badElement(list, outcome)
  switch (list.match.by) {
    case 'index':
      return writeAt(element, list.match.at, place)
    case 'mark':
      return record.mark === undefined ? element : writeAt(element, list.match.at, record.mark)
    case 'value':
      return writeAt(element, list.match.at, valueAt(record.sent, list.match.sent) ?? null)
    case 'position':
    case 'member':
      return element
  }
}

function goodElement({ signs, data }: RecordList, done: Json): Json {
  // What the record brought along must not look like a sign of failure.
  const own = isJsonObject(done) ? without(done, signs.badIfAny ?? []) : done
  let element: Json = data === undefined ? own : writeAt({}, data, own)
  if (signs.status !== undefined) element = writeAt(element, signs.status, 200)
  if (signs.good) element = writeAt(element, signs.good.at, signs.good.values[0] ?? true)
  const saysSo = (signs.goodIfAny ?? ['']).some((path) => isThere(valueAt(element, path)))
  return saysSo ? element : writeAt(element, signs.goodIfAny?.[0] || 'id', 'done')
}

function badElement(
  { signs, error = {} }: RecordList,
  outcome: { readonly status: number; readonly body: Json },
): Json {
  const body = isJsonObject(outcome.body) || Array.isArray(outcome.body) ? outcome.body : { message: outcome.body }
  const wrapped = error.at === undefined ? body : writeAt({}, error.at, body)
  // Elements are objects: one that was recorded in a list is taken out of it.
  let element: Json = Array.isArray(wrapped) ? ((wrapped as readonly Json[])[0] ?? {}) : wrapped
  if (signs.status !== undefined) element = writeAt(element, signs.status, outcome.status)
  if (signs.bad) element = writeAt(element, signs.bad.at, signs.bad.values[0] ?? false)
  const badPaths = signs.badIfAny ?? []
  if (signs.all === 'failed' || badPaths.length === 0 || badPaths.some((path) => isThere(valueAt(element, path)))) {
    return element
  }
  return writeAt(element, badPaths[0] as string, errorList(error, body))
}

/** Where only the presence of errors tells of failure: one of them, with the words there are. */
function errorList(error: RecordError, body: Json): Json {
  const message = isJsonObject(body) && typeof body['message'] === 'string' ? body['message'] : 'refused'
  return error.code?.[0]?.includes('[]') ? [{ message }] : { message }
}

function without(object: { readonly [name: string]: Json }, names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
}

function isThere(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}
