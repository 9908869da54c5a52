/** A credential that is refused for good stops its own lanes, once, and a person lifts it (D01, R146, R148). */
import { expect, test } from 'vitest'
import type { WrittenAuth } from '../../src/config/schema-auth.ts'
import { CLIENT, createCredentialFleet, ROTATING } from '../support/credential-fleet.ts'

const STATIC: WrittenAuth = { type: 'bearer', token: 'a-static-token-of-the-crm-000' }
const STORED: WrittenAuth = { type: 'stored' }

test('D01, R146, R148: 1,000 items and a token that no refresh helps: one refresh, one alert, no attempts, nothing dead', {
  timeout: 120_000,
}, async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const members = [await fleet.start({ worker: true }), await fleet.start({ worker: true })]
  const [member] = members
  if (!member) throw new Error('no member')
  await fleet.clock.runUntil(member.hf.client('crm').post('/things', { body: { n: -1 } }))
  await fleet.clock.advance(60_000)
  fleet.api.refuseEverything = true
  await fleet.submit(member, 500, ['default', 'acme'])
  await fleet.clock.advance(60_000)
  // One for the first call, one for the storm.
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.eventsOf('credential.failed')).toMatchObject([
    { credential: 'crm/default', severity: 'critical', code: 'unauthenticated', parked: true },
  ])
  const { states } = await fleet.clock.runUntil(fleet.ledger.balance({}))
  expect(states).toMatchObject({ dead_lettered: 0, succeeded: 0, processing: 0 })
  expect((states.parked ?? 0) + (states.queued ?? 0)).toBe(1000)
  // Those that were on their way when it was noticed, and no more.
  expect(fleet.api.calls.refused).toBeLessThan(250)
  const lanes = await fleet.clock.runUntil(fleet.ledger.lanes())
  expect(lanes.filter(({ suspended }) => suspended).map(({ lane }) => lane)).toEqual([
    'crm/default',
    'crm/default/acme',
  ])

  fleet.api.refuseEverything = false
  const operator = await fleet.start()
  const resumed = await fleet.clock.runUntil(operator.hf.operations.resume('crm'))
  expect(resumed.sort()).toEqual(['crm/default', 'crm/default/acme'])
  await fleet.clock.advance(120_000)
  const settled = fleet.eventsOf('item.settled').filter(({ state }) => state === 'succeeded')
  expect(settled).toHaveLength(1000)
  expect(new Set(settled.map(({ attempts }) => attempts))).toEqual(new Set([1]))
  expect(fleet.eventsOf('credential.failed')).toHaveLength(1)
})

test('R011, R146: the refresh is refused: an alert at once, the items wait; `credentials set` starts them again', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const member = await fleet.start({ worker: true })
  fleet.api.revokeAll()
  await fleet.submit(member, 30)
  await fleet.clock.advance(60_000)
  expect(fleet.api.grants).toHaveLength(1)
  expect(fleet.eventsOf('credential.failed')).toMatchObject([{ code: 'invalid_grant', parked: true }])
  expect(fleet.eventsOf('lane.suspended').map(({ lane }) => lane)).toEqual(['crm/default'])
  // Resumed without a new refresh token: one more look at the endpoint, one more alert, parked again.
  const operator = await fleet.start()
  await fleet.clock.runUntil(operator.hf.operations.resume('crm'))
  await fleet.clock.advance(60_000)
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.eventsOf('credential.failed')).toHaveLength(2)
  const { states } = await fleet.clock.runUntil(fleet.ledger.balance({}))
  expect(states.dead_lettered).toBe(0)
})

test.for([
  ['static', STATIC],
  ['stored', STORED],
] as const)(
  'R148: a %s secret that is refused: its lanes stop after the first answers, one alert',
  async ([kind, auth]) => {
    await using fleet = await createCredentialFleet(auth)
    const member = await fleet.start({ worker: true })
    if (kind === 'stored')
      await fleet.clock.runUntil(member.hf.operations.setCredential('crm', 'a-secret-that-is-old-1'))
    await fleet.submit(member, 300)
    await fleet.clock.advance(300_000)
    expect(fleet.api.calls.refused).toBeLessThan(120)
    expect(fleet.eventsOf('credential.failed')).toHaveLength(1)
    const { states } = await fleet.clock.runUntil(fleet.ledger.balance({}))
    expect(states.dead_lettered).toBe(0)
  },
)

test('R145: a stored secret is changed without a restart, while 401s for the old one are still coming in', async () => {
  await using fleet = await createCredentialFleet(STORED)
  fleet.api.expiresInSeconds = undefined
  const helper = await fleet.start({ auth: CLIENT })
  await fleet.clock.runUntil(helper.hf.client('crm').post('/things', { body: { n: -1 } }))
  helper.kill()
  const [good = ''] = fleet.api.given
  const member = await fleet.start({ worker: true })
  await fleet.clock.runUntil(member.hf.operations.setCredential('crm/default', 'the-old-secret-0001'))
  await fleet.submit(member, 40)
  await fleet.clock.advance(20_000)
  expect(fleet.api.calls.accepted).toBe(1)
  const operator = await fleet.start()
  await fleet.clock.runUntil(operator.hf.operations.setCredential('crm/default', good))
  await fleet.clock.advance(60_000)
  expect(fleet.api.calls.accepted).toBe(41)
})

test('an inline 401 suspends the lane as a durable one does, and later callers are told at once', async () => {
  await using fleet = await createCredentialFleet(STATIC)
  const { hf } = await fleet.start()
  const first = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  await expect(first).rejects.toMatchObject({ class: 'authentication', code: 'unauthenticated' })
  const second = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 2 } }))
  await expect(second).rejects.toMatchObject({ code: 'lane_suspended' })
  expect(fleet.api.calls.refused).toBe(1)
  expect(fleet.eventsOf('credential.failed')).toHaveLength(1)
  await fleet.clock.runUntil(hf.operations.resume('crm'))
  const third = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 3 } }))
  await expect(third).rejects.toMatchObject({ code: 'unauthenticated' })
})

test('a caller who brings its own credential hears of its 401, and the lane goes on', async () => {
  await using fleet = await createCredentialFleet(CLIENT)
  const { hf } = await fleet.start()
  const headers = { Authorization: 'Bearer the-callers-own-key-0001' }
  const own = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 }, headers }))
  await expect(own).rejects.toMatchObject({ class: 'authentication' })
  const response = await fleet.clock.runUntil(
    hf.fetch('crm')('https://crm.test/things', { method: 'POST', body: '{"n":2}', headers }),
  )
  expect(response.status).toBe(401)
  expect(fleet.api.grants).toEqual([])
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 3 } }))
  expect(fleet.eventsOf('credential.failed')).toEqual([])
  expect(JSON.stringify(fleet.events)).not.toContain('the-callers-own-key-0001')
})

test('`fetch`: a token that is refused is renewed once for an SDK too', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const { hf } = await fleet.start()
  const post = (n: number) =>
    fleet.clock.runUntil(hf.fetch('crm')('https://crm.test/things', { method: 'POST', body: JSON.stringify({ n }) }))
  expect((await post(1)).status).toBe(200)
  await fleet.clock.advance(60_000)
  fleet.api.revokeAccess()
  expect((await post(2)).status).toBe(200)
  expect(fleet.api.grants).toHaveLength(2)
})

test('a 401 that is known not to be the fault of the token refreshes nothing (Salesforce)', async () => {
  await using fleet = await createCredentialFleet({ ...ROTATING, neverRefreshOn: ['is not valid'] } as WrittenAuth)
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(60_000)
  fleet.api.refuseEverything = true
  const call = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  await expect(call).rejects.toMatchObject({ class: 'authentication' })
  expect(fleet.api.grants).toHaveLength(1)
  expect(fleet.eventsOf('credential.failed')).toHaveLength(1)
})
