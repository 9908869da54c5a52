/** The same commands and the same library on a PostgreSQL server, by changing one URL. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { definePipeline, holdfast } from '../../src/index.ts'
import type { Balance } from '../../src/ledger/port.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin, type Twin } from '../../src/testing/twin/twin.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { jsonOf, openWorkshop, type Workshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
let server: PostgresServer
let twin: Twin

beforeAll(async () => {
  server = await startPostgres()
  twin = await startTwin({
    clock: systemClock,
    random: systemRandom,
    routes: resource('/contacts', { effectKey: 'email', required: ['email', 'name'] }),
  })
}, MINUTE_MS)
afterAll(async () => {
  await twin?.close()
  await server?.remove()
})

function storeIn(schema: string): string {
  return `${server.url}?schema=${schema}`
}

describe('commands', () => {
  let workshop: Workshop
  beforeAll(() => {
    // The password comes from the environment, as it should.
    const url = new URL(storeIn('commands'))
    workshop = openWorkshop({ DATABASE_PASSWORD: url.password })
    url.password = 'PASSWORD'
    workshop.write(
      'holdfast.yaml',
      `store: ${url.href.replace('PASSWORD', '${DATABASE_PASSWORD}')}
integrations:
  crm: { baseUrl: "${twin.url}" }
pipelines:
  create:
    steps:
      crm: { integration: crm, request: { method: POST, path: /contacts, body: "{{ input }}" } }
`,
    )
    const contacts = Array.from({ length: 50 }, (_, index) => ({
      email: `${index}@x.y`,
      name: index < 48 ? 'Ada' : '',
    }))
    workshop.write('contacts.jsonl', contacts.map((contact) => JSON.stringify(contact)).join('\n'))
  })
  afterAll(() => workshop?.[Symbol.asyncDispose]())

  test(
    'migrate, run, status, audit and doctor',
    async () => {
      const migrated = await workshop.holdfast('migrate')
      expect(migrated).toMatchObject({ code: 0 })
      expect(migrated.stdout + migrated.stderr).not.toContain('no message may show')
      expect(jsonOf(migrated)).toMatchObject({
        store: expect.stringMatching(/^postgres:\/\/holdfast@.*schema=commands$/),
      })
      const run = await workshop.holdfast('run', 'create', '--input', 'contacts.jsonl', '--key', 'email')
      expect(run.code).toBe(3)
      const again = await workshop.holdfast('run', 'create', '--input', 'contacts.jsonl', '--key', 'email')
      expect(again.code).toBe(3)
      expect(twin.effects).toHaveLength(48)
      const audit = jsonOf<{ balanced: boolean; balance: Balance }>(await workshop.holdfast('audit'))
      expect(audit).toMatchObject({
        balanced: true,
        balance: { accepted: 50, states: { succeeded: 48, dead_lettered: 2 }, needsPerson: 2 },
      })
      const { findings } = jsonOf<{ findings: { check: string; verdict: string }[] }>(await workshop.holdfast('doctor'))
      expect(findings).toContainEqual(expect.objectContaining({ check: 'books', verdict: 'ok' }))
      expect(findings.filter(({ verdict }) => verdict === 'broken')).toEqual([])
    },
    MINUTE_MS,
  )

  test(
    'a server that cannot be reached is told with what to do',
    async () => {
      const ended = await workshop.holdfast('doctor', '--store', `postgres://ada:secret@127.0.0.1:${twin.port}/nowhere`)
      expect(ended.code).toBe(1)
      expect(ended.stdout + ended.stderr).not.toContain('secret')
    },
    MINUTE_MS,
  )
})

describe('moving up', () => {
  test(
    'from a file to the server: by one command, and work goes on there',
    async () => {
      const to = new URL(storeIn('moved_up'))
      await using workshop = openWorkshop({ DATABASE_PASSWORD: to.password })
      to.password = 'PASSWORD'
      const address = to.href.replace('PASSWORD', '${DATABASE_PASSWORD}')
      const config = (store: string) => `store: ${store}
integrations:
  crm: { baseUrl: "${twin.url}" }
pipelines:
  create:
    steps:
      crm: { integration: crm, request: { method: POST, path: /contacts, body: "{{ input }}" } }
`
      workshop.write('holdfast.yaml', config('sqlite:./holdfast.db'))
      const contacts = Array.from({ length: 30 }, (_, index) => ({ email: `${index}@up.y`, name: 'Ada' }))
      workshop.write('contacts.jsonl', contacts.map((contact) => JSON.stringify(contact)).join('\n'))
      const run = ['run', 'create', '--input', 'contacts.jsonl', '--key', 'email']
      await workshop.holdfast(...run, '--no-work')

      const move = ['migrate', '--from', 'sqlite:./holdfast.db', '--to', address]
      const moved = await workshop.holdfast(...move)
      expect(moved.stdout + moved.stderr).not.toContain('no message may show')
      expect(jsonOf(moved)).toMatchObject({
        outcome: 'moved',
        from: `sqlite:${workshop.path('holdfast.db')}`,
        to: expect.stringContaining('schema=moved_up'),
        counts: { runs: 30, items: 30 },
        balance: { accepted: 30, balanced: true },
      })
      expect((await workshop.holdfast(...move, '--no-json')).stdout).toMatch(/had moved before[\s\S]*the books balance/)

      for (const words of [['worker'], run]) {
        const refused = await workshop.holdfast(...words)
        expect(refused.code).toBe(1)
        expect(refused.stderr).toMatch(/code: +store_moved/)
      }
      expect((await workshop.holdfast(...move, '--abort')).stderr).toMatch(/code: +move_finished/)

      workshop.write('holdfast.yaml', config(address))
      const again = await workshop.holdfast(...run)
      expect(again.code).toBe(0)
      expect(twin.effects.filter(({ key }) => key.endsWith('@up.y'))).toHaveLength(30)
      expect(jsonOf(await workshop.holdfast('audit'))).toMatchObject({ balanced: true, balance: { accepted: 30 } })
    },
    2 * MINUTE_MS,
  )

  test.each([
    [['--from', 'sqlite:./x.db'], 'move_incomplete'],
    [['--to', 'postgres://ada@db/main'], 'move_incomplete'],
    [['--from', 'postgres://ada@db/main', '--to', 'postgres://ada@db/other'], 'move_unsupported'],
    [['--from', 'sqlite:./x.db', '--to', 'sqlite:./y.db'], 'move_unsupported'],
    [['--from', 'sqlite:./x.db', '--to', 'mysql://db/main'], 'invalid_config'],
  ])('%j is wrong usage', async (words, code) => {
    await using workshop = openWorkshop()
    const refused = await workshop.holdfast('migrate', ...words)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(`code:  ${code}`)
  })
})

describe('the library', () => {
  const welcome = definePipeline<{ email: string }>('welcome').step('crm', {
    integration: 'crm',
    request: { method: 'POST', path: '/contacts', body: ({ input }) => ({ ...input, name: 'Ada' }) },
  })
  const options = (store: string) => ({ store, integrations: { crm: { baseUrl: twin.url } }, pipelines: [welcome] })

  test(
    'a business write and its work commit together, and are worked on then',
    async () => {
      await using hf = await holdfast(options(storeIn('library')))
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query('CREATE TABLE customers (email text PRIMARY KEY)')
      const register = async (email: string, end: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
        await client.query('BEGIN')
        await client.query('INSERT INTO customers VALUES ($1)', [email])
        await hf.submit(welcome, { email }, { key: email, transaction: client })
        await client.query(end)
      }
      await register('kept@x.y', 'COMMIT')
      await register('dropped@x.y', 'ROLLBACK')
      hf.startWorker()
      expect((await hf.drain()).states).toMatchObject({ succeeded: 1, dead_lettered: 0 })
      const sent = twin.effects.map(({ key }) => key)
      expect(sent).toContain('kept@x.y')
      expect(sent).not.toContain('dropped@x.y')
      expect((await client.query('SELECT email FROM customers')).rows).toEqual([{ email: 'kept@x.y' }])
      await client.end()
      expect((await hf.operations.audit()).balanced).toBe(true)
    },
    MINUTE_MS,
  )

  test('a store in a file says that it cannot join', async () => {
    await using hf = await holdfast(options('sqlite::memory:'))
    const client = { query: async () => ({ rows: [], command: '' }) }
    const submitting = hf.submit(welcome, { email: 'a@x.y' }, { transaction: client })
    await expect(submitting).rejects.toMatchObject({ code: 'transaction_not_supported' })
    expect(await hf.operations.balance()).toMatchObject({ accepted: 0 })
  })

  test(
    'R103: several processes share one store: each record is worked on once, and found everywhere',
    async () => {
      const store = storeIn('shared')
      const before = twin.effects.length
      await using one = await holdfast(options(store))
      await using two = await holdfast(options(store))
      for (const hf of [one, two]) hf.startWorker()
      const emails = Array.from({ length: 200 }, (_, index) => `shared-${index}@x.y`)
      await Promise.all(
        emails.map((email, index) => (index % 2 ? one : two).submit(welcome, { email }, { key: email })),
      )
      await Promise.all([one.drain(), two.drain()])
      expect(twin.effects.length - before).toBe(200)
      expect((await two.operations.audit()).balance).toMatchObject({ accepted: 200, states: { succeeded: 200 } })
    },
    MINUTE_MS,
  )

  test(
    'a worker with many places has no more at once than it may, in all and in a lane',
    async () => {
      const underWay = { narrow: 0, wide: 0 }
      let mostNarrow = 0
      let most = 0
      const pipelineOf = (name: 'narrow' | 'wide', concurrency: number) =>
        definePipeline<number>(name).step('work', {
          concurrency,
          safe: true,
          async run() {
            underWay[name] += 1
            mostNarrow = Math.max(mostNarrow, underWay.narrow)
            most = Math.max(most, underWay.narrow + underWay.wide)
            for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
            underWay[name] -= 1
          },
        })
      const pipelines = [pipelineOf('narrow', 150), pipelineOf('wide', 1000)]
      await using hf = await holdfast({ store: storeIn('places'), pipelines })
      const inputs = Array.from({ length: 1500 }, (_, input) => ({ input }))
      for (const pipeline of pipelines) await hf.submitMany(pipeline, inputs)
      hf.startWorker({ concurrency: 300 })
      expect((await hf.drain()).states).toMatchObject({ succeeded: 3000, queued: 0 })
      expect(mostNarrow).toBeLessThanOrEqual(150)
      expect(most).toBeLessThanOrEqual(300)
      // So that the bounds were met at all.
      expect(most).toBeGreaterThan(150)
      expect((await hf.operations.audit()).balanced).toBe(true)
    },
    MINUTE_MS,
  )
})
