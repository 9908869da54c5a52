import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { claimOne, expectAudited, newRun, SUCCEEDED, settle, workOne } from '../conformance/support.ts'
import { openSqliteLedger, pendingMigrations, type SqliteLedger } from './index.ts'
import { createLedger } from './ledger.ts'
import { migrate } from './schema/migrate.ts'
import { MIGRATIONS } from './schema/migrations/index.ts'
import { temporaryFolder } from './test-support.ts'
import { connect, type Database } from './transactions/connection.ts'
import { storeError } from './transactions/errors.ts'

const folders: { remove: () => Promise<void> }[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove()
})

function newPath(): string {
  const folder = temporaryFolder()
  folders.push(folder)
  return join(folder.path, 'ledger.db')
}

function open(path: string, busyTimeoutMs?: number): Promise<SqliteLedger> {
  return openSqliteLedger({ path, clock: impatientClock(), ...(busyTimeoutMs !== undefined && { busyTimeoutMs }) })
}

describe('opening', () => {
  it('makes the file, and says what it did', async () => {
    const path = newPath()
    expect(await pendingMigrations(path)).toEqual(['initial', 'lean-rows', 'actions', 'jobs', 'order'])
    expect(existsSync(path)).toBe(false)
    const first = await open(path)
    expect(first.description).toBe(`sqlite:${path}`)
    expect(first.migrationReport).toEqual({
      fromVersion: 0,
      toVersion: 5,
      applied: ['initial', 'lean-rows', 'actions', 'jobs', 'order'],
    })
    const second = await open(path)
    expect(second.migrationReport).toEqual({ fromVersion: 5, toVersion: 5, applied: [] })
    expect(await pendingMigrations(path)).toEqual([])
    await first.close()
    await second.close()
  })

  it('works in memory', async () => {
    const ledger = await open(':memory:')
    await ledger.submit([newRun()])
    await workOne(ledger, SUCCEEDED)
    await expectAudited(ledger)
    await ledger.close()
  })

  it('a missing folder is named, with what to do', async () => {
    const path = join(newPath(), 'below', 'ledger.db')
    await expect(open(path)).rejects.toMatchObject({
      code: 'store_folder_missing',
      message: expect.stringContaining(path),
      hint: expect.stringContaining('mkdir -p'),
    })
  })

  it('a folder in its place, or a file that is none, is refused and left alone', async () => {
    const path = newPath()
    const garbage = Buffer.from('this is no database\n'.repeat(1000))
    writeFileSync(path, garbage)
    await expect(open(path)).rejects.toMatchObject({ code: 'store_corrupt', message: expect.stringContaining(path) })
    await expect(pendingMigrations(path)).rejects.toMatchObject({ code: 'store_corrupt' })
    expect(readFileSync(path)).toEqual(garbage)
    await expect(open(join(path, '..'))).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('a database of another program is refused and left alone', async () => {
    const path = newPath()
    const other = connect(path, { busyWaitMs: 0 })
    other.exec('CREATE TABLE theirs (x)')
    other.close()
    const before = readFileSync(path)
    await expect(open(path)).rejects.toMatchObject({ code: 'store_foreign' })
    expect(readFileSync(path)).toEqual(before)
  })

  it('a damaged store is named as such', async () => {
    const path = newPath()
    const ledger = await open(path)
    await ledger.submit(Array.from({ length: 2000 }, () => newRun()))
    await ledger.close()
    const bytes = readFileSync(path)
    bytes.fill(0xff, 8192, bytes.length - 8192)
    writeFileSync(path, bytes)
    const damaged = open(path).then(async (again) => {
      await again.audit().finally(() => again.close())
    })
    await expect(damaged).rejects.toMatchObject({ code: 'store_corrupt' })
  })

  it('a newer schema is refused', async () => {
    const path = newPath()
    await (await open(path)).close()
    const raw = connect(path, { busyWaitMs: 0 })
    raw.exec('PRAGMA user_version = 99')
    raw.close()
    const refused = { code: 'schema_too_new', details: { found: 99, known: 5 } }
    await expect(open(path)).rejects.toMatchObject(refused)
    await expect(pendingMigrations(path)).rejects.toMatchObject(refused)
  })

  it('a store that may not be written is named as such', () => {
    const path = newPath()
    connect(path, { busyWaitMs: 0 }).exec('CREATE TABLE t (x)')
    const readOnly = connect(path, { busyWaitMs: 0, readOnly: true })
    expect(errorOf(() => readOnly.exec('INSERT INTO t VALUES (1)')).code).toBe('store_read_only')
  })
})

describe('migrations', () => {
  const more = [...MIGRATIONS, { version: 6, name: 'sixth', sql: 'CREATE TABLE added (x ANY) STRICT' }]

  it('apply what is missing, once, in one transaction', () => {
    const database = connect(':memory:', { busyWaitMs: 0 })
    migrate(database, 'test')
    expect(migrate(database, 'test', more)).toEqual({ fromVersion: 5, toVersion: 6, applied: ['sixth'] })
    expect(migrate(database, 'test', more)).toEqual({ fromVersion: 6, toVersion: 6, applied: [] })
  })

  it('one that fails leaves the store as it was', () => {
    const database = connect(':memory:', { busyWaitMs: 0 })
    migrate(database, 'test')
    const broken = [...more, { version: 7, name: 'broken', sql: 'CREATE TABLE added (x ANY) STRICT' }]
    expect(errorOf(() => migrate(database, 'test', broken)).message).toContain('already exists')
    expect(migrate(database, 'test', more).fromVersion).toBe(5)
  })

  it('are numbered from 1 without gaps', () => {
    expect(MIGRATIONS.map((migration) => migration.version)).toEqual(MIGRATIONS.map((_, index) => index + 1))
  })
})

describe('another process holds the lock', () => {
  it('writes wait without blocking the thread, and nothing is lost', async () => {
    const path = newPath()
    const ledger = await open(path)
    const holder = lockedBy(path)
    const runs = Array.from({ length: 3 }, () => newRun())
    const submitting = Promise.all(runs.map((run) => ledger.submit([run])))
    // Reads go on meanwhile, which needs the thread and the store.
    expect(await ledger.balance({})).toMatchObject({ accepted: 0 })
    holder.exec('COMMIT')
    expect(await submitting).toEqual(runs.map((run) => [{ outcome: 'accepted', runId: run.id }]))
    holder.close()
    await ledger.close()
  })

  it('after its patience a write is refused, with nothing changed, and the next one works', async () => {
    const path = newPath()
    const ledger = await open(path, 300)
    const holder = lockedBy(path)
    const run = newRun()
    await expect(ledger.submit([run])).rejects.toMatchObject({
      code: 'store_busy',
      details: { store: `sqlite:${path}` },
    })
    await expect(open(path, 300).then((other) => other.close())).resolves.toBeUndefined()
    holder.exec('COMMIT')
    holder.close()
    expect(await ledger.submit([run])).toMatchObject([{ outcome: 'accepted' }])
    await ledger.close()
  })

  it('closing waits for what was promised', async () => {
    const path = newPath()
    const ledger = await open(path)
    const holder = lockedBy(path)
    const run = newRun()
    const submitting = ledger.submit([run])
    const closing = ledger.close()
    holder.exec('COMMIT')
    holder.close()
    await closing
    expect(await submitting).toMatchObject([{ outcome: 'accepted' }])
  })
})

describe('no space left', () => {
  it('refuses what does not fit, changes nothing, and goes on when there is space', async () => {
    const database = connect(newPath(), { busyWaitMs: 0 })
    migrate(database, 'test')
    const path = database.location() ?? expect.fail('it is a file')
    const ledger = createLedger({
      database,
      path,
      clock: impatientClock(),
      busyTimeoutMs: 0,
      busyWaitMs: 0,
      watchEveryMs: 200,
    })
    await ledger.submit([newRun(), newRun()])
    const input = JSON.stringify('x'.repeat(2_000_000))
    const [small, large] = [newRun(), newRun({ input })]
    database.exec('PRAGMA max_page_count = 200')
    const results = await Promise.allSettled([ledger.submit([small]), ledger.submit([large])])
    expect(results).toMatchObject([
      { status: 'fulfilled', value: [{ outcome: 'accepted' }] },
      { status: 'rejected', reason: { code: 'store_full', hint: expect.stringContaining('space') } },
    ])
    expect(await ledger.balance({})).toMatchObject({ accepted: 3, states: { queued: 3 }, balanced: true })
    const item = await claimOne(ledger, { limit: 1 })
    const done = { state: 'succeeded', output: input } as const
    await expect(settle(ledger, item, done)).rejects.toMatchObject({ code: 'store_full' })
    expect(await ledger.item(item.itemId)).toMatchObject({ state: 'processing', lease: { workerId: 'worker-1' } })
    database.exec('PRAGMA max_page_count = 100000')
    expect(await settle(ledger, item, done)).toMatchObject({ outcome: 'settled' })
    expect(await ledger.submit([large])).toMatchObject([{ outcome: 'accepted' }])
    await expectAudited(ledger)
    await ledger.close()
  })
})

describe('several processes', () => {
  it('R103: open one new file at once: it is migrated once, and no item is claimed twice', async () => {
    const path = newPath()
    const results = await Promise.all([1, 2, 3].map((worker) => linesOf('race', path, `worker-${worker}`)))
    const claimed = results.flat()
    expect(claimed).toHaveLength(3 * 40)
    expect(new Set(claimed).size).toBe(claimed.length)
    const ledger = await open(path)
    await expectAudited(ledger)
    expect(await ledger.balance({})).toMatchObject({ accepted: 120, states: { succeeded: 120 } })
    await ledger.close()
  })

  it('R102, rule 1: what was acknowledged survives a kill at any moment', async () => {
    const path = newPath()
    const child = start('submit', path, 'worker-1')
    const acknowledged: string[] = []
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(line)
      if (acknowledged.length === 200) child.kill('SIGKILL')
    }
    const ledger = await open(path)
    for (const id of acknowledged) expect((await ledger.run(id))?.id).toBe(id)
    await expectAudited(ledger)
    await ledger.close()
  })
})

/** A transaction as another program might leave it open. */
function lockedBy(path: string): Database {
  const holder = connect(path, { busyWaitMs: 0 })
  holder.exec('BEGIN IMMEDIATE')
  return holder
}

function errorOf(work: () => unknown) {
  try {
    work()
  } catch (error) {
    return storeError(error, 'the test')
  }
  return expect.fail('it should have thrown')
}

const CHILD = join(import.meta.dirname, 'test-child.ts')

function start(task: 'race' | 'submit', path: string, workerId: string) {
  return spawn(process.execPath, [CHILD, task, path, workerId], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function linesOf(task: 'race', path: string, workerId: string): Promise<string[]> {
  const child = start(task, path, workerId)
  const closed = once(child, 'close')
  const lines = await Array.fromAsync(createInterface(child.stdout))
  expect(await closed).toEqual([0, null])
  return lines
}
