/**
 * Many records in one request, of any number: read, stored and forgotten group by group. The next group is read when the one
 * before is on disk, so a sender is held back by the store, and memory stays that of one group.
 */
import { z } from '@hono/zod-openapi'
import { type HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { SubmitOptions } from '../../engine/api.ts'
import { parseJson, piecesOf } from '../body.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { type Line, linesOf } from '../lines.ts'
import { jsonAnswer } from '../present.ts'
import { refusal, toProblem } from '../problems.ts'
import type { Call } from '../route.ts'

export const LINES_TYPE = 'application/x-ndjson'

const GROUP_RECORDS = 500
const GROUP_BYTES = 1024 * 1024
/** Receipts and errors that one JSON answer holds; all of them come to those who ask for NDJSON. */
const MOST_TOLD = 1000

const told = z.object({ line: z.int(), runId: z.string(), duplicate: z.boolean() })
const failed = z.object({ line: z.int(), code: z.string(), detail: z.string(), hint: z.string() })

export const summary = z
  .object({
    records: z.int(),
    accepted: z.int(),
    duplicates: z.int(),
    refused: z.int(),
    runs: z.array(told).describe(`The first ${MOST_TOLD}.`),
    errors: z.array(failed).describe(`The first ${MOST_TOLD}.`),
  })
  .openapi('LinesSummary')

export const linesReceipt = z.union([told, failed, z.object({ end: z.boolean() })]).openapi('LineReceipt')

type Told = z.infer<typeof told> | z.infer<typeof failed>
type LinesCall = Call<{ name: string }, { readonly key?: string | undefined }>

interface Counts {
  records: number
  accepted: number
  duplicates: number
  refused: number
}

interface Entry {
  readonly line: number
  readonly record: { readonly input: Json; readonly options: SubmitOptions } | HoldfastError
}

/** @throws HoldfastError `unknown_pipeline`, `store_*` with how many lines are stored, and what reading the body throws */
export async function submitLines(call: LinesCall, common: SubmitOptions): Promise<Response> {
  const { holdfast } = call.parts
  const optionsOf = keysOf(call, common)
  // Asked before the first byte is read: a wrong name should not cost a million lines.
  await holdfast.submitMany(call.params.name, [])
  const counts: Counts = { records: 0, accepted: 0, duplicates: 0, refused: 0 }
  const receipts = receiptsOf(call, optionsOf, counts)
  if ((call.request.headers.get('accept') ?? '').includes(LINES_TYPE)) return streamed(call, receipts, counts)
  return summed(receipts, counts)
}

type OptionsOf = (line: number, input: Json) => SubmitOptions

/** A key per line: a field of the record, or the Idempotency-Key of the request and the line's number. */
function keysOf({ request, query }: LinesCall, common: SubmitOptions): OptionsOf {
  const field = query.key?.split('.')
  const key = idempotencyKeyOf(request.headers)
  if (field) return (_, input) => ({ ...common, key: keyAt(input, field) })
  if (key !== undefined) return (line) => ({ ...common, key: `${key}:${line}` })
  return () => common
}

function keyAt(input: Json, path: readonly string[]): string {
  let value: Json | undefined = input
  for (const part of path) value = isJsonObject(value) && Object.hasOwn(value, part) ? value[part] : undefined
  if (typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')) return String(value)
  throw refusal('key_missing', `The key (${path.join('.')}) is not there, or empty`, 'Give every record a key.')
}

async function* receiptsOf(call: LinesCall, optionsOf: OptionsOf, counts: Counts): AsyncGenerator<Told[]> {
  const { maxPayloadBytes } = call.parts
  const pieces = piecesOf(call.request, call.reading)
  let group: Entry[] = []
  let bytes = 0
  for await (const line of linesOf(pieces, maxPayloadBytes)) {
    group.push(entryOf(line, optionsOf, maxPayloadBytes))
    bytes += line.bytes?.byteLength ?? 0
    if (group.length < GROUP_RECORDS && bytes < GROUP_BYTES) continue
    yield await store(call, group, counts)
    group = []
    bytes = 0
  }
  if (group.length > 0) yield await store(call, group, counts)
}

function entryOf({ number: line, bytes }: Line, optionsOf: OptionsOf, maxBytes: number): Entry {
  try {
    if (!bytes) throw refusal('payload_too_large', `The line has more than ${maxBytes} bytes`, 'Raise `maxPayload`.')
    const input = parseJson(bytes)
    return { line, record: { input, options: optionsOf(line, input) } }
  } catch (error) {
    if (isHoldfastError(error)) return { line, record: error }
    throw error
  }
}

async function store({ parts, params }: LinesCall, group: readonly Entry[], counts: Counts): Promise<Told[]> {
  const records = group.flatMap(({ record }) => (isHoldfastError(record) ? [] : [record]))
  const stored = await parts.holdfast.submitMany(params.name, records)
  let next = 0
  return group.map(({ line, record }) => {
    counts.records += 1
    const receipt = isHoldfastError(record) ? { ok: false as const, error: record } : stored[next++]
    if (!receipt?.ok) {
      counts.refused += 1
      return tellRefusal(line, receipt?.error)
    }
    counts[receipt.duplicate ? 'duplicates' : 'accepted'] += 1
    return { line, runId: receipt.runId, duplicate: receipt.duplicate }
  })
}

function tellRefusal(line: number, error: HoldfastError | undefined): z.infer<typeof failed> {
  const { code, detail, hint } = toProblem(error, '')
  return { line, code, detail, hint }
}

async function summed(receipts: AsyncIterable<Told[]>, counts: Counts): Promise<Response> {
  const runs: Told[] = []
  const errors: Told[] = []
  try {
    for await (const group of receipts) {
      for (const one of group) {
        const list = 'code' in one ? errors : runs
        if (list.length < MOST_TOLD) list.push(one)
      }
    }
  } catch (error) {
    throw withCounts(error, counts)
  }
  if (counts.records > 0 && counts.refused === counts.records) throw allRefused(counts, errors)
  return jsonAnswer({ ...counts, runs, errors }, 202)
}

/** What is stored stays stored: the caller must know how far it came. */
function withCounts(error: unknown, counts: Counts): unknown {
  if (isHoldfastError(error)) Object.assign(error.details, { ...counts })
  return error
}

function allRefused(counts: Counts, errors: readonly Told[]): HoldfastError {
  return refusal('all_refused', 'Every line was refused', 'Correct the named lines and send them again.', {
    ...counts,
    errors: errors.slice(0, 100),
  })
}

/** The stream of receipts is pulled by its reader, and pulls the body. A failure ends it with a line of its own, without `end`. */
function streamed({ correlationId, parts }: LinesCall, receipts: AsyncGenerator<Told[]>, counts: Counts): Response {
  const encoder = new TextEncoder()
  const linesText = (lines: readonly unknown[]) =>
    encoder.encode(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await receipts.next()
          if (!done) return controller.enqueue(linesText(value))
          controller.enqueue(linesText([{ end: true, ...counts }]))
        } catch (error) {
          if (!isHoldfastError(error)) parts.onTrouble({ correlationId, error })
          controller.enqueue(linesText([{ end: false, ...counts, error: toProblem(error, correlationId) }]))
        }
        controller.close()
      },
      async cancel() {
        await receipts.return(undefined)
      },
    },
    { highWaterMark: 1 },
  )
  return new Response(body, { headers: { 'content-type': LINES_TYPE } })
}
