/** Contents encrypted at rest (D28): what a file tells without the key, and what becomes of those who have another. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { createKeyRing } from '../../core/key-ring.ts'
import { seededRandom } from '../../core/random.ts'
import { expectSameStore, fillStore } from '../conformance/full-store.ts'
import {
  chainRun,
  channel,
  claim,
  claimOne,
  deadLettered,
  expectAudited,
  idOf,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  workOne,
} from '../conformance/support.ts'
import type { Ledger, StandingLease } from '../port.ts'
import { openSharedStore, openSqliteLedger } from '../sqlite/index.ts'
import { temporaryFolder } from '../sqlite/test-support.ts'
import { connect } from '../sqlite/transactions/connection.ts'
import { createCodec, isMarked } from './codec.ts'
import type { OpenPayloads } from './open-payloads.ts'
import { CONTENTS, ONE, sealed, secretRun, TWO, workOn } from './test-support.ts'

let folder: ReturnType<typeof temporaryFolder>
let opened: Ledger[]
const path = () => join(folder.path, 'ledger.db')

beforeEach(() => {
  folder = temporaryFolder()
  opened = []
})
afterEach(async () => {
  for (const ledger of opened) await ledger.close()
  await folder.remove()
})

async function open(keys: readonly string[] = [ONE], encrypt = true): Promise<OpenPayloads<Ledger>> {
  const payloads = await sealed(await openSqliteLedger({ path: path(), clock: impatientClock() }), keys, encrypt)
  opened.push(payloads.ledger)
  return payloads
}

/** The file, its write-ahead log, and whatever else lies beside it. */
function bytesOnDisk(): Buffer {
  return Buffer.concat(readdirSync(folder.path).map((name) => readFileSync(join(folder.path, name))))
}

function changeStored(sql: string): void {
  using database = connect(path(), { busyWaitMs: 1000 })
  database.exec(sql)
}

describe('D28: contents are encrypted at rest', () => {
  test.each([true, false])('the bytes of the file tell nothing of them (encrypted: %s)', async (encrypt) => {
    const { ledger } = await open(encrypt ? [ONE] : [], encrypt)
    await workOn(ledger, secretRun())
    for (const content of CONTENTS) expect(bytesOnDisk().includes(content), content).toBe(!encrypt)
    await ledger.close()
    for (const content of CONTENTS) expect(bytesOnDisk().includes(content), content).toBe(!encrypt)
  })

  test('whoever has the key sees all of it', async () => {
    const { ledger } = await open()
    const run = secretRun()
    await workOn(ledger, run)
    const seen = JSON.stringify([
      await ledger.item(idOf(run)),
      await ledger.failures(0),
      await ledger.lanes(),
      await ledger.actions({}, { limit: 9 }),
      await ledger.jobs({}, { limit: 9 }),
    ])
    const notShown = ['ada.effect@example.com', 'fingerprint-of-ada']
    for (const content of CONTENTS) expect(seen.includes(content), content).toBe(!notShown.includes(content))
    const effect = { tenant: 'default', key: `operation of ${run.id}`, fingerprint: 'fingerprint-of-ada', owner: 'x' }
    expect(await ledger.beginEffects([{ ...effect, reservedUntilMs: 1, keepUntilMs: 1 }], START_MS)).toMatchObject([
      { outcome: 'done', output: '{"email":"ada.effect@example.com"}' },
    ])
    expect(await ledger.submit([{ ...run, id: 'other' }])).toMatchObject([{ outcome: 'duplicate', runId: run.id }])
  })

  test('equal contents are not equal in the store; equal messages are, so that it keeps one of many', async () => {
    const { ledger } = await open()
    await ledger.submit([newRun({ input: '{"a":1}' }), newRun({ input: '{"a":1}' })])
    for (const item of await claim(ledger)) await settle(ledger, item, deadLettered())
    using database = connect(path(), { busyWaitMs: 1000, readOnly: true })
    const count = (sql: string) => database.prepare(sql).get()?.['n']
    expect(count('SELECT count(DISTINCT input) AS n FROM runs')).toBe(2)
    expect(count('SELECT count(DISTINCT summary) AS n FROM items')).toBe(1)
  })

  test('a key of a run that is made of its content is hashed; it is known again, and found', async () => {
    const { ledger } = await open()
    const key = `spring:${'ab12'.repeat(16)}#2`
    const run = newRun({ key })
    await ledger.submit([run])
    expect(bytesOnDisk().includes('ab12'.repeat(16))).toBe(false)
    expect(await ledger.submit([{ ...run, id: 'other' }])).toMatchObject([{ outcome: 'duplicate' }])
    expect((await ledger.items({ key }, { limit: 9 })).rows).toHaveLength(1)
  })
})

describe('the key', () => {
  test('another one, or none, is refused when the store is opened; nothing is changed', async () => {
    const { ledger } = await open()
    await ledger.submit([secretRun()])
    for (const encrypt of [true, false]) {
      const wrong = await open([TWO], encrypt).catch((error: unknown) => error)
      expect(wrong).toMatchObject({ code: 'encryption_key_unknown', hint: expect.stringContaining('Nothing is lost') })
      const none = await open([], encrypt).catch((error: unknown) => error)
      expect(none).toMatchObject({ code: 'encryption_key_missing', hint: expect.stringContaining('HOLDFAST_KEY') })
      for (const key of [ONE, TWO]) expect(`${JSON.stringify([wrong, none])}`).not.toContain(key)
    }
    expect((await claimOne((await open()).ledger)).input).toContain('ada.in@')
  })

  test('to encrypt without one is refused before anything is written', async () => {
    await expect(open([], true)).rejects.toMatchObject({ code: 'encryption_key_missing' })
    const { ledger } = await open([], false)
    expect((await ledger.readHealth(0)).revision).toBe(0)
  })

  test('once encrypted, always encrypted: whatever the configuration of a process says', async () => {
    await open()
    const { ledger } = await open([ONE], false)
    await ledger.submit([secretRun()])
    expect(bytesOnDisk().includes('ada.in@')).toBe(false)
  })

  test('a process without it that had the store open before gives items back, for those who have it', async () => {
    const { ledger: before } = await open([], false)
    const { ledger } = await open()
    const run = secretRun()
    await ledger.submit([run])
    expect(await claim(before)).toEqual([])
    expect(await ledger.item(idOf(run))).toMatchObject({ state: 'parked', counters: { attempts: 0, deferrals: 1 } })
    expect((await claimOne(ledger, { nowMs: START_MS + 30_000 })).input).toContain('ada.in@')
    await expect(before.item(idOf(run))).rejects.toMatchObject({ code: 'encryption_key_missing' })
  })

  test('what a submit leases to it is given back too, before whoever takes its claim back hears that', async () => {
    using store = openSharedStore()
    const clock = impatientClock(START_MS)
    const { ledger: before } = await sealed(store.connect(clock), [], false)
    const { ledger } = await sealed(store.connect(clock))
    const told: StandingLease[] = []
    const claim = { workerId: 'w', leaseMs: 30_000, untilMs: START_MS + 60_000 }
    const hear = (lease: StandingLease): void => void told.push(lease)
    const run = secretRun()
    await before.standClaim({ ...claim, channels: [channel()] }, hear)
    expect(await ledger.submit([run])).toMatchObject([{ isLeased: true }])
    await before.standClaim({ ...claim, channels: [] }, hear)
    expect(told).toMatchObject([{ items: [] }])
    expect(await ledger.item(idOf(run))).toMatchObject({ state: 'parked', counters: { attempts: 0, deferrals: 1 } })
  })

  test('rotated: all with the new one, the old one is needed no more; interrupted, it goes on', async () => {
    const { ledger: old } = await open()
    await fillStore(old, 300)
    const both = await open([TWO, ONE])
    await both.ledger.submit([newRun()])
    expect(Object.keys((await both.payloads.keysInUse()).texts)).toHaveLength(2)
    await expect(open([ONE])).rejects.toMatchObject({ code: 'encryption_key_unknown' })

    const stop = new AbortController()
    const interrupted = await both.payloads.rotate({ signal: stop.signal, onProgress: () => stop.abort() })
    expect(interrupted.isWhole).toBe(false)
    await expect(open([TWO])).rejects.toMatchObject({ code: 'encryption_key_unknown' })
    const whole = await both.payloads.rotate()
    expect(whole.isWhole).toBe(true)
    expect(whole.changed).toBeGreaterThan(100)
    expect((await both.payloads.rotate()).changed).toBe(0)

    const fresh = await open([TWO])
    const { texts, keyId, inClear } = await fresh.payloads.keysInUse()
    expect([Object.keys(texts), inClear]).toEqual([[keyId], 0])
    await expectSameStore(fresh.ledger, both.ledger)
    await expectAudited(fresh.ledger)
  })

  test('turned on later: what is there goes on, is known again, and is encrypted by a rotation', async () => {
    const { ledger: plain } = await open([], false)
    await fillStore(plain, 100)
    const [known, done] = [secretRun({ key: 'ada' }), secretRun()]
    await plain.submit([known])
    const effect = { tenant: 'default', key: 'op', fingerprint: 'fingerprint-of-ada', owner: 'x' }
    const times = { reservedUntilMs: START_MS + 9, keepUntilMs: START_MS + 99_999 }
    await plain.beginEffects([{ ...effect, ...times }], START_MS)
    await plain.endEffects([{ ...effect, done: true, output: '"ada.effect@example.com"' }], START_MS)

    const later = await open()
    await expectSameStore(later.ledger, plain)
    const knownAgain = async () => {
      expect(await later.ledger.submit([{ ...known, id: 'again' }])).toMatchObject([{ outcome: 'duplicate' }])
      const changed = { ...known, id: 'changed', inputFingerprint: 'other' }
      expect(await later.ledger.submit([changed])).toMatchObject([{ outcome: 'conflict' }])
      const [receipt] = await later.ledger.beginEffects([{ ...effect, owner: 'y', ...times }], START_MS)
      expect(receipt).toMatchObject({ outcome: 'done', output: '"ada.effect@example.com"' })
    }
    await knownAgain()
    await later.ledger.submit([done])
    expect(bytesOnDisk().includes('ada.in@')).toBe(true)
    await later.payloads.rotate({ scrub: true })
    for (const content of CONTENTS) expect(bytesOnDisk().includes(content), content).toBe(false)
    await knownAgain()
    expect((await later.payloads.keysInUse()).inClear).toBe(0)
  })
})

describe('a content that was changed in the store', () => {
  test('becomes a dead letter for a person; the rest of the claim is worked on', async () => {
    const { ledger } = await open()
    const [bad, good] = [newRun(), newRun()]
    await ledger.submit([bad, good])
    changeStored(`UPDATE runs SET input = (SELECT input FROM runs WHERE id = '${good.id}') WHERE id = '${bad.id}'`)
    expect((await claim(ledger)).map(({ runId }) => runId)).toEqual([good.id])
    await expect(ledger.item(idOf(bad))).rejects.toMatchObject({ code: 'stored_payload_damaged' })
    const { rows } = await ledger.items({ runId: bad.id }, { limit: 1 })
    expect(rows).toMatchObject([{ state: 'dead_lettered', deadLetter: { cause: 'configuration' } }])
  })

  test('an output that is damaged reaches no later step', async () => {
    const { ledger } = await open()
    const run = chainRun()
    await ledger.submit([run])
    await workOne(ledger, SUCCEEDED)
    changeStored(`UPDATE items SET output = replace(output, '~"', 'A~"') WHERE output IS NOT NULL`)
    expect(await claim(ledger)).toEqual([])
    const { rows } = await ledger.items({ states: ['dead_lettered'] }, { limit: 1 })
    expect(rows[0]?.itemId).toBe(idOf(run, 'b'))
  })
})

describe('marks', () => {
  const random = seededRandom('marks')
  const plain = createCodec({ ring: createKeyRing([]), random, encrypts: false, hashKey: undefined })
  const hashKey = Buffer.alloc(32, 7)
  const secret = createCodec({ ring: createKeyRing([ONE]), random, encrypts: true, hashKey })
  const lookalike = fc.constantFrom('hf~', 'hf~=', 'hf~1.aaaaaaaa.AAAA~', 'hf~erased.1~', '~', '"', '\\')
  const tricky = fc.array(fc.oneof(lookalike, fc.string({ unit: 'grapheme' }))).map((parts) => parts.join(''))

  test('any JSON comes back, also what looks like a mark, and none is taken for one', () => {
    fc.assert(
      fc.property(fc.oneof(tricky, fc.jsonValue()), (value) => {
        const text = JSON.stringify(value)
        for (const codec of [plain, secret]) {
          const stored = codec.sealJson(text, 'c')
          expect(codec.openJson(stored, 'c')).toBe(text)
          expect(codec.openValue(JSON.parse(stored), 'c')).toEqual(JSON.parse(text))
        }
        expect(isMarked(secret.sealJson(text, 'c'))).toBe(true)
      }),
    )
  })

  test('any text comes back, alone and amid the words of the store', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const stored = secret.sealText(text)
        expect(secret.openText(stored)).toBe(text)
        expect(secret.openText(`was dead_lettered: ${stored} (${stored})`)).toBe(`was dead_lettered: ${text} (${text})`)
        expect(secret.sealText(text)).toBe(stored)
      }),
    )
  })

  test('a mark opens only where it belongs, and not once it is changed', () => {
    const stored = secret.sealJson('{"a":1}', 'input of run 1')
    expect(() => secret.openJson(stored, 'input of run 2')).toThrow(expect.objectContaining({ code: DAMAGED }))
    for (let index = 20; index < stored.length - 4; index++) {
      const changed = `${stored.slice(0, index)}${stored[index] === 'A' ? 'B' : 'A'}${stored.slice(index + 1)}`
      expect(() => secret.openJson(changed, 'input of run 1')).toThrow(expect.objectContaining({ code: DAMAGED }))
    }
  })
})

const DAMAGED = 'stored_payload_damaged'
