/**
 * A ledger whose contents are sealed on the way in and opened on the way out: the one seam between what people put into records and
 * what any adapter keeps. States, times, names, keys, labels and batches stay in clear, because the store works with them.
 *
 * It stands in front of every store, also where nothing is encrypted: what others have sealed is then never handed to a step.
 */
import type { Failure } from '../../core/failure.ts'
import { parseItemId } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type {
  ActionRecord,
  ClaimedItem,
  EffectReceipt,
  Gate,
  ItemRecord,
  ItemSummary,
  JobRecord,
  Ledger,
  NewEffect,
  NewRun,
  ReplayOrder,
  ResolveOrder,
  RunRecord,
  SettledState,
  Settlement,
  SubmitReceipt,
} from '../port.ts'
import { type Codec, isMarked } from './codec.ts'
import { STATE_RECORD } from './state.ts'
import { createUnreadable, type Unreadable } from './unreadable.ts'

export interface Sealing {
  readonly codec: Codec
  /** The store holds records from before it encrypted: their fingerprints may be plain. */
  readonly isMixed: boolean
  /** Keys of runs that are made of their content are hashed with the secret of the store. */
  readonly hashesKeys: boolean
}

/** `batch:` and the SHA-256 of a record, or of a webhook without an id; see `cli/input/record-key.ts`, `webhooks/event.ts`. */
const CONTENT_KEY = /(?<=^|:)[0-9a-f]{64}(?=(#\d+)?$)/

export const inputOf = (runId: string): string => `input of run ${runId}`
export const OUTPUT = 'output of a step'
export const MEMO = 'memo of an item'

export function sealedLedger<Inner extends Ledger>(inner: Inner, sealing: Sealing): Inner {
  const { codec } = sealing
  const { sealText, openText } = codec
  const unreadable = createUnreadable(inner)
  return {
    ...inner,
    ...sealedSubmit(inner, sealing),
    async claim(request) {
      return unreadable.without(await inner.claim(request), (item) => openClaimed(codec, item), request.nowMs)
    },
    standClaim: openedStanding(inner, codec, unreadable),
    async reclaimExpired(request) {
      return unreadable.without(await inner.reclaimExpired(request), (item) => openClaimed(codec, item), request.nowMs)
    },
    settle: (settlements, nowMs) =>
      inner.settle(
        settlements.map((settlement) => sealSettlement(codec, settlement)),
        nowMs,
      ),
    beginEffects: (effects, nowMs) => beginEffects(inner, sealing, effects, nowMs),
    endEffects: (effects, nowMs) =>
      inner.endEffects(
        effects.map((effect) => ({ ...effect, ...sealEnd(codec, effect) })),
        nowMs,
      ),
    closeGates: (gates) => inner.closeGates(gates.map((gate) => sealGate(codec, gate))),
    suspendLanes: (lanes) => inner.suspendLanes(lanes.map((lane) => ({ ...lane, reason: sealText(lane.reason) }))),
    async readHealth(sinceRevision) {
      const { records, revision } = await inner.readHealth(sinceRevision)
      return { records: records.filter(({ key }) => key !== STATE_RECORD), revision }
    },
    async lanes() {
      return (await inner.lanes()).map(({ gateReason, suspended, ...lane }) => ({
        ...lane,
        gateReason: openText(gateReason),
        suspended: suspended && { ...suspended, reason: openText(suspended.reason) },
      }))
    },
    replay: (orders, nowMs) =>
      inner.replay(
        orders.map((order) => sealReplay(codec, order)),
        nowMs,
      ),
    discard: (orders, nowMs) => inner.discard(orders.map(withSealedReason), nowMs),
    cancel: (orders, nowMs) => inner.cancel(orders.map(withSealedReason), nowMs),
    resolve: (orders, nowMs) =>
      inner.resolve(
        orders.map((order) => sealResolve(codec, order)),
        nowMs,
      ),
    recordActions: (actions) => inner.recordActions(actions.map((action) => sealAction(codec, action))),
    async actions(filter, page) {
      const { rows, cursor } = await inner.actions(filter, page)
      return { rows: rows.map((action) => openAction(codec, action)), cursor }
    },
    async updateJob(change) {
      const job = await inner.updateJob({ ...change, state: sealOwn(codec, change.state) })
      return job && openJob(codec, job)
    },
    async jobs(filter, page) {
      const { rows, cursor } = await inner.jobs(filter, page)
      return { rows: rows.map((job) => openJob(codec, job)), cursor }
    },
    async run(runId) {
      const run = await inner.run(runId)
      return run && openRun(codec, run)
    },
    async item(itemId) {
      const item = await inner.item(itemId)
      return item && openItem(codec, item)
    },
    async items(filter, page) {
      const { rows, cursor } = await inner.items(withStoredKey(sealing, filter), page)
      return { rows: rows.map((item) => openSummary(codec, item)), cursor }
    },
    async groups(filter) {
      const groups = await inner.groups(withStoredKey(sealing, filter))
      return groups.map((group) => ({ ...group, summary: openText(group.summary), hint: openText(group.hint) }))
    },
    async failures(sinceMs) {
      const tallies = await inner.failures(sinceMs)
      return tallies.map((tally) => ({ ...tally, failure: openFailure(codec, tally.failure) }))
    },
  }

  function withSealedReason<Order extends { readonly reason: string }>(order: Order): Order {
    return codec.encrypts ? { ...order, reason: sealText(order.reason) } : order
  }
}

/** Also for transactions of a user's own, which know no more of the ledger. */
export function sealedSubmit(inner: Pick<Ledger, 'submit'>, sealing: Sealing): Pick<Ledger, 'submit'> {
  const { codec, isMixed } = sealing
  if (!codec.encrypts || !isMixed) {
    return { submit: (runs) => inner.submit(runs.map((run) => sealRun(sealing, run))) }
  }
  return {
    async submit(runs) {
      const receipts = await inner.submit(runs.map((run) => sealRun(sealing, run)))
      return comparedInClear(inner, sealing, runs, receipts)
    },
  }
}

/** A run from before the store encrypted has a plain fingerprint: what seems to be another content may be the same. */
async function comparedInClear(
  inner: Pick<Ledger, 'submit'>,
  sealing: Sealing,
  runs: readonly NewRun[],
  receipts: readonly SubmitReceipt[],
): Promise<SubmitReceipt[]> {
  const conflicts = runs.filter((_run, index) => receipts[index]?.outcome === 'conflict')
  if (conflicts.length === 0) return [...receipts]
  const again = await inner.submit(
    conflicts.map(({ inputFingerprint, ...run }) => ({
      ...sealRun(sealing, run),
      ...(inputFingerprint !== undefined && { inputFingerprint }),
    })),
  )
  let next = 0
  return receipts.map((receipt) => (receipt.outcome === 'conflict' ? (again[next++] ?? receipt) : receipt))
}

function sealRun({ codec, hashesKeys }: Sealing, run: NewRun): NewRun {
  const input = codec.sealJson(run.input, inputOf(run.id))
  if (!codec.encrypts) return input === run.input ? run : { ...run, input }
  const { key, inputFingerprint } = run
  return {
    ...run,
    input,
    ...(inputFingerprint !== undefined && { inputFingerprint: codec.keyed(inputFingerprint) }),
    ...(key !== undefined && hashesKeys && { key: storedKey(codec, key) }),
  }
}

function storedKey(codec: Codec, key: string): string {
  return key.replace(CONTENT_KEY, (hash) => codec.keyed(hash))
}

function withStoredKey<Filter extends { readonly key?: string }>(
  { codec, hashesKeys }: Sealing,
  filter: Filter,
): Filter {
  if (!hashesKeys || filter.key === undefined) return filter
  return { ...filter, key: storedKey(codec, filter.key) }
}

async function beginEffects(
  inner: Ledger,
  { codec, isMixed }: Sealing,
  effects: readonly NewEffect[],
  nowMs: number,
): Promise<EffectReceipt[]> {
  const keyed = effects.map((effect) => ({ ...effect, fingerprint: codec.keyed(effect.fingerprint) }))
  const receipts = await inner.beginEffects(keyed, nowMs)
  if (codec.encrypts && isMixed) {
    for (const [index, effect] of effects.entries()) {
      if (receipts[index]?.outcome !== 'mismatch') continue
      const [inClear] = await inner.beginEffects([effect], nowMs)
      if (inClear) receipts[index] = inClear
    }
  }
  return receipts.map((receipt) => {
    if (receipt.outcome !== 'done') return receipt
    const { externalId } = receipt
    const output = codec.openJson(receipt.output, OUTPUT)
    return { ...receipt, output, ...(externalId !== undefined && { externalId: codec.openText(externalId) }) }
  })
}

function sealSettlement(codec: Codec, settlement: Settlement): Settlement {
  const { effect } = settlement
  if (!codec.encrypts) {
    const { to } = settlement
    const output = to.state === 'succeeded' ? codec.sealJson(to.output, OUTPUT) : undefined
    const isPlain = to.state !== 'succeeded' || output === to.output
    if (isPlain && !effect) return settlement
    return { ...settlement, to: sealState(codec, to), ...(effect && { effect: sealEnd(codec, effect) }) }
  }
  const { attempt, memo, gate } = settlement
  return {
    ...settlement,
    to: sealState(codec, settlement.to),
    ...(attempt && {
      attempt: {
        ...attempt,
        ...(attempt.note !== undefined && { note: codec.sealText(attempt.note) }),
        ...(attempt.failure && { failure: sealFailure(codec, attempt.failure) }),
      },
    }),
    ...(typeof memo === 'string' && { memo: codec.sealJson(memo, MEMO) }),
    ...(effect && { effect: sealEnd(codec, effect) }),
    ...(gate && { gate: sealGate(codec, gate) }),
  }
}

function sealState(codec: Codec, to: SettledState): SettledState {
  const { sealText } = codec
  if (to.state === 'succeeded') {
    return {
      ...to,
      output: codec.sealJson(to.output, OUTPUT),
      ...(to.externalId !== undefined && { externalId: sealText(to.externalId) }),
      ...(to.note !== undefined && { note: sealText(to.note) }),
    }
  }
  const reason = sealText(to.reason)
  if (!('deadLetter' in to)) return { ...to, reason }
  const { summary, hint } = to.deadLetter
  return { ...to, reason, deadLetter: { ...to.deadLetter, summary: sealText(summary), hint: sealText(hint) } }
}

function sealEnd<End extends NonNullable<Settlement['effect']>>(codec: Codec, end: End): End {
  if (!end.done) return end
  const { output, externalId } = end
  return {
    ...end,
    output: codec.sealJson(output, OUTPUT),
    ...(externalId !== undefined && { externalId: codec.sealText(externalId) }),
  }
}

function sealGate(codec: Codec, gate: Gate): Gate {
  return codec.encrypts ? { ...gate, reason: codec.sealText(gate.reason) } : gate
}

function sealReplay(codec: Codec, order: ReplayOrder): ReplayOrder {
  if (order.editedInput === undefined) return order
  const runId = parseItemId(order.itemId)?.runId ?? ''
  return { ...order, editedInput: codec.sealJson(order.editedInput, inputOf(runId)) }
}

function sealResolve(codec: Codec, order: ResolveOrder): ResolveOrder {
  const { externalId } = order
  return {
    ...order,
    output: codec.sealJson(order.output, OUTPUT),
    reason: codec.sealText(order.reason),
    ...(externalId !== undefined && { externalId: codec.sealText(externalId) }),
  }
}

function sealAction(codec: Codec, action: ActionRecord): ActionRecord {
  if (!codec.encrypts) return action
  return { ...action, reason: codec.sealText(action.reason), details: sealOwn(codec, action.details) as string }
}

function openAction(codec: Codec, action: ActionRecord): ActionRecord {
  return {
    ...action,
    reason: codec.openText(action.reason),
    details: openOwn(codec, action.details) as ActionRecord['details'],
  }
}

/** A job's patch is content. */
function openJob(codec: Codec, job: JobRecord): JobRecord {
  return { ...job, state: openOwn(codec, job.state) }
}

/** What the engine keeps as JSON of its own: sealed, it is a string. */
function sealOwn(codec: Codec, value: Json): Json {
  return codec.encrypts ? codec.sealText(JSON.stringify(value)) : value
}

function openOwn(codec: Codec, value: Json): Json {
  if (typeof value !== 'string') return value
  const opened = codec.openText(value)
  return opened === value ? value : (JSON.parse(opened) as Json)
}

function openedStanding(inner: Ledger, codec: Codec, unreadable: Unreadable): Ledger['standClaim'] {
  const opening = new Set<Promise<void>>()
  return async (claim, onLeased) => {
    const stands = await inner.standClaim(claim, ({ items, leaseUntilMs }) => {
      const opened = unreadable
        .without(items, (item) => openClaimed(codec, item), leaseUntilMs - claim.leaseMs)
        // What cannot be given back is given back by the end of its lease.
        .then(
          (readable) => onLeased({ items: readable, leaseUntilMs }),
          () => undefined,
        )
        .finally(() => opening.delete(opened))
      opening.add(opened)
    })
    await Promise.all(opening)
    return stands
  }
}

function openClaimed(codec: Codec, item: ClaimedItem): ClaimedItem {
  const { memo, lastFailure } = item
  const isPlain = !codec.encrypts && lastFailure === undefined && !isMarked(item.input) && !isMarked(memo)
  // Nearly every claim of a store that does not encrypt: nothing is made anew.
  if (isPlain && !Object.values(item.outputs).some(isMarked)) return item
  return {
    ...item,
    input: codec.openJson(item.input, inputOf(item.runId)),
    outputs: openOutputs(codec, item.outputs),
    lastFailure: lastFailure && openFailure(codec, lastFailure),
    memo: memo === undefined ? undefined : codec.openJson(memo, MEMO),
  }
}

function openOutputs(codec: Codec, outputs: ClaimedItem['outputs']): ClaimedItem['outputs'] {
  for (const _step in outputs) {
    const opened = Object.entries(outputs).map(([step, output]) => [step, codec.openJson(output, OUTPUT)] as const)
    return Object.fromEntries(opened)
  }
  return outputs
}

/** What an API said, and whom it is about; its class, code and status stay, because the store counts by them. */
export function mapFailure(failure: Failure, map: (text: string) => string): Failure {
  const { subject, bodyExcerpt } = failure
  return {
    ...failure,
    message: map(failure.message),
    hint: map(failure.hint),
    ...(subject !== undefined && { subject: map(subject) }),
    ...(bodyExcerpt !== undefined && { bodyExcerpt: map(bodyExcerpt) }),
  }
}

function sealFailure(codec: Codec, failure: Failure): Failure {
  return mapFailure(failure, codec.sealText)
}

function openFailure(codec: Codec, failure: Failure): Failure {
  return mapFailure(failure, codec.openText)
}

function openSummary<Item extends ItemSummary>(codec: Codec, item: Item): Item {
  const { deadLetter, externalId } = item
  return {
    ...item,
    reason: codec.openText(item.reason),
    externalId: externalId === undefined ? undefined : codec.openText(externalId),
    deadLetter: deadLetter && {
      ...deadLetter,
      summary: codec.openText(deadLetter.summary),
      hint: codec.openText(deadLetter.hint),
    },
  }
}

function openRun(codec: Codec, run: RunRecord): RunRecord {
  return {
    ...run,
    input: codec.openValue(run.input, inputOf(run.id)),
    items: run.items.map((item) => openSummary(codec, item)),
  }
}

function openItem(codec: Codec, item: ItemRecord): ItemRecord {
  const context = inputOf(item.runId)
  const { output, memo } = item
  return {
    ...openSummary(codec, item),
    input: codec.openValue(item.input, context),
    edits: item.edits.map((edit) => ({ ...edit, input: codec.openValue(edit.input, context) })),
    output: output === undefined ? undefined : codec.openValue(output, OUTPUT),
    memo: memo === undefined ? undefined : codec.openJson(memo, MEMO),
    attempts: item.attempts.map((attempt) => ({
      ...attempt,
      ...(attempt.note !== undefined && { note: codec.openText(attempt.note) }),
      ...(attempt.failure && { failure: openFailure(codec, attempt.failure) }),
    })),
    operations: item.operations.map((operation) => ({ ...operation, note: codec.openText(operation.note) })),
  }
}
