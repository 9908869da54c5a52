/** What the sections of the conformance suite share: stores to test, records to put in, short ways to work on them. */
import { expect, it } from 'vitest'
import type { Failure } from '../../core/failure.ts'
import { itemId } from '../../core/ids.ts'
import type { ItemState } from '../../core/item-state.ts'
import type {
  AttemptRecord,
  ClaimChannel,
  ClaimedItem,
  DeadLetterFacts,
  Ledger,
  NewItem,
  NewRun,
  SettledState,
  Settlement,
  SettleReceipt,
} from '../port.ts'

/** One store, empty at first. */
export interface LedgerStore {
  /** A new connection to the store, as another process would have it. The test closes it. */
  open(): Promise<Ledger>
  /** Removes the store; called after every connection is closed. */
  remove(): Promise<void>
}

export type MakeStore = () => Promise<LedgerStore>

export interface TestContext {
  readonly ledger: Ledger
  /** One more connection to the same store. */
  another(): Promise<Ledger>
}

/** One behaviour of the port. Each ends with the books balanced and the store audited. */
export function behaviour(make: MakeStore, name: string, body: (context: TestContext) => Promise<void>): void {
  it(name, async () => {
    const store = await make()
    const opened: Ledger[] = []
    const another = async (): Promise<Ledger> => {
      const ledger = await store.open()
      opened.push(ledger)
      return ledger
    }
    try {
      await body({ ledger: await another(), another })
      await expectAudited(await another())
    } finally {
      for (const ledger of opened) await ledger.close()
      await store.remove()
    }
  })
}

export async function expectAudited(ledger: Ledger): Promise<void> {
  const report = await ledger.audit()
  expect(report.checks.filter((check) => check.violations > 0)).toEqual([])
  expect(report.balanced).toBe(true)
}

/** Not a round number, so that a store that keeps less than milliseconds is found out. */
export const START_MS = 1_767_225_600_123
export const LANE = 'crm/default'
export const ENDPOINT = 'POST /contacts'
export const LEASE_MS = 30_000

let runs = 0

/** A run of one step, due at {@link START_MS}. */
export function newRun(parts: Partial<NewRun> = {}): NewRun {
  const id = `0192f7c0-0000-7000-8000-${String(++runs).padStart(12, '0')}`
  return {
    id,
    tenant: 'default',
    pipeline: 'onboard',
    key: `key-${id}`,
    input: '{"email":"ada@example.com"}',
    inputFingerprint: 'fingerprint-1',
    labels: {},
    batch: 'default',
    correlationId: `correlation-${id}`,
    createdAtMs: START_MS,
    items: [newItem()],
    ...parts,
  }
}

export function newItem(parts: Partial<NewItem> = {}): NewItem {
  return {
    step: 'crm',
    lane: LANE,
    endpoint: ENDPOINT,
    after: [],
    dueAtMs: START_MS,
    optional: false,
    ...parts,
  }
}

/** `a`, and `b` that needs it. */
export function chainRun(parts: Partial<NewRun> = {}, first: Partial<NewItem> = {}): NewRun {
  return newRun({ items: [newItem({ step: 'a', ...first }), newItem({ step: 'b', after: ['a'] })], ...parts })
}

export function idOf(run: NewRun, step: string = run.items[0]?.step ?? ''): string {
  return itemId(run.id, step)
}

export interface ClaimOptions {
  readonly nowMs?: number
  readonly limit?: number
  readonly concurrency?: number
  readonly workerId?: string
  readonly lane?: string
  readonly endpoint?: string
}

export function channel(options: ClaimOptions = {}): ClaimChannel {
  return {
    lane: options.lane ?? LANE,
    endpoint: options.endpoint ?? ENDPOINT,
    limit: options.limit ?? 1000,
    laneConcurrency: options.concurrency ?? 1000,
  }
}

export function claim(ledger: Ledger, options: ClaimOptions = {}): Promise<ClaimedItem[]> {
  const nowMs = options.nowMs ?? START_MS
  return ledger.claim({
    workerId: options.workerId ?? 'worker-1',
    nowMs,
    leaseUntilMs: nowMs + LEASE_MS,
    channels: [channel(options)],
  })
}

/** The one item that can be claimed. */
export async function claimOne(ledger: Ledger, options: ClaimOptions = {}): Promise<ClaimedItem> {
  const claimed = await claim(ledger, options)
  expect(claimed).toHaveLength(1)
  return claimed[0] as ClaimedItem
}

export async function settle(
  ledger: Ledger,
  item: { readonly itemId: string; readonly tenant: string; readonly token: number },
  to: SettledState,
  extra: Partial<Settlement> & { readonly nowMs?: number } = {},
): Promise<SettleReceipt> {
  const { nowMs, ...parts } = extra
  const { itemId: id, tenant, token } = item
  const [receipt] = await ledger.settle([{ itemId: id, tenant, token, to, ...parts }], nowMs ?? START_MS)
  return receipt as SettleReceipt
}

export const SUCCEEDED: SettledState = { state: 'succeeded', output: '{"id":"42"}' }

export const FACTS: DeadLetterFacts = {
  fingerprint: 'crm|validation|field_required|company',
  summary: 'The CRM refused it: field "company" is required.',
  hint: 'Fill in "company" at the source, then replay.',
  cause: 'data',
}

export function deadLettered(facts: Partial<DeadLetterFacts> = {}, dueAtMs?: number): SettledState {
  const due = dueAtMs === undefined ? {} : { dueAtMs, slowLaneTries: 1 }
  return { state: 'dead_lettered', reason: 'failed for good', deadLetter: { ...FACTS, ...facts }, ...due }
}

export function unknownOutcome(dueAtMs?: number): SettledState {
  const due = dueAtMs === undefined ? {} : { dueAtMs }
  return { state: 'unknown_outcome', reason: 'it may have happened', deadLetter: FACTS, ...due }
}

export const FAILURE: Failure = {
  class: 'transient',
  code: 'http_503',
  message: 'The CRM answered 503',
  userMessage: 'This could not be done right now.',
  certainty: 'not_sent',
  hint: 'Wait.',
  rule: 'default:http.503',
  status: 503,
  countsAgainstBreaker: true,
}

export function attempt(parts: Partial<AttemptRecord> = {}): AttemptRecord {
  return { startedAtMs: START_MS, endedAtMs: START_MS + 7, outcome: 'succeeded', counts: true, ...parts }
}

export const FAILED_ATTEMPT: AttemptRecord = attempt({ outcome: 'failed', status: 503, failure: FAILURE })

/** Claims the one due item and settles it. */
export async function workOne(ledger: Ledger, to: SettledState, extra: Partial<Settlement> = {}): Promise<ClaimedItem> {
  const item = await claimOne(ledger)
  expect(await settle(ledger, item, to, extra)).toMatchObject({ outcome: 'settled' })
  return item
}

export async function stateOf(ledger: Ledger, id: string): Promise<ItemState | undefined> {
  return (await ledger.item(id))?.state
}
