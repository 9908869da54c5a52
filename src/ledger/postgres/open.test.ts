import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import {
  chainRun,
  claim,
  ENDPOINT,
  expectAudited,
  idOf,
  LANE,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
} from '../conformance/support.ts'
import { openPostgresLedger, type PostgresLedger, type PostgresLedgerOptions, pendingMigrations } from './index.ts'

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

function newSchema(): string {
  return `opened_${++schemas}`
}

function open(schema: string, options: Partial<PostgresLedgerOptions> = {}): Promise<PostgresLedger> {
  return openPostgresLedger({ url: server.url, schema, clock: impatientClock(), ...options })
}

function urlWith(change: (url: URL) => void): string {
  const url = new URL(server.url)
  change(url)
  return url.href
}

/** Notes each query that is sent while another is under way. */
function watchOverlaps(client: pg.PoolClient, overlaps: string[]): void {
  const send = client.query.bind(client) as (query: pg.QueryConfig) => Promise<pg.QueryResult>
  let underWay = 0
  const watched = (query: pg.QueryConfig) => {
    if (underWay > 0) overlaps.push(query.text)
    underWay++
    return send(query).finally(() => underWay--)
  }
  Object.assign(client, { query: watched })
}

describe('opening', () => {
  it('makes its schema, and says what it did', async () => {
    const schema = newSchema()
    const place = { url: server.url, schema, clock: impatientClock() }
    expect(await pendingMigrations(place)).toEqual(['initial', 'actions', 'jobs', 'order', 'standing claims'])
    expect(await server.sql(`SELECT 1 FROM pg_namespace WHERE nspname = '${schema}'`)).toEqual([])
    const first = await open(schema)
    expect(first.migrationReport).toEqual({
      fromVersion: 0,
      toVersion: 5,
      applied: ['initial', 'actions', 'jobs', 'order', 'standing claims'],
    })
    const second = await open(schema)
    expect(second.migrationReport).toEqual({ fromVersion: 5, toVersion: 5, applied: [] })
    expect(await pendingMigrations(place)).toEqual([])
    await first.close()
    await second.close()
  })

  it('many processes at once: one of them migrates', async () => {
    const schema = newSchema()
    const ledgers = await Promise.all(Array.from({ length: 6 }, () => open(schema, { poolSize: 2 })))
    const applied = ledgers.filter((ledger) => ledger.migrationReport.applied.length > 0)
    expect(applied).toHaveLength(1)
    await ledgers[0]?.submit([newRun()])
    await expectAudited(ledgers[5] as PostgresLedger)
    for (const ledger of ledgers) await ledger.close()
  })

  it('the schema may stand in the URL; no message holds the password', async () => {
    const schema = newSchema()
    const url = urlWith((parts) => parts.searchParams.set('schema', schema))
    const ledger = await openPostgresLedger({ url, clock: impatientClock() })
    expect(ledger.description).toBe(`postgres://holdfast@127.0.0.1:${server.port}/postgres?schema=${schema}`)
    await ledger.close()
  })

  it('several stores live in one database, through one pool of the user too', async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 4 })
    const [one, two] = [newSchema(), newSchema()]
    const [first, second] = [await open(one, { pool }), await open(two, { pool })]
    const run = newRun()
    await first.submit([run])
    await second.submit([run])
    await claim(first)
    expect(await second.balance({})).toMatchObject({ states: { queued: 1, processing: 0 } })
    await first.close()
    await expectAudited(second)
    await second.close()
    await pool.end()
  })

  it('a client of the user, which does not pipeline, gets one query at a time; none after one that fails', async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 4 })
    const overlaps: string[] = []
    pool.on('connect', (client) => watchOverlaps(client, overlaps))
    const ledger = await open(newSchema(), { pool })
    const runs = Array.from({ length: 1100 }, () => newRun())
    const receipts = await ledger.submit(runs)
    expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']))
    const claimed = await claim(ledger)
    const channels = [{ lane: LANE, endpoint: ENDPOINT, limit: 5, laneConcurrency: 2000 }]
    const terms = { workerId: 'w', nowMs: START_MS, leaseUntilMs: START_MS + 30_000 }
    await Promise.all([
      ...claimed.slice(0, 10).map((item) => settle(ledger, item, SUCCEEDED)),
      ledger.claim({ ...terms, channels }),
      ledger.claim({ ...terms, channels }),
    ])
    const taken = newRun({ id: runs[0]?.id ?? '', key: 'another' })
    await expect(ledger.submit([...Array.from({ length: 600 }, () => newRun()), taken])).rejects.toThrow()
    expect(overlaps).toEqual([])
    expect(await ledger.balance({})).toMatchObject({ accepted: 1100 })
    await expectAudited(ledger)
    await ledger.close()
    await pool.end()
  })

  it('a newer schema is refused', async () => {
    const schema = newSchema()
    await (await open(schema)).close()
    await server.sql(`INSERT INTO ${schema}.migrations (version, name) VALUES (99, 'later')`)
    const refused = { code: 'schema_too_new', details: { found: 99, known: 5 } }
    await expect(open(schema)).rejects.toMatchObject(refused)
    await expect(pendingMigrations({ url: server.url, schema, clock: impatientClock() })).rejects.toMatchObject(refused)
  })

  it('tables of another program are refused and left alone', async () => {
    const schema = newSchema()
    await server.sql(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.theirs (x int)`)
    await expect(open(schema)).rejects.toMatchObject({ code: 'store_foreign' })
    expect(await server.sql(`SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'`)).toHaveLength(1)
  })

  const wrong: [string, () => string, string][] = [
    ['a wrong password', () => urlWith((url) => (url.password = 'wrong secret')), 'store_access_denied'],
    ['a database that is not there', () => urlWith((url) => (url.pathname = '/nowhere')), 'store_missing'],
    ['nobody listening', () => urlWith((url) => (url.port = '1')), 'store_unavailable'],
    ['no address at all', () => 'secret words', 'invalid_store_url'],
    ['another protocol', () => 'mysql://ada:secret@db/main', 'invalid_store_url'],
  ]
  for (const [name, url, code] of wrong) {
    it(`${name} is told with what to do, and without secrets`, async () => {
      const error = await openPostgresLedger({ url: url(), clock: impatientClock() }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code, hint: expect.stringMatching(/./) })
      expect(`${JSON.stringify(error)} ${(error as Error).message}`).not.toMatch(/secret|no message may show/)
    })
  }

  it('a name that is no schema is refused before it reaches any SQL', async () => {
    await expect(open('x"; DROP TABLE y')).rejects.toMatchObject({ code: 'invalid_store_url' })
  })

  it('a connection that is ended in the moment in which it is made disturbs nobody', async () => {
    const ending = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(Buffer.concat([message('R', '\0\0\0\0'), message('Z', 'I'), ENDED])))
    })
    await new Promise<void>((resolve) => ending.listen(0, '127.0.0.1', resolve))
    const { port } = ending.address() as AddressInfo
    await expect(open('any', { url: `postgres://ada@127.0.0.1:${port}/db` })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    await new Promise((resolve) => ending.close(resolve))
  })
})

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
function message(type: string, content: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(4 + content.length)
  return Buffer.concat([Buffer.from(type), length, Buffer.from(content)])
}

const ENDED = message('E', 'SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')

describe('what the store itself refuses', () => {
  it('an illegal transition, whoever asks for it', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    await ledger.submit([newRun()])
    const forging = server.sql(`UPDATE ${schema}.items SET state = 'dead_lettered'`)
    await expect(forging).rejects.toThrow('illegal transition of an item: queued -> dead_lettered')
    await server.sql(`UPDATE ${schema}.items SET state = 'processing', due_at_ms = NULL`)
    expect((await ledger.audit()).checks.filter((check) => check.violations > 0)).toMatchObject([
      { name: 'processing_is_leased', violations: 1 },
    ])
    await ledger.close()
  })

  it('a guard of other transitions is replaced by that of the program that opens the store', async () => {
    const schema = newSchema()
    await (await open(schema)).close()
    await server.sql(
      `DROP TRIGGER legal_transitions ON ${schema}.items;
       COMMENT ON FUNCTION ${schema}.refuse_transition() IS 'of an older program'`,
    )
    const ledger = await open(schema)
    await ledger.submit([newRun()])
    await expect(server.sql(`UPDATE ${schema}.items SET state = 'succeeded'`)).rejects.toThrow('illegal transition')
    await ledger.close()
  })

  it('the audit names what was lost behind the back of the store', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    const [whole, torn, lost] = [newRun(), chainRun(), newRun()]
    await ledger.submit([whole, torn, lost])
    await server.sql(
      `ALTER TABLE ${schema}.items DISABLE TRIGGER USER;
       DELETE FROM ${schema}.items USING ${schema}.runs WHERE run = no AND id IN ('${torn.id}', '${lost.id}') AND step <> 'a';
       DELETE FROM ${schema}.runs WHERE id = '${lost.id}';
       ALTER TABLE ${schema}.items ENABLE TRIGGER USER`,
    )
    const report = await ledger.audit()
    expect(report.balanced).toBe(false)
    const violated = report.checks.filter((check) => check.violations > 0)
    expect(violated.map((check) => check.name)).toEqual(['runs_complete', 'accepted_is_found', 'tallies_agree'])
    expect(violated[0]?.examples).toEqual([torn.id])
    await ledger.close()
  })
})

describe('writing together', () => {
  it('perf.md: what is asked for at the same time goes in few transactions', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    const transactions = async (): Promise<number> => {
      const [row] = await server.sql<{ count: number }>(`SELECT sum(number)::int AS count FROM ${schema}.commits`)
      return row?.count ?? 0
    }
    await ledger.submit([newRun()])
    const before = await transactions()
    await Promise.all(Array.from({ length: 300 }, () => ledger.submit([newRun()])))
    expect((await transactions()) - before).toBeLessThanOrEqual(4)
    const claimed = await claim(ledger)
    const beforeSettling = await transactions()
    await Promise.all(claimed.map((item) => settle(ledger, item, SUCCEEDED)))
    expect((await transactions()) - beforeSettling).toBeLessThanOrEqual(4)
    expect(await ledger.balance({})).toMatchObject({ accepted: 301, states: { succeeded: 301 } })
    await expectAudited(ledger)
    await ledger.close()
  })

  it('a claim that finds nothing leaves nothing behind', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    await ledger.submit([newRun()])
    await claim(ledger)
    const commits = () => server.sql(`SELECT writer, slot, number FROM ${schema}.commits ORDER BY writer, slot`)
    const before = await commits()
    expect(await claim(ledger)).toEqual([])
    expect(await commits()).toEqual(before)
    await ledger.close()
  })
})

describe('keeping house', () => {
  it('text that PostgreSQL cannot hold is held as nearly as it can', async () => {
    const ledger = await open(newSchema())
    const run = newRun({ key: 'a\0b', labels: { team: 'x\0\ud800y' }, input: '{"a":"\\u0000"}' })
    await ledger.submit([run])
    const [item] = await claim(ledger)
    await settle(ledger, item ?? expect.fail('it was due'), { state: 'retrying', dueAtMs: START_MS, reason: 'HTTP\0' })
    expect(await ledger.item(idOf(run))).toMatchObject({ key: 'a\ufffdb', reason: 'HTTP\ufffd', input: { a: '\0' } })
    expect((await ledger.items({ labels: { team: 'x\ufffd\ufffdy' } }, { limit: 9 })).rows).toHaveLength(1)
    await ledger.close()
  })

  it('the tallies of many writers are summed up, and stay right', async () => {
    const schema = newSchema()
    for (let writer = 0; writer < 3; writer++) {
      const ledger = await open(schema)
      await ledger.submit([newRun(), newRun()])
      await ledger.close()
    }
    const ledger = await open(schema)
    await ledger.retain({ endedBeforeMs: START_MS, nowMs: START_MS, limit: 1 })
    expect(await server.sql(`SELECT kind, count::int, slot::int FROM ${schema}.tallies ORDER BY kind`)).toEqual([
      { kind: 'accepted', count: 6, slot: 0 },
      { kind: 'queued', count: 6, slot: 0 },
    ])
    await expectAudited(ledger)
    await ledger.close()
  })

  it('history of runs that were forgotten goes with its partition, whole', async () => {
    const schema = newSchema()
    const ledger = await open(schema)
    await ledger.submit([newRun()])
    const [item] = await claim(ledger)
    // A success without remarks would be kept with its item.
    const attempt = {
      startedAtMs: START_MS,
      endedAtMs: START_MS,
      outcome: 'succeeded',
      counts: true,
      note: 'at last',
    } as const
    await settle(ledger, item ?? expect.fail('it was due'), SUCCEEDED, { attempt })
    // As if a million runs had come in between.
    await server.sql(`ALTER TABLE ${schema}.runs ALTER COLUMN no RESTART WITH 1000000`)
    await ledger.submit([newRun()])
    const attemptsLeft = () => server.sql(`SELECT tableoid::regclass::text AS place FROM ${schema}.attempts`)
    expect(await attemptsLeft()).toEqual([{ place: `${schema}.attempts_0` }])
    await ledger.retain({ endedBeforeMs: START_MS + 1, nowMs: START_MS, limit: 10 })
    expect(await attemptsLeft()).toEqual([])
    const [late] = await claim(ledger)
    await settle(ledger, late ?? expect.fail('it was due'), SUCCEEDED, { attempt })
    await ledger.close()
    const again = await open(schema)
    expect(await attemptsLeft()).toEqual([{ place: expect.stringMatching(/attempts_(4|rest)$/) }])
    await expectAudited(again)
    await again.close()
  })

  it("the server's clock can be asked", async () => {
    const ledger = await open(newSchema())
    const [{ now } = { now: 0 }] = await server.sql<{ now: number }>('SELECT extract(epoch FROM now())::int AS now')
    expect(Math.abs((await ledger.serverTimeMs()) / 1000 - now)).toBeLessThan(60)
    await ledger.close()
  })
})
