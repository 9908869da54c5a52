/** Looks for lost effects, as people write them: one line for the read, and which of the newest records is ours (R094, R095). */
import { formatDuration } from '../core/duration.ts'
import { HoldfastError } from '../core/errors.ts'
import type { WrittenRequest } from './schema.ts'

const EXPRESSION = /\{\{[\s\S]*?\}\}/g
const MARK = '\u0001'

/**
 * `/contacts/{{ input.id }}?email={{ input.email }}` as a request: what stands in the path becomes parameters, so that breakers
 * and statistics are kept for one endpoint and not for each record.
 */
export function lookupRequest(get: string): WrittenRequest {
  const expressions: string[] = []
  const marked = get.replace(EXPRESSION, (expression) => `${MARK}${expressions.push(expression) - 1}${MARK}`)
  const restored = (text: string) =>
    text.replace(MARKED, (_mark, index: string) => expressions[Number(index)] as string)
  const [path = '', ...rest] = marked.split('?')
  const params: Record<string, string> = {}
  const template = path.replace(MARKED, (mark, index: string) => {
    const name = `value${Number(index) + 1}`
    params[name] = restored(mark)
    return `{${name}}`
  })
  const query = new URLSearchParams(rest.join('?'))
  return {
    method: 'GET',
    path: template,
    ...(Object.keys(params).length > 0 && { params }),
    ...(query.size > 0 && { query: Object.fromEntries([...query].map(([name, value]) => [name, restored(value)])) }),
  }
}

const MARKED = new RegExp(`${MARK}(\\d+)${MARK}`, 'g')

export interface NewestRecords {
  /** All records of the answer, newest first or not. */
  readonly records: readonly unknown[]
  /** Those that match what was intended. */
  readonly candidates: readonly unknown[]
  /** When a record was made, by the API's clock: RFC 3339 text, or a number of seconds or milliseconds since 1970. */
  readonly createdAt: (record: unknown) => unknown
  /** By our clock. */
  readonly firstTriedAtMs: number
  /** How far the two clocks may differ. */
  readonly withinMs: number
  /** How many records a full answer has: with fewer, there are no older ones. Default: unknown. */
  readonly size?: number | undefined
}

/**
 * Which of the newest records is ours: the one that matches and was not there before we tried. `undefined`: it is not there.
 * @throws HoldfastError `reconcile_cannot_tell` where more than one may be ours, where the list does not reach back to our
 *   first try, or where a record does not say when it was made.
 */
export function oursAmongNewest(newest: NewestRecords): unknown {
  const sinceMs = newest.firstTriedAtMs - newest.withinMs
  const ours = newest.candidates.filter((record) => madeAtMs(newest, record) >= sinceMs)
  if (ours.length > 1) {
    throw cannotTell(`${ours.length} records match what was intended, and each may be ours`)
  }
  if (ours.length === 1) return ours[0]
  const { records, size } = newest
  const isWhole = records.length === 0 || (size !== undefined && records.length < size)
  if (isWhole || records.some((record) => madeAtMs(newest, record) < sinceMs)) return undefined
  const span = formatDuration(newest.withinMs)
  throw cannotTell(`the list of ${records.length} records does not reach back to ${span} before the first try`)
}

function madeAtMs({ createdAt }: NewestRecords, record: unknown): number {
  const value = createdAt(record)
  const time = typeof value === 'number' ? (value > 1e11 ? value : value * 1000) : Date.parse(String(value))
  if (Number.isFinite(time)) return time
  throw cannotTell(`a record does not say when it was made: ${JSON.stringify(value) ?? 'nothing'}`)
}

function cannotTell(why: string): HoldfastError {
  return new HoldfastError({
    code: 'reconcile_cannot_tell',
    class: 'unknown',
    message: `looked for it, and cannot tell: ${why}`,
    hint: 'Look in the other system whether it happened, then say so; let the look ask for more records, or for a field that only this operation has.',
  })
}
