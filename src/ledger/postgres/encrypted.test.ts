/** A server's store that encrypts: it keeps the promises of the port, and no table tells what people put in. */
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import { type PostgresStores, storesOn } from '../../../test/support/postgres-stores.ts'
import { expectSameStore, fillStore } from '../conformance/full-store.ts'
import { ledgerConformance } from '../conformance/index.ts'
import { claim, expectAudited, LANE, newRun, START_MS } from '../conformance/support.ts'
import { moveLedger } from '../move.ts'
import { CONTENTS, encrypting, KEPT_BY_JOBS, ONE, sealed, secretRun, TWO, workOn } from '../payloads/test-support.ts'
import { openSqliteLedger, openSqliteSource } from '../sqlite/index.ts'
import { temporaryFolder } from '../sqlite/test-support.ts'
import { openPostgresLedger, openPostgresTarget } from './index.ts'

let server: PostgresServer
let stores: PostgresStores
const clock = impatientClock()

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
  stores = storesOn(server, { clock })
})
afterAll(async () => {
  await stores?.close()
  await server?.remove()
})

ledgerConformance('postgres, encrypted', () => encrypting(() => stores.store()))

/** Every row of every table, as text. */
async function dumpOf(schema: string): Promise<string> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    // Rows as text have their quotes doubled; what is looked for has none.
    const tables = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = $1`,
      [schema],
    )
    let dump = ''
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
      dump += rows.map(({ row }) => row).join('\n')
    }
    return dump
  } finally {
    await client.end()
  }
}

test('D28: no table holds what was put in; the same store without a key holds it all', async () => {
  for (const [encrypt, keys] of [
    [true, [ONE]],
    [false, []],
  ] as const) {
    const store = await stores.store()
    const { ledger } = await sealed(await store.open(), keys, encrypt)
    await workOn(ledger, secretRun())
    await ledger.close()
    const dump = await dumpOf(store.schema)
    for (const content of CONTENTS) expect(dump.includes(content), content).toBe(!encrypt)
    await store.remove()
  }
})

test('a new key: all is encrypted anew, also the history of runs that were forgotten', async () => {
  const store = await stores.store()
  const { ledger: plain } = await sealed(await store.open(), [], false)
  await fillStore(plain, 60)
  const opened = await sealed(await store.open(), [TWO, ONE])
  await expectSameStore(opened.ledger, plain)
  expect(await opened.payloads.rotate()).toMatchObject({ encrypts: true, isWhole: true })
  const { ledger } = await sealed(await store.open(), [TWO])
  await expectSameStore(ledger, opened.ledger)
  await expectAudited(ledger)
  for (const each of [plain, opened.ledger, ledger]) await each.close()
  expect(await dumpOf(store.schema)).not.toContain('is required')
  await store.remove()
})

test('issue 6: erased runs are in no row of any table, also where nothing is encrypted; others stay', async () => {
  const store = await stores.store()
  const { ledger, payloads } = await sealed(await store.open(), [], false)
  const run = secretRun({ key: 'ada.in@example.com' })
  await workOn(ledger, run)
  await ledger.submit([newRun({ input: '{"email":"grace@example.com"}' })])
  // What an API said of its own load stands at the lane until the next time.
  await ledger.openGates([LANE])
  const before = await ledger.balance({})
  const names = ['ada.typed@example.com', 'ada.details@example.com']
  await payloads.erase({ runIds: [run.id], subject: 'ada.in@example.com', names, atMs: START_MS })
  await payloads.scrub()
  const dump = await dumpOf(store.schema)
  for (const content of CONTENTS) expect(dump.includes(content), content).toBe(content === KEPT_BY_JOBS)
  expect(dump).toContain('grace@example.com')
  expect(await ledger.balance({})).toEqual(before)
  await expectAudited(ledger)
  await ledger.close()
  await store.remove()
})

test('what is submitted in a transaction of the user is encrypted too', async () => {
  const store = await stores.store()
  const inner = await openPostgresLedger({ url: server.url, schema: store.schema, clock })
  const opened = await sealed(inner)
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query('BEGIN')
  await opened.sealed(inner.joining(client)).submit([secretRun()])
  await client.query('COMMIT')
  await client.end()
  expect(await dumpOf(store.schema)).not.toContain('ada.in@example.com')
  expect((await claim(opened.ledger)).map(({ input }) => input)).toEqual(['{"email":"ada.in@example.com"}'])
  await opened.ledger.close()
  await store.remove()
})

test('an encrypted file moves to a server as it is, and is opened there with its key', async () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'ledger.db')
  const { ledger: old } = await sealed(await openSqliteLedger({ path, clock }))
  await fillStore(old, 60)
  const place = { url: server.url, schema: 'encrypted_move', clock }
  const [source, target] = [await openSqliteSource({ path, clock }), await openPostgresTarget(place)]
  const report = await moveLedger(source, target, { newId: () => 'move-encrypted', nowMs: () => START_MS })
  expect(report.outcome).toBe('moved')
  await source.close()
  await target.close()
  await expect(openPostgresLedger(place).then((ledger) => sealed(ledger, [TWO]))).rejects.toMatchObject({
    code: 'encryption_key_unknown',
  })
  const { ledger: moved } = await sealed(await openPostgresLedger(place))
  await expectSameStore(moved, old)
  await moved.submit([newRun({ input: '{"after":"the move"}' })])
  const inputs = (await claim(moved)).map(({ input }) => input)
  expect(inputs).toContain('{"after":"the move"}')
  for (const each of [old, moved]) await each.close()
  await folder.remove()
})
