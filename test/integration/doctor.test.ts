/** `holdfast doctor` on a PostgreSQL server: what is not well is found, each with what to do. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { canBeOpened, judgeServer } from '../../src/cli/doctor/server.ts'
import { inspectServer, openPostgresLedger, type ServerFacts } from '../../src/ledger/postgres/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { jsonOf, openWorkshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres()
}, MINUTE_MS)
afterAll(() => server?.remove())

async function newStore(): Promise<string> {
  const schema = `looked_at_${++schemas}`
  await (await openPostgresLedger({ url: server.url, schema, clock: systemClock })).close()
  return schema
}

function inspect(schema: string, url = server.url): Promise<ServerFacts> {
  return inspectServer({ url, schema, clock: systemClock })
}

function findingOf(check: string, facts: ServerFacts): Finding {
  return judgeServer(facts).find((finding) => finding.check === check) ?? expect.fail(`no finding for ${check}`)
}

function contentsOf({ contents }: ServerFacts) {
  return typeof contents === 'object' ? contents : expect.fail(`its contents are ${contents}`)
}

/** A connection that goes with the test. */
async function connected(applicationName: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: server.url, application_name: applicationName })
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

describe('a server', () => {
  test('that is well: every check says so', async () => {
    const facts = await inspect(await newStore())
    expect(judgeServer(facts).filter(({ verdict }) => verdict !== 'ok')).toEqual([])
    expect(judgeServer(facts).map(({ check }) => check)).toEqual([
      'server',
      'primary',
      'schema',
      'durability',
      'commit',
      'connections',
      'autovacuum',
      'clock',
      'transactions',
      'locks',
      'tables',
      'history',
    ])
    expect(facts.roundTripMs).toBeGreaterThan(0)
    expect(Math.abs(facts.clockAheadMs)).toBeLessThan(1000)
    expect(contentsOf(facts).bytes).toBeGreaterThan(100_000)
    expect(canBeOpened(facts)).toBe(true)
  })

  test('without a store yet: what is pending is told, and nothing is made', async () => {
    const facts = await inspect('not_there')
    expect(findingOf('schema', facts)).toMatchObject({
      verdict: 'attention',
      what: expect.stringContaining('initial'),
      hint: 'holdfast migrate',
    })
    expect(canBeOpened(facts)).toBe(false)
    expect(await server.sql(`SELECT 1 FROM pg_namespace WHERE nspname = 'not_there'`)).toEqual([])
  })

  test('with a newer schema', async () => {
    const schema = await newStore()
    await server.sql(`INSERT INTO ${schema}.migrations (version, name) VALUES (99, 'future')`)
    const facts = await inspect(schema)
    expect(findingOf('schema', facts)).toMatchObject({
      verdict: 'broken',
      what: expect.stringContaining('schema version 99'),
      hint: expect.stringContaining('newer Holdfast'),
    })
    expect(canBeOpened(facts)).toBe(false)
  })

  test('whose user does not wait for the disk', async () => {
    const schema = await newStore()
    await server.sql('ALTER ROLE holdfast SET synchronous_commit = off')
    const facts = await inspect(schema)
    await server.sql('ALTER ROLE holdfast RESET synchronous_commit')
    expect(findingOf('commit', facts)).toMatchObject({
      verdict: 'attention',
      hint: 'ALTER ROLE holdfast SET synchronous_commit = on;',
    })
  })

  test('with a transaction that was left open', async () => {
    const schema = await newStore()
    await using client = await connected('a forgotten console')
    await client.query('BEGIN')
    await client.query('SELECT 1')
    const facts = await inspect(schema)
    const [open] = facts.openTransactions.filter(({ application }) => application === 'a forgotten console')
    if (!open) return expect.fail('it is not seen')
    expect(open).toMatchObject({ state: 'idle in transaction', age_ms: expect.any(Number) })
    // Nothing is said of one that has just begun.
    expect(findingOf('transactions', facts).verdict).toBe('ok')
    const later = { ...facts, openTransactions: [{ ...open, age_ms: 3_600_000 }] }
    expect(findingOf('transactions', later)).toMatchObject({
      verdict: 'attention',
      what: expect.stringMatching(/a forgotten console, for 1h/),
      hint: `End it: SELECT pg_terminate_backend(${open.process_id});`,
    })
  })

  test('where one waits for the lock of another', async () => {
    const schema = await newStore()
    await using holder = await connected('holder')
    await using waiter = await connected('waiter')
    await holder.query(`BEGIN; LOCK TABLE ${schema}.lanes`)
    const waiting = waiter.query(`SELECT 1 FROM ${schema}.lanes`)
    const facts = await inspectUntil(schema, ({ lockWaits }) => lockWaits.length > 0)
    await holder.query('ROLLBACK')
    await waiting
    expect(findingOf('tables', facts)).toMatchObject({ verdict: 'attention', what: expect.stringContaining('locked') })
    expect(canBeOpened(facts)).toBe(false)
    const [wait] = facts.lockWaits
    expect(wait).toMatchObject({ blocked_by: [expect.any(Number)], waited_ms: expect.any(Number) })
    const longer = { ...facts, lockWaits: [{ process_id: 1, blocked_by: wait?.blocked_by ?? [], waited_ms: 9000 }] }
    expect(findingOf('locks', longer)).toMatchObject({
      verdict: 'attention',
      what: `1 wait, the longest for 9s, for locks of process ${wait?.blocked_by[0]}`,
      hint: expect.stringContaining(`pid = ${wait?.blocked_by[0]}`),
    })
  })

  test('with tables that are not cleaned up', async () => {
    const schema = await newStore()
    await server.sql(`ALTER TABLE ${schema}.effects SET (autovacuum_enabled = false);
      INSERT INTO ${schema}.effects SELECT 't', i::text, '', '', false, 0, 0 FROM generate_series(1, 30000) i;
      UPDATE ${schema}.effects SET reserved_until_ms = 1`)
    const facts = await inspectUntil(schema, (found) => (contentsOf(found).tables[0]?.dead_rows ?? 0) >= 30_000)
    expect(findingOf('tables', facts)).toMatchObject({
      verdict: 'attention',
      what: expect.stringMatching(/effects has 30,000 dead rows beside 30,000 live ones, never cleaned up/),
      hint: expect.stringContaining(`VACUUM (ANALYZE) "${schema}".effects`),
    })
  })

  test(
    'that is a replica',
    async () => {
      const primary = await startPostgres()
      const replica = await primary.startReplica()
      try {
        const url = new URL(primary.url)
        url.port = String(replica.port)
        const facts = await inspect('holdfast', url.href)
        expect(findingOf('primary', facts)).toMatchObject({
          verdict: 'broken',
          hint: expect.stringContaining('the primary'),
        })
        expect(canBeOpened(facts)).toBe(false)
      } finally {
        await replica.promote()
        await replica.remove()
        await primary.remove()
      }
    },
    2 * MINUTE_MS,
  )
})

describe('judged', () => {
  let well: ServerFacts
  beforeAll(async () => {
    well = await inspect(await newStore())
  })

  test.each<[string, Partial<ServerFacts['server']>, Partial<Finding>]>([
    ['durability', { fsync: false }, { verdict: 'broken', hint: expect.stringContaining('SET fsync = on') }],
    ['durability', { full_page_writes: false }, { verdict: 'attention', hint: expect.stringContaining('full_page') }],
    ['autovacuum', { autovacuum: false }, { verdict: 'attention', hint: expect.stringContaining('SET autovacuum') }],
    ['autovacuum', { track_counts: false }, { verdict: 'attention', hint: expect.stringContaining('track_counts') }],
    ['server', { version_number: 130_012 }, { verdict: 'broken', hint: expect.stringContaining('14') }],
    [
      'connections',
      { used_connections: 95 },
      { verdict: 'attention', hint: expect.stringContaining('max_connections') },
    ],
    ['commit', { synchronous_commit: 'remote_apply' }, { verdict: 'ok' }],
    ['transactions', { idle_in_transaction_ms: 60_000 }, { verdict: 'ok', what: expect.stringContaining('after 1m') }],
  ])('%s with %j', (check, change, expected) => {
    expect(findingOf(check, { ...well, server: { ...well.server, ...change } })).toMatchObject(expected)
  })

  test('far away, and clocks that differ', () => {
    expect(findingOf('server', { ...well, roundTripMs: 40 })).toMatchObject({ verdict: 'attention' })
    expect(findingOf('clock', { ...well, clockAheadMs: -90_000 })).toMatchObject({
      verdict: 'attention',
      what: expect.stringContaining('the server is 1m 30s behind this machine'),
    })
  })

  test('history without its partition, and a move that has not finished', () => {
    const contents = contentsOf(well)
    const history = { ...contents.history, newest_run: contents.history.covered_below }
    expect(findingOf('history', { ...well, contents: { ...contents, history } })).toMatchObject({
      verdict: 'attention',
    })
    const move = { what: 'moving', id: 'm', source: 'sqlite:/old.db', reached: undefined, records: 0 } as const
    expect(findingOf('move', { ...well, contents: { ...contents, move } })).toMatchObject({
      verdict: 'attention',
      what: expect.stringContaining('sqlite:/old.db'),
    })
  })
})

describe('the command', () => {
  test(
    'checks the server, then the store, one line each; changes nothing before it is asked to',
    async () => {
      await using workshop = openWorkshop()
      const url = `${server.url}?schema=commanded`
      const config = { integrations: { crm: { baseUrl: 'http://127.0.0.1:1' } }, store: url }
      workshop.write('holdfast.json', JSON.stringify(config))
      const before = await workshop.holdfast('doctor', '--no-json')
      expect([before.code, before.stdout]).toEqual([
        3,
        expect.stringMatching(/attention schema: .*\n +holdfast migrate/),
      ])
      expect(before.stdout).not.toContain('books')
      await workshop.holdfast('migrate')
      const after = await workshop.holdfast('doctor')
      expect(after.code).toBe(0)
      const { findings } = jsonOf<{ findings: Finding[] }>(after)
      expect(findings.map(({ check }) => check)).toEqual(
        expect.arrayContaining(['server', 'locks', 'books', 'workers']),
      )
      expect(after.stdout).not.toContain('no message may show')
    },
    MINUTE_MS,
  )
})

/** What the server tells of itself may come a moment later. */
async function inspectUntil(schema: string, isThere: (facts: ServerFacts) => boolean): Promise<ServerFacts> {
  for (;;) {
    const facts = await inspect(schema)
    if (isThere(facts)) return facts
  }
}
