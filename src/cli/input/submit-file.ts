/** From a stream of records to the ledger: in batches, one at a time, so that memory stays the same for any file. */
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import type { Holdfast, SubmitOptions } from '../../engine/api.ts'
import type { BadRecord, InputEntry, InputRecord } from './record.ts'
import type { KeyOf } from './record-key.ts'

export interface SubmitPlan {
  readonly holdfast: Pick<Holdfast, 'submitMany'>
  readonly pipeline: string
  readonly keyOf: KeyOf
  readonly options: Omit<SubmitOptions, 'key'>
  readonly signal: AbortSignal
  /** Each record that did not get in. */
  readonly onRefused: (refusal: BadRecord) => void | Promise<void>
}

export interface SubmitCounts {
  /** Records and places where there was none. */
  read: number
  /** New ones. */
  accepted: number
  /** From an earlier run, or the same key again. */
  known: number
  refused: number
}

/** Large enough that one write to disk serves many, small enough that all of it may be 4 MiB each and still fit. */
const BATCH_RECORDS = 500
const BATCH_BYTES = 4 * 1024 * 1024

interface Keyed {
  readonly record: InputRecord
  readonly key: string
}

/** Stops between batches when the signal aborts: what was submitted is on disk, the rest comes with the next run. */
export async function submitEntries(
  entries: AsyncIterable<InputEntry>,
  plan: SubmitPlan,
  counts: SubmitCounts,
): Promise<SubmitCounts> {
  let batch: Keyed[] = []
  let batchBytes = 0
  for await (const entry of entries) {
    if (plan.signal.aborted) return counts
    counts.read++
    const keyed = entry.kind === 'bad' ? entry : await withKey(entry, plan.keyOf)
    if ('kind' in keyed) {
      counts.refused++
      await plan.onRefused(keyed)
      continue
    }
    batch.push(keyed)
    batchBytes += roughBytes(entry)
    if (batch.length < BATCH_RECORDS && batchBytes < BATCH_BYTES) continue
    await submitBatch(batch, plan, counts)
    batch = []
    batchBytes = 0
  }
  if (batch.length > 0) await submitBatch(batch, plan, counts)
  return counts
}

async function withKey(record: InputRecord, keyOf: KeyOf): Promise<Keyed | BadRecord> {
  try {
    return { record, key: await keyOf(record.value) }
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    return { kind: 'bad', line: record.line, reason: error.message, text: JSON.stringify(record.value) }
  }
}

async function submitBatch(batch: readonly Keyed[], plan: SubmitPlan, counts: SubmitCounts): Promise<void> {
  const receipts = await plan.holdfast.submitMany(
    plan.pipeline,
    batch.map(({ record, key }) => ({ input: record.value, options: { ...plan.options, key } })),
  )
  for (const [index, receipt] of receipts.entries()) {
    const { record } = batch[index] as Keyed
    if (!receipt.ok) {
      counts.refused++
      const reason = messageOf(receipt.error)
      await plan.onRefused({ kind: 'bad', line: record.line, reason, text: JSON.stringify(record.value) })
    } else if (receipt.duplicate) counts.known++
    else counts.accepted++
  }
}

/** Of the values that can be large. */
function roughBytes(entry: InputEntry): number {
  if (entry.kind === 'bad' || typeof entry.value !== 'object' || entry.value === null) return 0
  return Object.values(entry.value).reduce<number>(
    (sum, value) => sum + (typeof value === 'string' ? value.length : 50),
    0,
  )
}
