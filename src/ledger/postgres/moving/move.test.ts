/** A store that moves from a file to a server: everything comes over, nobody works meanwhile, and a kill does no harm. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import { action } from '../../conformance/acting.ts'
import { expectSameStore, fillStore } from '../../conformance/full-store.ts'
import { claim, expectAudited, idOf, LEASE_MS, newRun, START_MS, SUCCEEDED, settle } from '../../conformance/support.ts'
import { abortMove, type MoveOptions, type MoveReport, moveLedger } from '../../move.ts'
import type { Ledger } from '../../port.ts'
import { openSqliteLedger, openSqliteSource } from '../../sqlite/index.ts'
import { temporaryFolder } from '../../sqlite/test-support.ts'
import { connect } from '../../sqlite/transactions/connection.ts'
import type { TransferSource, TransferTarget } from '../../transfer.ts'
import { openPostgresLedger, openPostgresTarget } from '../index.ts'

const BATCH_ITEMS = 100

let server: PostgresServer
let schemas = 0
const cleanUps: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Ends {
  readonly path: string
  readonly schema: string
  source(): Promise<TransferSource>
  target(): Promise<TransferTarget>
  /** These are opened, and closed when the test is over. */
  oldLedger(): Promise<Ledger>
  newLedger(): Promise<Ledger>
}

function makeEnds(): Ends {
  const folder = temporaryFolder()
  cleanUps.push(folder.remove)
  const [path, schema, clock] = [join(folder.path, 'ledger.db'), `moved_${++schemas}`, impatientClock()]
  const place = { url: server.url, schema, clock }
  async function closing<Part extends { close(): Promise<void> }>(opening: Promise<Part>): Promise<Part> {
    const part = await opening
    cleanUps.push(() => part.close())
    return part
  }
  return {
    path,
    schema,
    source: () => closing(openSqliteSource({ path, clock, batchItems: BATCH_ITEMS })),
    target: () => closing(openPostgresTarget(place)),
    oldLedger: () => closing(openSqliteLedger({ path, clock, busyTimeoutMs: 1000 })),
    newLedger: () => closing(openPostgresLedger(place)),
  }
}

let moves = 0
async function move(ends: Ends, options: Pick<MoveOptions, 'signal' | 'onProgress'> = {}): Promise<MoveReport> {
  const [source, target] = [await ends.source(), await ends.target()]
  return moveLedger(source, target, { newId: () => `move-${++moves}`, nowMs: () => START_MS, ...options })
}

const MOVED = { code: 'store_moved', message: expect.stringContaining('postgres://holdfast@127.0.0.1') }

describe('a store that moves', () => {
  it('everything comes over, and work goes on there', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    await fillStore(old, 400)
    await expectAudited(old)
    await old.recordActions([1, 2].map((number) => action(number)))
    const job = await old.updateJob({ id: 'job-1', fromRevision: 0, endedAtMs: undefined, state: { reached: 2 } })
    const members = [1, 2, 3].map((number) => ({ itemId: `run.step-${number}`, replaysBefore: 0, refused: 'gone' }))
    await old.writeJobMembers('job-1', members)
    const report = await move(ends)
    const counts = { runs: 400, actions: 2, jobs: 1, job_members: 3 }
    expect(report).toMatchObject({ outcome: 'moved', counts, balance: { balanced: true } })
    const ledger = await ends.newLedger()
    await expectSameStore(ledger, old)
    expect((await ledger.actions({}, { limit: 9 })).rows).toEqual([2, 1].map((number) => action(number)))
    expect((await ledger.jobs({}, { limit: 9 })).rows).toEqual([job])
    expect(await ledger.jobItems('job-1', { after: 2, limit: 9 })).toMatchObject([{ position: 3, ...members[2] }])
    await workToTheEnd(ledger)
  })

  it('an item that was being processed is taken over there as after a crash', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    const run = newRun()
    await old.submit([run])
    const [held] = await claim(old, { workerId: 'old-worker' })
    await move(ends)
    // Its worker has its answer by now; but nobody hears of it any more.
    await expect(settle(old, held ?? expect.fail(), SUCCEEDED)).rejects.toMatchObject(MOVED)
    const ledger = await ends.newLedger()
    expect(await ledger.item(idOf(run))).toMatchObject({
      state: 'processing',
      lease: { workerId: 'old-worker', untilMs: START_MS + LEASE_MS },
    })
    expect(await claim(ledger)).toEqual([])
    const nowMs = START_MS + LEASE_MS
    const request = { workerId: 'w', nowMs, leaseUntilMs: nowMs + LEASE_MS, limit: 10 }
    expect(await ledger.reclaimExpired(request)).toMatchObject([
      {
        itemId: idOf(run),
        from: 'processing',
        token: 2,
        lostAttemptStartedAtMs: START_MS,
        counters: { crashes: 1, attempts: 0 },
      },
    ])
    await expectAudited(ledger)
  })

  it('what no PostgreSQL text can hold is replaced, as where it is submitted', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    const run = newRun({ key: 'a\0b', labels: { 'na\0me': 'va\0lue' }, input: '{"text":"\\u0000"}' })
    await old.submit([run])
    await move(ends)
    const ledger = await ends.newLedger()
    expect(await ledger.run(run.id)).toMatchObject({ key: 'a\uFFFDb', labels: { 'na\uFFFDme': 'va\uFFFDlue' } })
    expect(await ledger.submit([run])).toEqual([{ outcome: 'duplicate', runId: run.id }])
  })

  it('an empty store moves too', async () => {
    const ends = makeEnds()
    await ends.oldLedger()
    expect(await move(ends)).toMatchObject({ outcome: 'moved', balance: { accepted: 0 } })
  })

  it('again, when it has moved: nothing more is done', async () => {
    const ends = makeEnds()
    await (await ends.oldLedger()).submit([newRun()])
    await move(ends)
    const ledger = await ends.newLedger()
    await ledger.submit([newRun()])
    expect(await move(ends)).toMatchObject({ outcome: 'known', counts: { runs: 2 } })
    await expectAudited(ledger)
  })
})

describe('nobody works meanwhile', () => {
  it('at the old address every write is refused, naming the new one, also where the file was open before', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    const runs = [newRun(), newRun(), newRun()]
    await old.submit(runs)
    const [held] = await claim(old, { limit: 1 })
    await move(ends, stopAt(0))
    for (const ledger of [old, await ends.oldLedger()]) {
      await expect(ledger.submit([newRun()])).rejects.toMatchObject(MOVED)
      await expect(ledger.submit([runs[0] ?? newRun()])).rejects.toMatchObject(MOVED)
      await expect(claim(ledger)).rejects.toMatchObject(MOVED)
      await expect(settle(ledger, held ?? expect.fail(), SUCCEEDED)).rejects.toMatchObject(MOVED)
      await expect(ledger.closeGates([{ lane: 'new', untilMs: 1, reason: '' }])).rejects.toMatchObject(MOVED)
      await expect(ledger.updateHealth([{ key: 'k', fromRevision: 0, state: 1 }], 1)).rejects.toMatchObject(MOVED)
      expect(await ledger.balance({})).toMatchObject({ accepted: 3, states: { queued: 2, processing: 1 } })
    }
  })

  it('nor at the new one, also where the empty store was open before; it is open when all is there', async () => {
    const ends = makeEnds()
    const [old, early] = [await ends.oldLedger(), await ends.newLedger()]
    await old.submit(Array.from({ length: 150 }, () => newRun()))
    const report = await move(ends, stopAt(100))
    expect(report.outcome).toBe('interrupted')
    expect(await early.balance({})).toMatchObject({ states: { queued: 100 } })
    const moving = { code: 'store_moving', hint: expect.stringContaining('run it again') }
    for (const ledger of [early, await ends.newLedger()]) {
      await expect(claim(ledger)).rejects.toMatchObject(moving)
      await expect(ledger.submit([newRun()])).rejects.toMatchObject(moving)
    }
    await expect(joinedSubmit(ends)).rejects.toMatchObject(moving)
    expect((await move(ends)).outcome).toBe('moved')
    expect(await claim(early, { limit: 2000, concurrency: 2000 })).toHaveLength(150)
    await expectAudited(early)
  })

  it('a target that holds something, or belongs to another move, is left alone, and the source stays open', async () => {
    const [ends, others] = [makeEnds(), makeEnds()]
    await (await ends.newLedger()).submit([newRun()])
    const old = await ends.oldLedger()
    await expect(move(ends)).rejects.toMatchObject({ code: 'move_target_taken' })
    await others.oldLedger()
    await move(others, stopAt(0))
    await expect(move({ ...ends, target: others.target })).rejects.toMatchObject({
      code: 'move_target_taken',
      message: expect.stringContaining(others.path),
    })
    await expect(move({ ...others, target: makeEnds().target })).rejects.toMatchObject({ code: 'move_elsewhere' })
    expect(await old.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await expectAudited(old)
  })
})

describe('a move that is given up', () => {
  it('opens the old store again and empties the new one, which can be moved to once more', async () => {
    const ends = makeEnds()
    const [old, early] = [await ends.oldLedger(), await ends.newLedger()]
    await fillStore(old, 100)
    await move(ends, stopAt(50))
    // It gets to know the names there, by which it goes from then on.
    await expect(claim(early)).rejects.toMatchObject({ code: 'store_moving' })
    await abortMove(await ends.source(), await ends.target())
    expect(await old.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await expectAudited(old)
    await expectAudited(early)
    expect(await early.balance({})).toMatchObject({ accepted: 0 })
    expect((await move(ends)).outcome).toBe('moved')
    await expectSameStore(early, old)
    await workToTheEnd(early)
  })

  it('does not need the server; what is left there can be removed later', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    await old.submit([newRun()])
    await move(ends, stopAt(0))
    await abortMove(await ends.source(), undefined)
    expect(await old.submit([newRun()])).toMatchObject([{ outcome: 'accepted' }])
    await expect(move(ends)).rejects.toMatchObject({ code: 'move_target_taken' })
    await abortMove(await ends.source(), await ends.target())
    expect((await move(ends)).outcome).toBe('moved')
  })

  it('not when it has finished, and not where none was begun', async () => {
    const ends = makeEnds()
    await ends.oldLedger()
    await expect(abortMove(await ends.source(), await ends.target())).rejects.toMatchObject({ code: 'move_not_begun' })
    await move(ends)
    await expect(abortMove(await ends.source(), await ends.target())).rejects.toMatchObject({ code: 'move_finished' })
    await expect(abortMove(await ends.source(), undefined)).rejects.toMatchObject({ code: 'move_finished' })
  })
})

describe('the proof', () => {
  it('a source whose books do not balance is not moved', async () => {
    const ends = makeEnds()
    await (await ends.oldLedger()).submit([newRun()])
    const raw = connect(ends.path, { busyWaitMs: 1000 })
    raw.exec(`UPDATE tallies SET count = count + 1 WHERE kind = 'accepted'`)
    raw.close()
    await expect(move(ends)).rejects.toMatchObject({ code: 'store_unbalanced' })
    await expect((await ends.newLedger()).submit([newRun()])).rejects.toMatchObject({ code: 'store_moving' })
  })

  it.each([
    ['an effect', `DELETE FROM SCHEMA.effects WHERE done`, 'rows, effects'],
    ['an operation', `DELETE FROM SCHEMA.operations`, 'rows, operations'],
    [
      'a run with all that the books know of it',
      `INSERT INTO SCHEMA.tallies SELECT book, 'accepted', 0, -item_count FROM SCHEMA.runs WHERE no = 1;
       DELETE FROM SCHEMA.items WHERE run = 1;
       DELETE FROM SCHEMA.runs WHERE no = 1;
       DELETE FROM SCHEMA.tallies WHERE slot = 0 AND kind LIKE 'archived:%'`,
      'batch "batch-2", accepted',
    ],
  ])(
    '%s that is missing at the target: it is not finished, and the source stays',
    async (_what, damage, difference) => {
      const ends = makeEnds()
      const old = await ends.oldLedger()
      await fillStore(old, 100)
      const { runs, effects } = await (await ends.source()).counts()
      await move(ends, stopAt(runs + effects))
      await server.sql(damage.replaceAll('SCHEMA', ends.schema))
      await expect(move(ends)).rejects.toMatchObject({
        code: 'store_unbalanced',
        details: { differences: expect.arrayContaining([expect.stringContaining(difference)]) },
      })
      await abortMove(await ends.source(), await ends.target())
      await expectAudited(old)
    },
  )
})

describe('interrupted', () => {
  it('killed again and again, at any moment: the same once more goes on, and nothing is doubled', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    await fillStore(old, 800)
    for (let kills = 0; kills < 5; kills++) expect(await moveKilledAfter(ends, 2 + (kills % 3))).not.toContain('moved')
    expect(await moveKilledAfter(ends, Number.POSITIVE_INFINITY)).toContain('moved')
    const ledger = await ends.newLedger()
    await expectSameStore(ledger, old)
    await workToTheEnd(ledger)
  }, 120_000)

  it('two at once: one of them moves, and the result is the same', async () => {
    const ends = makeEnds()
    const old = await ends.oldLedger()
    await fillStore(old, 500)
    const results = await Promise.allSettled([move(ends), move(ends), move(ends)])
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'move_elsewhere' })
    }
    expect(['moved', 'known']).toContain((await move(ends)).outcome)
    await expectSameStore(await ends.newLedger(), old)
  })

  it('between closing the old store for good and opening the new one: the same once more opens it', async () => {
    const ends = makeEnds()
    await (await ends.oldLedger()).submit([newRun()])
    const [source, target] = [await ends.source(), await ends.target()]
    const options = { newId: () => 'cut', nowMs: () => START_MS }
    const cut = { ...target, finish: () => Promise.reject(new Error('cut')) }
    await expect(moveLedger(source, cut, options)).rejects.toThrow('cut')
    await expect(abortMove(source, target)).rejects.toMatchObject({ code: 'move_finished' })
    expect((await move(ends)).outcome).toBe('known')
    expect(await claim(await ends.newLedger())).toHaveLength(1)
  })
})

/** Interrupts a move as soon as so many records are there. */
function stopAt(records: number): Pick<MoveOptions, 'signal' | 'onProgress'> {
  const stopping = new AbortController()
  return { signal: stopping.signal, onProgress: ({ done }) => done >= records && stopping.abort() }
}

async function joinedSubmit(ends: Ends): Promise<unknown> {
  const [ledger, client] = [
    await openPostgresLedger({ url: server.url, schema: ends.schema, clock: impatientClock() }),
    new pg.Client(server.url),
  ]
  cleanUps.push(() => ledger.close())
  await client.connect()
  cleanUps.push(() => client.end())
  await client.query('BEGIN')
  return ledger.joining(client).submit([newRun()])
}

/** What the process said until it was killed. */
async function moveKilledAfter(ends: Ends, lines: number): Promise<string[]> {
  const program = join(import.meta.dirname, 'test-moving.ts')
  const words = [program, ends.path, server.url, ends.schema]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const said: string[] = []
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (said.length === lines) child.kill('SIGKILL')
  }
  await closed
  return said
}

/** Takes over what was being processed, does all that can be done, and proves the books. */
async function workToTheEnd(ledger: Ledger): Promise<void> {
  const nowMs = START_MS + 1_000_000_000
  const terms = { workerId: 'new-worker', nowMs, leaseUntilMs: nowMs + LEASE_MS }
  await ledger.openGates((await ledger.lanes()).map(({ lane }) => lane))
  await ledger.resumeLanes((await ledger.lanes()).map(({ lane }) => lane))
  for (;;) {
    const lost = await ledger.reclaimExpired({ ...terms, limit: 1000 })
    const channels = (await ledger.channels()).map((due) => ({ ...due, limit: 1000, laneConcurrency: 100_000 }))
    const claimed = [...lost, ...(await ledger.claim({ ...terms, channels }))]
    if (claimed.length === 0) break
    await ledger.settle(
      claimed.map(({ itemId, tenant, token }) => ({ itemId, tenant, token, to: SUCCEEDED })),
      nowMs,
    )
  }
  const { states } = await ledger.balance({})
  expect(states).toMatchObject({ queued: 0, processing: 0, retrying: 0, parked: 0 })
  expect(states.succeeded).toBeGreaterThan(0)
  await expectAudited(ledger)
}
