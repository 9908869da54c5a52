/** Stores that encrypt, for the suites that every store must pass. */
import { createKeyRing } from '../../core/key-ring.ts'
import { seededRandom } from '../../core/random.ts'
import { action } from '../conformance/acting.ts'
import type { LedgerStore } from '../conformance/index.ts'
import {
  attempt,
  claimOne,
  deadLettered,
  FAILED_ATTEMPT,
  FAILURE,
  idOf,
  LANE,
  newRun,
  START_MS,
  settle,
} from '../conformance/support.ts'
import type { Ledger, NewRun } from '../port.ts'
import { type OpenPayloads, openPayloads } from './open-payloads.ts'

export const ONE = Buffer.alloc(32, 1).toString('base64')
export const TWO = Buffer.alloc(32, 2).toString('base64')

let opened = 0

/** As a process with these keys opens it. */
export async function sealed(
  ledger: Ledger,
  keys: readonly string[] = [ONE],
  encrypt = true,
): Promise<OpenPayloads<Ledger>> {
  const random = seededRandom(`payloads ${opened++}`)
  try {
    return await openPayloads({ ledger, ring: createKeyRing(keys), random, nowMs: () => START_MS, encrypt })
  } catch (error) {
    await ledger.close()
    throw error
  }
}

export async function encrypting(make: () => Promise<LedgerStore>): Promise<LedgerStore> {
  const store = await make()
  return { ...store, open: async () => (await sealed(await store.open())).ledger }
}

/** What people and APIs put in: none of it may be found in a store that encrypts. */
export const CONTENTS = [
  'ada.in@example.com',
  'ada.edited@example.com',
  'ada.out@example.com',
  'ada.effect@example.com',
  'ada.message@example.com',
  'ada.body@example.com',
  'ada.subject@example.com',
  'ada.summary@example.com',
  'ada.hint@example.com',
  'ada.reason@example.com',
  'ada.note@example.com',
  'ada.memo@example.com',
  'ada.id@example.com',
  'ada.gate@example.com',
  'ada.typed@example.com',
  'ada.details@example.com',
  'ada.patch@example.com',
  // Hashes of contents, by which everybody could try what they may be.
  'fingerprint-of-ada',
] as const

/** What erasing a run leaves until retention takes it (docs/privacy.md). */
export const KEPT_BY_JOBS: string = 'ada.patch@example.com'

export function secretRun(parts: Partial<NewRun> = {}): NewRun {
  return newRun({ input: '{"email":"ada.in@example.com"}', inputFingerprint: 'fingerprint-of-ada', ...parts })
}

/** A life with all that a life can leave in a store: it fails, is edited and replayed, and succeeds. */
export async function workOn(ledger: Ledger, run: NewRun): Promise<void> {
  await ledger.submit([run])
  const itemId = idOf(run)
  const failure = {
    ...FAILURE,
    message: 'no such person: ada.message@example.com',
    hint: 'ask ada.hint@example.com',
    subject: 'ada.subject@example.com',
    bodyExcerpt: '{"said":"ada.body@example.com"}',
  }
  const facts = { summary: 'refused ada.summary@example.com', hint: 'see ada.hint@example.com' }
  const gate = { lane: LANE, untilMs: START_MS - 1, reason: 'ada.gate@example.com asks for too much' }
  await settle(ledger, await claimOne(ledger), deadLettered(facts), {
    attempt: { ...FAILED_ATTEMPT, failure, note: 'ada.note@example.com' },
    memo: '{"about":"ada.memo@example.com"}',
    gate,
  })
  const order = { itemId, by: 'cli:ada', dueAtMs: START_MS }
  await ledger.replay([{ ...order, editedInput: '{"email":"ada.edited@example.com"}' }], START_MS)
  const effect = { tenant: 'default', key: `operation of ${run.id}`, owner: itemId, fingerprint: 'fingerprint-of-ada' }
  await ledger.beginEffects([{ ...effect, reservedUntilMs: START_MS + 9, keepUntilMs: START_MS + 99_999 }], START_MS)
  await settle(
    ledger,
    await claimOne(ledger),
    {
      state: 'succeeded',
      output: '{"email":"ada.out@example.com"}',
      externalId: 'ada.id@example.com',
      note: 'found by ada.reason@example.com',
    },
    {
      attempt: attempt(),
      memo: '{"about":"ada.memo@example.com"}',
      effect: { key: effect.key, done: true, output: '{"email":"ada.effect@example.com"}' },
    },
  )
  await ledger.recordActions([
    { ...action(1), reason: 'ada.typed@example.com asked', details: { filter: { key: 'ada.details@example.com' } } },
  ])
  const state = { patch: { email: 'ada.patch@example.com' } }
  await ledger.updateJob({ id: `job of ${run.id}`, fromRevision: 0, endedAtMs: START_MS, state })
}
