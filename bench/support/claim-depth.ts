/** What a claim costs with a long queue behind it: on the ledger itself, without an engine. */
import { definePipeline, holdfast } from '../../src/index.ts'
import type { ClaimedItem, Ledger, Settlement } from '../../src/ledger/port.ts'
import { openPostgresLedger } from '../../src/ledger/postgres/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { type Payload, payloads } from './durable-queue.ts'
import type { Place } from './postgres-place.ts'
import { type Measured, measure } from './stopwatch.ts'

const LOAD_BATCH = 1000
const CLAIM_BATCH = 100
const LEASE_MS = 60_000

export async function measureClaims(place: Place, waiting: number, claimed: number): Promise<Measured> {
  await load(place, waiting)
  await place.query('VACUUM (ANALYZE)')
  await place.query('CHECKPOINT')
  const ledger = await openPostgresLedger({ url: place.url, clock: systemClock })
  const channel = (await ledger.channels())[0]
  if (!channel) throw new Error('nothing is waiting')
  // Twice, so that each connection has its plans.
  await claimAndSettle(ledger, channel)
  await claimAndSettle(ledger, channel)
  const measured = await measure(async () => {
    for (let done = 0; done < claimed; ) done += await claimAndSettle(ledger, channel)
    return claimed
  }, place.serverCpu)
  await ledger.close()
  return measured
}

async function load(place: Place, count: number): Promise<void> {
  const pipeline = definePipeline<Payload>('lead').step('work', { safe: true, run: async () => null })
  await using hf = await holdfast({ store: place.url, pipelines: [pipeline] })
  const records = payloads(LOAD_BATCH).map((input) => ({ input }))
  const batches = Array.from({ length: Math.ceil(count / LOAD_BATCH) }).values()
  const loader = async (): Promise<void> => {
    for (const _ of batches) await hf.submitMany(pipeline, records)
  }
  await Promise.all([loader(), loader()])
}

async function claimAndSettle(ledger: Ledger, channel: { lane: string; endpoint: string }): Promise<number> {
  const { lane, endpoint } = channel
  const nowMs = systemClock.wallMs()
  const items = await ledger.claim({
    workerId: 'bench',
    nowMs,
    leaseUntilMs: nowMs + LEASE_MS,
    channels: [{ lane, endpoint, limit: CLAIM_BATCH, laneConcurrency: CLAIM_BATCH }],
  })
  if (items.length !== CLAIM_BATCH) throw new Error(`${items.length} items were claimed, not ${CLAIM_BATCH}`)
  const receipts = await ledger.settle(
    items.map((item) => succeeded(item, nowMs)),
    nowMs,
  )
  if (receipts.some(({ outcome }) => outcome !== 'settled')) throw new Error('a lease was lost')
  return items.length
}

function succeeded({ tenant, itemId, token }: ClaimedItem, nowMs: number): Settlement {
  return {
    tenant,
    itemId,
    token,
    to: { state: 'succeeded', output: 'null' },
    attempt: { outcome: 'succeeded', counts: true, startedAtMs: nowMs, endedAtMs: nowMs },
  }
}
