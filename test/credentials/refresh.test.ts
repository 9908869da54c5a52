/** Tokens that run out, are refused, rotate and get lost: on virtual time, over all processes of one store (D01). */
import { expect, test } from 'vitest'
import { CLIENT, createCredentialFleet, KEY, ROTATING, WITHOUT_FIRST } from '../support/credential-fleet.ts'

const HOUR_MS = 3_600_000

test('R145: the first call gets a token with the client credentials, and all that follow use it', async () => {
  await using fleet = await createCredentialFleet(CLIENT)
  const { hf } = await fleet.start()
  for (let n = 0; n < 3; n++) await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n } }))
  expect(fleet.api.grants).toEqual([{ grant_type: 'client_credentials' }])
  const basic = Buffer.from('the-client:the-client-secret-0123456789').toString('base64')
  expect(fleet.api.clients).toEqual([`Basic ${basic}`])
  expect(fleet.api.calls).toEqual({ accepted: 3, refused: 0 })
})

test('client authentication in the body, scopes and further parameters', async () => {
  await using fleet = await createCredentialFleet({
    ...CLIENT,
    clientAuth: 'post',
    scopes: ['read', 'write'],
    parameters: { audience: 'crm' },
  } as typeof CLIENT)
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toEqual([
    {
      grant_type: 'client_credentials',
      scope: 'read write',
      client_id: 'the-client',
      client_secret: 'the-client-secret-0123456789',
      audience: 'crm',
    },
  ])
  expect(fleet.api.clients).toEqual([undefined])
})

test('R011, R145: two processes, fifty callers, one expired token: exactly one refresh, and no call fails', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const members = [await fleet.start(), await fleet.start()]
  for (const { hf } of members) await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  expect(fleet.api.grants).toHaveLength(1)
  await fleet.clock.advance(HOUR_MS + 1)
  const calls = Array.from({ length: 50 }, (_, n) =>
    members[n % 2]?.hf.client('crm').post('/things', { body: { n: n + 1 } }),
  )
  await fleet.clock.runUntil(Promise.all(calls))
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.api.calls).toEqual({ accepted: 52, refused: 0 })
})

test('R011: fifty callers whose token was revoked: one refresh, one more try each', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const members = [await fleet.start(), await fleet.start()]
  for (const { hf } of members) await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(60_000)
  fleet.api.revokeAccess()
  const calls = Array.from({ length: 50 }, (_, n) =>
    members[n % 2]?.hf.client('crm').post('/things', { body: { n: n + 1 } }),
  )
  const answers = await fleet.clock.runUntil(Promise.all(calls))
  // The second try is no attempt of its own.
  expect(answers.map((answer) => answer?.attempts)).toEqual(Array(50).fill(1))
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.api.calls).toEqual({ accepted: 52, refused: 50 })
  expect(fleet.eventsOf('credential.failed')).toEqual([])
})

test('a 401 for a token that another process replaced meanwhile takes the new one, and asks nobody', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const [one, other] = [await fleet.start(), await fleet.start()]
  for (const { hf } of [one, other]) await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(60_000)
  fleet.api.revokeAccess()
  await fleet.clock.runUntil(one.hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toHaveLength(2)
  await fleet.clock.runUntil(other.hf.client('crm').post('/things', { body: { n: 2 } }))
  expect(fleet.api.grants).toHaveLength(2)
})

test('a token is renewed before its end, while calls go on with the old one', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(HOUR_MS - 60_000)
  const before = fleet.clock.wallMs()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.clock.wallMs() - before).toBeLessThan(100)
  await fleet.clock.advance(1000)
  expect(fleet.api.grants).toHaveLength(2)
  await fleet.clock.advance(120_000)
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 2 } }))
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.api.calls.refused).toBe(0)
})

test('a rotated refresh token is in the store before it is used: the process that got it may die', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const one = await fleet.start()
  await fleet.clock.runUntil(one.hf.client('crm').post('/things', { body: { n: 0 } }))
  one.kill()
  await fleet.clock.advance(2 * HOUR_MS)
  const other = await fleet.start()
  await fleet.clock.runUntil(other.hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants.map((grant) => grant['refresh_token'])).toEqual([
    'first-refresh-token-0001',
    'rotated-refresh-token-1',
  ])
})

test('killed between the answer and its use: the next process asks again, and says honestly what is lost', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const one = await fleet.start()
  fleet.api.onGrant = () => one.kill()
  void one.hf
    .client('crm')
    .post('/things', { body: { n: 0 } })
    .catch(() => undefined)
  await fleet.clock.advance(1000)
  fleet.api.onGrant = () => {}
  const other = await fleet.start()
  const [asked] = await fleet.clock.runUntil(other.hf.operations.credentials())
  expect(asked).toMatchObject({ unanswered: true })
  const end = fleet.clock.runUntil(other.hf.client('crm').post('/things', { body: { n: 1 }, deadlineMs: 120_000 }))
  await expect(end).rejects.toMatchObject({ code: 'credential_unusable' })
  const [alert] = fleet.eventsOf('credential.failed')
  expect(alert).toMatchObject({ severity: 'critical', code: 'invalid_grant', parked: true })
  expect(alert?.reason).toContain('most likely with the refresh token that replaced this one')
  expect(alert?.hint).toContain('holdfast credentials set crm/default')
  expect(JSON.stringify(fleet.events)).not.toContain('first-refresh-token-0001')
})

test('R146: the answer of the token endpoint is lost: an alert at once, a new try soon, the old token meanwhile', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(HOUR_MS - 60_000)
  fleet.twin.script('POST /token', ['executed_then_reset'])
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  await fleet.clock.advance(500)
  const [alert] = fleet.eventsOf('credential.failed')
  expect(alert).toMatchObject({ severity: 'critical', parked: false })
  expect(alert?.reason).toContain('the answer of the token endpoint was lost')
  expect(alert?.reason).toContain('the new one may have been lost with it')
})

test.for([
  ['429', { kind: 'status', status: 429, headers: { 'retry-after': '90' }, body: { error: 'slow_down' } }, 90_000],
  ['500', { kind: 'status', status: 500 }, 1000],
  ['a page of a proxy', { kind: 'html_ok', executed: false }, 1000],
] as const)(
  'a token endpoint that answers %s is left alone for a while by all processes; nothing is lost',
  async ([, fault, pauseMs]) => {
    await using fleet = await createCredentialFleet(ROTATING)
    fleet.twin.script('POST /token', [fault])
    const members = [await fleet.start({ worker: true }), await fleet.start({ worker: true })]
    const startedMs = fleet.clock.wallMs()
    const askedAtMs: number[] = []
    fleet.api.onGrant = () => askedAtMs.push(fleet.clock.wallMs() - startedMs)
    await fleet.submit(members[0] as (typeof members)[0], 20)
    await fleet.clock.advance(pauseMs - 100)
    expect(askedAtMs).toEqual([])
    await fleet.clock.advance(300_000)
    expect(askedAtMs).toHaveLength(1)
    expect(fleet.api.calls).toEqual({ accepted: 20, refused: 0 })
    expect(fleet.eventsOf('credential.failed')).toHaveLength(1)
    const settled = fleet.eventsOf('item.settled').filter(({ state }) => state === 'succeeded')
    // Waiting for a token used no attempt.
    expect(settled.map(({ attempts }) => attempts)).toEqual(Array(20).fill(1))
  },
)

test('the token endpoint hangs: the call does not wait longer than it may', async () => {
  await using fleet = await createCredentialFleet(CLIENT)
  fleet.twin.script('POST /token', ['hang'])
  const { hf } = await fleet.start()
  const startedMs = fleet.clock.wallMs()
  const end = fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 }, deadlineMs: 5000 }))
  await expect(end).rejects.toMatchObject({ code: 'credential_unusable', certainty: 'not_sent' })
  expect(fleet.clock.wallMs() - startedMs).toBeLessThan(8000)
  await fleet.clock.advance(60_000)
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 2 } }))
  expect(fleet.api.calls.accepted).toBe(1)
})

test('`minInterval`: the token endpoint is asked no more often, also after a 401 (Outreach: once in 60 s)', async () => {
  await using fleet = await createCredentialFleet({ ...ROTATING, minInterval: '60s' } as typeof ROTATING)
  const member = await fleet.start({ worker: true })
  const askedAtMs: number[] = []
  fleet.api.onGrant = () => askedAtMs.push(fleet.clock.wallMs())
  await fleet.submit(member, 1)
  await fleet.clock.advance(20_000)
  fleet.api.revokeAccess()
  await fleet.submit(member, 5, ['acme'])
  await fleet.clock.advance(120_000)
  expect(askedAtMs).toHaveLength(2)
  expect((askedAtMs[1] as number) - (askedAtMs[0] as number)).toBeGreaterThanOrEqual(60_000)
  expect(fleet.api.calls.accepted).toBe(6)
  expect(fleet.eventsOf('credential.failed')).toEqual([])
})

test('no expires_in: the token is used until it is refused; `lifetime` says it where the API does not', async () => {
  await using fleet = await createCredentialFleet(CLIENT)
  fleet.api.expiresInSeconds = undefined
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(10 * HOUR_MS)
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toHaveLength(1)
  const limited = await fleet.start({ auth: { ...CLIENT, lifetime: '2h' } as typeof CLIENT })
  fleet.api.revokeAccess()
  await fleet.clock.runUntil(limited.hf.client('crm').post('/things', { body: { n: 2 } }))
  await fleet.clock.advance(3 * HOUR_MS)
  await fleet.clock.runUntil(limited.hf.client('crm').post('/things', { body: { n: 3 } }))
  expect(fleet.api.grants).toHaveLength(3)
  expect(fleet.api.calls.refused).toBe(1)
})

test('a store that is away when the tokens come: they are not used before they are written, and not lost', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  let away = false
  const one = await fleet.start({
    trouble: () => (away ? ({ what: 'refused', share: 1, delayMs: 0 } as never) : undefined),
  })
  fleet.api.onGrant = () => {
    away = true
  }
  const call = one.hf.client('crm').post('/things', { body: { n: 0 } })
  await fleet.clock.advance(3000)
  expect(fleet.api.calls).toEqual({ accepted: 0, refused: 0 })
  away = false
  fleet.api.onGrant = () => {}
  await fleet.clock.runUntil(call)
  const other = await fleet.start()
  await fleet.clock.runUntil(other.hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toHaveLength(1)
})

test('no refresh token yet: the lane waits for `credentials set`, which starts it', async () => {
  await using fleet = await createCredentialFleet(WITHOUT_FIRST as typeof ROTATING)
  const member = await fleet.start({ worker: true })
  await fleet.submit(member, 3)
  await fleet.clock.advance(60_000)
  expect(fleet.api.grants).toEqual([])
  expect(fleet.eventsOf('credential.failed')).toMatchObject([{ code: 'refresh_token_missing', parked: true }])
  const operator = await fleet.start()
  await fleet.clock.runUntil(operator.hf.operations.setCredential('crm', 'first-refresh-token-0001'))
  await fleet.clock.advance(60_000)
  expect(fleet.api.calls).toEqual({ accepted: 3, refused: 0 })
})

test('a process without the key sends nothing, says which key is missing, and changes nothing', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const one = await fleet.start()
  await fleet.clock.runUntil(one.hf.client('crm').post('/things', { body: { n: 0 } }))
  const other = await fleet.start({ keys: [Buffer.alloc(32, 9).toString('base64')] })
  const end = fleet.clock.runUntil(other.hf.client('crm').post('/things', { body: { n: 1 }, deadlineMs: 1000 }))
  await expect(end).rejects.toMatchObject({ code: 'credential_unusable', message: expect.stringContaining('key') })
  expect(fleet.api.calls).toEqual({ accepted: 1, refused: 0 })
  await fleet.clock.runUntil(one.hf.client('crm').post('/things', { body: { n: 2 } }))
  expect(fleet.api.grants).toHaveLength(1)
  expect(JSON.stringify(fleet.events)).not.toContain(KEY)
})

test('a new refresh token that is set while the old one is being refused is not held against', async () => {
  await using fleet = await createCredentialFleet(WITHOUT_FIRST as typeof ROTATING)
  const [{ hf }, operator] = [await fleet.start(), await fleet.start()]
  await fleet.clock.runUntil(hf.operations.setCredential('crm', 'a-refresh-token-that-is-wrong'))
  fleet.api.onGrant = () => {
    fleet.api.onGrant = () => {}
    void operator.hf.operations.setCredential('crm', 'first-refresh-token-0001')
  }
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.eventsOf('credential.failed')).toEqual([])
})

test('a 401 that was on its way while a person lifted the credential does not stop it again', async () => {
  await using fleet = await createCredentialFleet({ type: 'bearer', token: 'a-static-token-of-the-crm-000' })
  const [one, other] = [await fleet.start(), await fleet.start()]
  const first = fleet.clock.runUntil(one.hf.client('crm').post('/things', { body: { n: 1 } }))
  await expect(first).rejects.toMatchObject({ class: 'authentication' })
  fleet.twin.script('POST /things', [{ kind: 'executed_then_delayed', delay: '3s' }])
  await fleet.clock.runUntil(one.hf.operations.resume('crm'))
  await fleet.clock.advance(2000)
  const late = other.hf.client('crm').post('/things', { body: { n: 2 } })
  const settled = Promise.allSettled([late])
  await fleet.clock.advance(500)
  // Somebody else finds it refused, and a person lifts it, while the slow answer is on its way.
  await fleet.clock.runUntil(
    one.hf
      .client('crm')
      .post('/things', { body: { n: 3 } })
      .catch(() => undefined),
  )
  await fleet.clock.runUntil(one.hf.operations.resume('crm'))
  await fleet.clock.runUntil(settled)
  const lanes = await fleet.clock.runUntil(fleet.ledger.lanes())
  expect(lanes.filter(({ suspended }) => suspended)).toEqual([])
  expect(fleet.eventsOf('credential.failed')).toHaveLength(2)
})

test('issue 6: a person has it renewed now: said when and until when, never what; on the record; used from then on', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const { hf } = await fleet.start()
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 0 } }))
  await fleet.clock.advance(60_000)
  const operations = hf.operations.as({ by: 'cli:ada', from: 'desk' })
  const nowMs = fleet.clock.wallMs()
  const refreshed = await fleet.clock.runUntil(operations.refreshCredential('crm'))
  expect(fleet.api.grants).toHaveLength(2)
  const { credential, resumed } = refreshed
  expect(credential).toMatchObject({ name: 'crm/default', health: 'ready', version: 2 })
  expect((credential.obtainedAtMs ?? 0) - nowMs).toBeLessThan(1000)
  expect((credential.expiresAtMs ?? 0) - (credential.obtainedAtMs ?? 0)).toBe(HOUR_MS)
  expect(resumed).toEqual([])
  const { rows } = await operations.actions()
  expect(rows).toMatchObject([{ what: 'refresh_credential', target: 'crm', outcome: 'done', details: { version: 2 } }])
  for (const token of fleet.api.given) expect(JSON.stringify([refreshed, rows])).not.toContain(token)
  await fleet.clock.runUntil(hf.client('crm').post('/things', { body: { n: 1 } }))
  expect(fleet.api.grants).toHaveLength(2)
  expect(fleet.api.calls).toEqual({ accepted: 2, refused: 0 })
})

test('issue 6: several people in several processes at the same time: one refresh', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const members = [await fleet.start(), await fleet.start(), await fleet.start()]
  const asked = [...members, ...members].map(({ hf }) => hf.operations.refreshCredential('crm/default'))
  const refreshed = await fleet.clock.runUntil(Promise.all(asked))
  expect(fleet.api.grants).toHaveLength(1)
  expect(new Set(refreshed.map(({ credential }) => credential.version))).toEqual(new Set([1]))
})

test('issue 6: refreshed by a person after the endpoint refused it for good: what waited goes on', async () => {
  await using fleet = await createCredentialFleet(CLIENT)
  const { hf } = await fleet.start({ worker: true })
  fleet.api.refuseEverything = true
  await fleet.submit({ hf, kill: () => {} }, 3)
  await fleet.clock.advance(60_000)
  expect((await hf.operations.credentials())[0]).toMatchObject({ health: 'refused' })
  fleet.api.refuseEverything = false
  const { resumed } = await fleet.clock.runUntil(hf.operations.refreshCredential('crm'))
  expect(resumed).toEqual(['crm/default'])
  await fleet.clock.runUntil(hf.drain())
  expect(fleet.api.calls.accepted).toBe(3)
})

test('issue 6: where nobody may ask yet, what is held against a token stays held', async () => {
  await using fleet = await createCredentialFleet({ ...CLIENT, minInterval: '10m' } as typeof CLIENT)
  const { hf } = await fleet.start({ worker: true })
  fleet.api.refuseEverything = true
  await fleet.submit({ hf, kill: () => {} }, 3)
  await fleet.clock.advance(60_000)
  const grants = fleet.api.grants.length
  const refreshed = fleet.clock.runUntil(hf.operations.refreshCredential('crm'))
  await expect(refreshed).rejects.toMatchObject({ code: 'token_asked_too_soon' })
  expect((await hf.operations.credentials())[0]).toMatchObject({ health: 'refused' })
  expect(fleet.api.grants).toHaveLength(grants)
})

test('issue 6: an integration that a person suspended stays so, whatever its token', async () => {
  await using fleet = await createCredentialFleet(ROTATING)
  const { hf } = await fleet.start()
  await hf.operations.suspend('crm', 'they move house')
  await fleet.clock.runUntil(hf.operations.refreshCredential('crm'))
  expect((await hf.operations.lanes())[0]?.suspended).toMatchObject({ reason: 'they move house' })
})

test('issue 6: what cannot be renewed is said: refused, asked too soon, nothing to ask', async () => {
  await using fleet = await createCredentialFleet({ ...ROTATING, minInterval: '60s' } as typeof ROTATING)
  const { hf } = await fleet.start()
  const refresh = () => fleet.clock.runUntil(hf.operations.refreshCredential('crm'))
  await refresh()
  await expect(refresh()).rejects.toMatchObject({
    code: 'token_asked_too_soon',
    details: { retryAfterMs: expect.closeTo(60_000, -3) },
  })
  await fleet.clock.advance(60_000)
  fleet.api.revokeAll()
  await expect(refresh()).rejects.toMatchObject({
    code: 'token_not_renewed',
    message: expect.stringMatching(/crm\/default was not renewed: .*invalid_grant/),
  })
  const plain = await fleet.start({ auth: { type: 'bearer', token: 'a-token-in-the-configuration' } })
  await expect(plain.hf.operations.refreshCredential('crm')).rejects.toMatchObject({ code: 'credential_not_renewable' })
  await expect(plain.hf.operations.refreshCredential('erp')).rejects.toMatchObject({ code: 'unknown_integration' })
})
