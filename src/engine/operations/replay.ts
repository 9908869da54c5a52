/**
 * Putting dead letters back (R135, R136, C13): say what would happen, try a few first, then the rest; stop where the fix
 * does not hold.
 */
import type { Clock } from '../../core/clock.ts'
import { configurationError } from '../../core/errors.ts'
import { type ItemState, isEndState } from '../../core/item-state.ts'
import { isJsonObject, type Json, mergePatch, toJson } from '../../core/json.ts'
import type { ItemRecord, ItemSummary, Ledger, NewTurn, OperatorReceipt, ReplayOrder } from '../../ledger/port.ts'
import type { ReplayReport, ReplayRequest } from '../api.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import { selectedItems } from './selection.ts'

export interface ReplayParts {
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly clock: Clock
  readonly wake: () => void
}

export const SAMPLES = 3
const WAVE = 500
const LOOK_EVERY_MS = 100

interface Candidate {
  readonly item: ItemSummary
}

/** @throws HoldfastError `invalid_patch` where the patch would turn a payload into something else than an object. */
export async function replay(parts: ReplayParts, request: ReplayRequest): Promise<ReplayReport> {
  const selected = await selectedItems(parts.ledger, request.selection)
  const { candidates, refused } = sortOut(selected, request)
  const samples = await sampleEdits(parts, candidates, request)
  const report = { selected: selected.length, refused, samples, stopped: undefined }
  if (request.dryRun) {
    return { ...report, replayed: 0, dryRun: true, itemIds: candidates.map(({ item }) => item.itemId) }
  }
  return { ...report, dryRun: false, ...(await replayInWaves(parts, request, candidates, refused)) }
}

function sortOut(selected: readonly { itemId: string; item: ItemSummary | undefined }[], request: ReplayRequest) {
  const candidates: Candidate[] = []
  const refused: { itemId: string; why: string }[] = []
  for (const { itemId, item } of selected) {
    const why = item ? whyNotReplayed(item, request) : 'there is no such item'
    if (why) refused.push({ itemId, why })
    else if (item) candidates.push({ item })
  }
  return { candidates, refused }
}

export function whyNotReplayed(item: ItemSummary, request: Pick<ReplayRequest, 'knownNotApplied'>): string | undefined {
  if (item.state === 'dead_lettered') return undefined
  if (item.state === 'unknown_outcome') {
    if (request.knownNotApplied) return undefined
    return 'it may have happened: look in the other system, then resolve it (--happened or --did-not-happen)'
  }
  return `it is ${item.state}, not a dead letter`
}

async function replayInWaves(
  parts: ReplayParts,
  request: ReplayRequest,
  candidates: readonly Candidate[],
  refused: { itemId: string; why: string }[],
): Promise<Pick<ReplayReport, 'replayed' | 'stopped' | 'itemIds'>> {
  const itemIds: string[] = []
  const canary = Math.max(0, request.canary ?? 0)
  for (let from = 0; from < candidates.length; ) {
    request.signal?.throwIfAborted()
    const size = from < canary ? canary - from : WAVE
    const wave = candidates.slice(from, from + size)
    const receipts = await parts.ledger.replay(await orders(parts, wave, request), parts.clock.wallMs())
    parts.wake()
    const done = collect(receipts, refused)
    itemIds.push(...done)
    if (from < canary) {
      const failed = await firstThatFails(parts, done, request.signal)
      if (failed) return { replayed: itemIds.length, stopped: failed, itemIds }
    }
    from += wave.length
  }
  return { replayed: itemIds.length, stopped: undefined, itemIds }
}

function collect(receipts: readonly OperatorReceipt[], refused: { itemId: string; why: string }[]): string[] {
  const done: string[] = []
  for (const receipt of receipts) {
    if (receipt.outcome === 'done' || receipt.outcome === 'marked') done.push(receipt.itemId)
    else refused.push({ itemId: receipt.itemId, why: receipt.outcome === 'refused' ? receipt.why : 'not found' })
  }
  return done
}

async function orders(parts: ReplayParts, wave: readonly Candidate[], request: ReplayRequest): Promise<ReplayOrder[]> {
  const dueAtMs = parts.clock.wallMs()
  return Promise.all(
    wave.map(async ({ item }) => {
      return {
        itemId: item.itemId,
        by: request.by,
        dueAtMs,
        ...(request.patch !== undefined && (await editedBy(request.patch, item.itemId, parts))),
        ...(request.knownNotApplied && { knownNotApplied: true }),
      }
    }),
  )
}

/** @throws HoldfastError `invalid_patch` */
export async function editedBy(
  patch: Json,
  itemId: string,
  { ledger, catalog }: Pick<ReplayParts, 'ledger' | 'catalog'>,
): Promise<Pick<ReplayOrder, 'editedInput' | 'turn'>> {
  const item = await ledger.item(itemId)
  const { after } = patchedInput(item, patch)
  const turn = item && (await turnAfter(catalog, item, after))
  return { editedInput: toJson(after), ...(turn && { turn }) }
}

/** With other data it may be about another entity, or of another version. Where that cannot be said, its claim says why. */
async function turnAfter(
  catalog: Catalog,
  { pipeline, step, endpoint, key, labels, tenant, runId }: ItemSummary,
  input: Json,
): Promise<NewTurn | undefined> {
  const plan = catalog.plan(pipeline, step, endpoint)
  return plan?.turnOf?.({ input, key, labels, tenant, runId }).catch(() => undefined)
}

/** The canary must end well: watched in the ledger, since another process may do the work. */
async function firstThatFails(
  parts: ReplayParts,
  itemIds: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ itemId: string; why: string } | undefined> {
  for (const itemId of itemIds) {
    const item = await untilSettled(parts, itemId, signal)
    if (item?.state !== 'succeeded' && item?.state !== 'skipped') {
      return { itemId, why: item ? `it is ${item.state} again: ${item.reason}` : 'it is gone' }
    }
  }
  return undefined
}

async function untilSettled(
  parts: ReplayParts,
  itemId: string,
  signal: AbortSignal | undefined,
): Promise<ItemRecord | undefined> {
  for (;;) {
    const item = await parts.ledger.item(itemId)
    if (!item || isEndState(item.state) || STOPPED.has(item.state)) return item
    await parts.clock.sleep(LOOK_EVERY_MS, signal)
  }
}

const STOPPED: ReadonlySet<ItemState> = new Set(['dead_lettered', 'unknown_outcome'])

async function sampleEdits(parts: ReplayParts, candidates: readonly Candidate[], request: ReplayRequest) {
  const patch = request.patch
  if (patch === undefined) return []
  return Promise.all(candidates.slice(0, SAMPLES).map(({ item }) => sampleEdit(parts.ledger, item.itemId, patch)))
}

export async function sampleEdit(ledger: Pick<Ledger, 'item'>, itemId: string, patch: Json) {
  return { itemId, ...patchedInput(await ledger.item(itemId), patch) }
}

/** @throws HoldfastError `invalid_patch` */
function patchedInput(item: ItemRecord | undefined, patch: Json): { before: Json; after: Json } {
  const before = item?.edits.at(-1)?.input ?? item?.input ?? null
  if (isJsonObject(before) && !isJsonObject(patch)) {
    throw configurationError(
      'invalid_patch',
      'The patch would replace the whole payload by something that is not an object',
      'Give an object with the fields to change, e.g. {"company":"Acme"}; null removes a field (RFC 7396).',
    )
  }
  return { before, after: mergePatch(before, patch) }
}
