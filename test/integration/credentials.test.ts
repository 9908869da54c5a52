/** Tokens with nothing simulated: processes, a file, a token server on real sockets (D01, R011, R145). */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { holdfast } from '../../src/index.ts'
import { openPostgresLedger } from '../../src/ledger/postgres/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { startPostgres } from '../support/postgres.ts'
import { tokenApi } from '../support/token-api.ts'
import { openWorkshop } from '../support/workshop.ts'
import { type CallOrder, type CredentialOrders, openTokenEngine } from './support/credential-worker.ts'

const PROGRAM = fileURLToPath(new URL('support/credential-worker.ts', import.meta.url))
const KEY = Buffer.alloc(32, 5).toString('base64')

async function startProcess(orders: CredentialOrders): Promise<ChildProcess> {
  const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(child, 'message')
  return child
}

async function call(child: ChildProcess, calls: number): Promise<number> {
  const answered = once(child, 'message')
  child.send({ calls } satisfies CallOrder)
  return (await answered)[0] as number
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

test('R011: two processes, fifty callers, one token that was revoked: exactly one refresh; rotation outlives a kill', {
  timeout: 60_000,
}, async () => {
  await using workshop = openWorkshop()
  const api = tokenApi()
  await using twin = await startTwin({ clock: systemClock, random: seededRandom('tokens'), routes: api.routes })
  const orders = { storePath: workshop.path('holdfast.db'), url: twin.url, key: KEY }
  // One token that everybody has, old enough to be worth renewing: the store says so, not the clock.
  const holdfast = await openTokenEngine(orders)
  await holdfast.client('crm').post('/things', { body: { n: -1 } })
  await holdfast.close()
  expect(api.grants).toHaveLength(1)

  const children = await Promise.all([startProcess(orders), startProcess(orders)])
  try {
    for (const child of children) expect(await call(child, 1)).toBe(1)
    expect(api.grants).toHaveLength(1)
    await tokenIsOld(orders)
    api.revokeAccess()
    const good = await Promise.all(children.map((child) => call(child, 25)))
    expect(good).toEqual([25, 25])
    expect(api.grants).toHaveLength(2)
    expect(api.calls.accepted).toBe(53)
    const [first] = children
    if (first) await end(first)
  } finally {
    await Promise.all(children.map(end))
  }
  const file = readFileSync(orders.storePath, 'latin1')
  for (const secret of [...api.given, KEY, 'first-refresh-token-0001', 'the-client-secret']) {
    expect(file).not.toContain(secret)
  }
  await using after = await openTokenEngine(orders)
  await tokenIsOld(orders)
  api.revokeAccess()
  await after.client('crm').post('/things', { body: { n: 99 } })
  expect(api.grants.map((grant) => grant['refresh_token'])).toEqual([
    'first-refresh-token-0001',
    'rotated-refresh-token-1',
    'rotated-refresh-token-2',
  ])
})

test('R145: PostgreSQL: two processes, fifty first calls: one token, which both use; nothing readable is stored', {
  timeout: 60_000,
}, async () => {
  const server = await startPostgres()
  const api = tokenApi()
  await using twin = await startTwin({ clock: systemClock, random: seededRandom('tokens'), routes: api.routes })
  const { url } = twin
  const auth = {
    type: 'oauth2',
    grant: 'refresh_token',
    tokenUrl: `${url}/token`,
    clientId: 'the-client',
    refreshToken: 'first-refresh-token-0001',
  } as const
  const open = () =>
    holdfast({
      store: `${server.url}?schema=tokens`,
      keys: KEY,
      integrations: { crm: { baseUrl: url, auth, limits: { concurrency: 100 } } },
    })
  try {
    const first = await open()
    const engines = [first, await open()]
    const calls = Array.from({ length: 50 }, (_, n) => engines[n % 2]?.client('crm').post('/things', { body: { n } }))
    await Promise.all(calls)
    expect(api.grants).toHaveLength(1)
    expect(api.calls).toEqual({ accepted: 50, refused: 0 })
    expect(await first.operations.credentials()).toMatchObject([{ name: 'crm/default', health: 'ready', version: 1 }])
    await Promise.all(engines.map((engine) => engine.close()))
    const ledger = await openPostgresLedger({ url: server.url, schema: 'tokens', clock: systemClock })
    const stored = JSON.stringify(await ledger.readHealth(0))
    await ledger.close()
    expect(stored).toContain('credential:crm/default')
    for (const secret of [...api.given, KEY, 'first-refresh-token-0001']) expect(stored).not.toContain(secret)
  } finally {
    await server.remove()
  }
})

/** As if the token had been obtained a minute ago: no test waits for that. */
async function tokenIsOld({ storePath }: CredentialOrders): Promise<void> {
  const { openSqliteLedger } = await import('../../src/ledger/sqlite/index.ts')
  const ledger = await openSqliteLedger({ path: storePath, clock: systemClock })
  const { records } = await ledger.readHealth(0)
  const record = records.find(({ key }) => key === 'credential:crm/default')
  if (!record) throw new Error('nothing is stored')
  const state = { ...(record.state as object), obtainedAtMs: systemClock.wallMs() - 60_000 }
  await ledger.updateHealth([{ key: record.key, fromRevision: record.revision, state }], systemClock.wallMs())
  await ledger.close()
}
