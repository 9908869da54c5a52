import type { EffectReceipt, Ledger, NewEffect, NewRun, SubmitReceipt } from '../port.ts'
import type { Codec } from './codec.ts'
import {
  inputOf,
  OUTPUT,
  openAction,
  openClaimed,
  openFailure,
  openItem,
  openJob,
  openRun,
  openSummary,
  sealAction,
  sealEnd,
  sealGate,
  sealOwn,
  sealReplay,
  sealResolve,
  sealSettlement,
} from './sealed-records.ts'
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
