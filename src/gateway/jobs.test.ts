import { describe, expect, it } from 'vitest'
import type { Reply } from '../../test/support/scripted-api.ts'
import { seededRandom } from '../core/random.ts'
import { type TestGateway, type TestGatewayOptions, testGateway } from './test-kit.ts'
import { createToken } from './tokens.ts'

async function withDeadLetters(count: number, options: TestGatewayOptions = {}) {
  let reply: Reply = { status: 422, body: { message: 'company is required' } }
  const gateway = await testGateway({ reply: () => reply, ...options })
  for (let n = 0; n < count; n++) {
    const body = { n, password: 'the-password-0001' }
    await gateway.hf.submitRequest({ integration: 'crm', method: 'POST', path: '/contacts', body }, { batch: 'b' })
  }
  gateway.hf.startWorker()
  await gateway.clock.runUntil(gateway.hf.drain())
  reply = { status: 200 }
  return gateway
}

const REPLAY_ALL = { what: 'replay', selection: { all: true } }

async function untilEnded(gateway: TestGateway, id: string) {
  async function look() {
    for (;;) {
      const { json } = await gateway.call('GET', `/v1/jobs/${id}`)
      if (json.endedAtMs !== undefined) return json
      await gateway.clock.sleep(100)
    }
  }
  return gateway.clock.runUntil(look())
}

describe('jobs over HTTP', () => {
  it('R135: planned, begun, watched: how many succeeded again, and each item by itself', async () => {
    const gateway = await withDeadLetters(30)
    const patch = { body: { company: 'Acme' } }
    const plan = await gateway.call('POST', '/v1/jobs/plan', { body: { ...REPLAY_ALL, patch } })
    expect(plan.json).toMatchObject({ selected: 30, ready: 30, refused: [], groups: [{ count: 30 }] })
    expect(plan.json.samples[0].after).toMatchObject({ body: { company: 'Acme' } })
    expect(plan.text).not.toContain('the-password-0001')
    const begun = await gateway.call('POST', '/v1/jobs', { body: { ...REPLAY_ALL, patch } })
    expect(begun).toMatchObject({ status: 202, json: { phase: 'running', counts: { waiting: 30 } } })
    expect(begun.headers.get('location')).toBe(`/v1/jobs/${begun.json.id}`)
    const ended = await untilEnded(gateway, begun.json.id)
    expect(ended).toMatchObject({ phase: 'done', by: 'gateway:local', counts: { total: 30, succeeded: 30 } })
    const first = await gateway.call('GET', `/v1/jobs/${begun.json.id}/items?limit=20`)
    const rest = await gateway.call('GET', `/v1/jobs/${begun.json.id}/items?after=${first.json.items.at(-1).position}`)
    expect([...first.json.items, ...rest.json.items]).toHaveLength(30)
    expect(rest.json.items[0]).toMatchObject({ state: 'succeeded', replays: 1 })
    expect((await gateway.call('GET', '/v1/jobs')).json.jobs).toMatchObject([{ id: begun.json.id }])
    await gateway.finish()
  })

  it('cancelled with a reason, which the trail of actions keeps; twice is a conflict', async () => {
    const gateway = await withDeadLetters(3)
    await gateway.hf.operations.suspend('crm', 'not now')
    const { json: job } = await gateway.call('POST', '/v1/jobs', { body: REPLAY_ALL })
    const path = `/v1/jobs/${job.id}/cancel`
    expect((await gateway.call('POST', path, { body: {} })).status).toBe(422)
    const cancelled = await gateway.call('POST', path, { body: { reason: 'wrong fix' }, from: '10.0.0.7' })
    expect(cancelled.json).toMatchObject({ phase: 'cancelled', ended: { why: 'wrong fix', by: 'gateway:local' } })
    expect(await gateway.call('POST', path, { body: { reason: 'again' } })).toMatchObject({
      status: 409,
      json: { code: 'job_ended' },
    })
    const { actions } = (await gateway.call('GET', '/v1/actions?what=cancel_job')).json
    expect(actions).toMatchObject([
      { target: job.id, outcome: 'failed' },
      { target: job.id, reason: 'wrong fix', from: '10.0.0.7', outcome: 'done' },
    ])
    await gateway.hf.operations.resume('crm')
    await gateway.finish()
  })

  it('its progress is a stream, which ends with it', async () => {
    const gateway = await withDeadLetters(40)
    const { json: job } = await gateway.call('POST', '/v1/jobs', { body: REPLAY_ALL })
    const { text } = await gateway.clock.runUntil(gateway.call('GET', `/v1/jobs/${job.id}/events`))
    const events = [...text.matchAll(/event: progress\ndata: (.+)\n/g)].map((match) => JSON.parse(match[1] ?? ''))
    expect(events.length).toBeGreaterThan(1)
    expect(events[0].counts.waiting).toBe(40)
    expect(events.at(-1)).toMatchObject({ phase: 'done', counts: { succeeded: 40 } })
    expect(text).toMatch(/event: end\ndata: \{"reason":"the job has ended"\}\n\n$/)
    await gateway.finish()
  })

  it.each([
    ['an unknown kind', { ...REPLAY_ALL, what: 'erase' }, 422],
    ['discard without a reason', { what: 'discard', selection: { all: true } }, 422],
    ['a patch for a discard', { what: 'discard', selection: { all: true }, reason: 'x', patch: {} }, 422],
    ['a patch that is no object', { ...REPLAY_ALL, patch: [1] }, 422],
    ['an empty filter', { what: 'replay', selection: { filter: {} } }, 422],
  ])('refused: %s', async (_name, body, status) => {
    const gateway = await testGateway()
    expect((await gateway.call('POST', '/v1/jobs', { body })).status).toBe(status)
    expect((await gateway.call('GET', '/v1/jobs')).json).toEqual({ jobs: [], cursor: null })
    await gateway.finish()
  })

  it('what is not there is not found', async () => {
    const gateway = await testGateway()
    for (const path of ['', '/items', '/events']) {
      expect(await gateway.call('GET', `/v1/jobs/none${path}`)).toMatchObject({
        status: 404,
        json: { code: 'job_not_found' },
      })
    }
    const cancelled = await gateway.call('POST', '/v1/jobs/none/cancel', { body: { reason: 'x' } })
    expect(cancelled.status).toBe(404)
    await gateway.finish()
  })

  it('who may only read can plan and look, and begin nothing', async () => {
    const { token, settings } = createToken('looker', ['read'], seededRandom('token'))
    const gateway = await testGateway({ gateway: { tokens: [settings] } })
    const headers = { authorization: `Bearer ${token}` }
    const call = (method: string, path: string, body?: unknown) => gateway.call(method, path, { body, headers })
    expect((await call('POST', '/v1/jobs/plan', REPLAY_ALL)).status).toBe(200)
    expect((await call('GET', '/v1/jobs')).status).toBe(200)
    expect((await call('POST', '/v1/jobs', REPLAY_ALL)).status).toBe(403)
    expect((await call('POST', '/v1/jobs/x/cancel', { reason: 'x' })).status).toBe(403)
    expect((await call('POST', '/v1/items/cancel', { selection: { all: true }, reason: 'x' })).status).toBe(403)
    expect((await call('POST', '/v1/credentials/crm', { secret: 'x' })).status).toBe(403)
    expect((await call('POST', '/v1/credentials/rotate-key')).status).toBe(403)
    await gateway.finish()
  })
})

describe('what the command line can do, over HTTP', () => {
  it('items that have not ended are cancelled; a filter finds those, not dead letters', async () => {
    const gateway = await withDeadLetters(1)
    await gateway.hf.operations.suspend('crm', 'not now')
    await gateway.hf.submitRequest({ integration: 'crm', method: 'PUT', path: '/contacts/1' }, { batch: 'b' })
    const order = { selection: { filter: { batch: 'b' } }, reason: 'wrong list' }
    const { json } = await gateway.call('POST', '/v1/items/cancel', { body: order })
    expect(json).toEqual({ cancelled: 1, marked: 0, refused: [] })
    const { states } = await gateway.hf.operations.balance()
    expect(states).toMatchObject({ cancelled: 1, dead_lettered: 1 })
    await gateway.finish()
  })

  it('dead letters are exported line by line, without secrets', async () => {
    const gateway = await withDeadLetters(3)
    const { text, headers } = await gateway.call('GET', '/v1/dead-letters/export?batch=b')
    expect(headers.get('content-type')).toBe('application/x-ndjson')
    const items = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(items.map(({ input }) => input.body.n)).toEqual([2, 1, 0])
    expect(items[0].attempts).toMatchObject([{ status: 422 }])
    expect(text).not.toContain('the-password-0001')
    expect((await gateway.call('GET', '/v1/dead-letters/export?batch=other')).text).toBe('')
    await gateway.finish()
  })

  it('R018: failures that no rule knew come with a rule that could be written', async () => {
    const gateway = await withDeadLetters(2)
    const { json } = await gateway.call('GET', '/v1/suggestions?since=24h&integration=crm')
    expect(json.suggestions).toMatchObject([{ integration: 'crm', status: 422, count: 2, rule: expect.anything() }])
    expect((await gateway.call('GET', '/v1/suggestions?integration=other')).json.suggestions).toEqual([])
    expect((await gateway.call('GET', '/v1/suggestions?since=soon')).status).toBe(422)
    await gateway.finish()
  })

  it('vendors are listed, each with its decision table', async () => {
    const gateway = await testGateway()
    const { profiles } = (await gateway.call('GET', '/v1/profiles')).json
    expect(profiles.map(({ name }: { name: string }) => name)).toContain('hubspot')
    const { json } = await gateway.call('GET', '/v1/profiles/hubspot')
    expect(json.rules[0]).toMatchObject({ class: expect.any(String), source: expect.anything() })
    expect(json.defaults.length).toBeGreaterThan(5)
    expect((await gateway.call('GET', '/v1/profiles/nobody')).json.code).toBe('profile_not_found')
    await gateway.finish()
  })

  it('credentials: how they are, never what they are; set and resumed, on the trail without the secret', async () => {
    const auth = { type: 'bearer', token: 'the-token-in-use-0001' } as const
    const gateway = await testGateway({ integrations: { crm: { baseUrl: 'https://crm.test', auth } } })
    const all = await gateway.call('GET', '/v1/credentials')
    expect(all.json.credentials).toMatchObject([{ name: 'crm/default', type: 'bearer', health: 'configured' }])
    expect(all.text).not.toContain('the-token-in-use')
    for (const name of ['crm', 'crm%2Fdefault']) {
      expect((await gateway.call('GET', `/v1/credentials/${name}`)).json).toMatchObject({ name: 'crm/default' })
    }
    const resumed = await gateway.call('POST', '/v1/credentials/crm%2Fdefault/resume')
    expect(resumed.json).toEqual({ resumed: ['crm/default'] })
    const set = await gateway.call('POST', '/v1/credentials/crm', { body: { secret: 'a-new-secret-0002' } })
    expect(set.json).toMatchObject({ code: 'credential_not_stored' })
    const trail = await gateway.call('GET', '/v1/actions')
    expect(trail.json.actions.map(({ what }: { what: string }) => what)).toEqual(['set_credential', 'resume'])
    expect(trail.text).not.toContain('a-new-secret')
    expect((await gateway.call('GET', '/v1/credentials/none')).json.code).toBe('credential_not_found')
    await gateway.finish()
  })
})
