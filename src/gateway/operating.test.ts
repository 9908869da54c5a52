import { describe, expect, it } from 'vitest'
import type { Reply } from '../../test/support/scripted-api.ts'
import { type TestGateway, testGateway } from './test-kit.ts'

async function withDeadLetters(count: number): Promise<TestGateway & { heal(reply: Reply): void; ids: string[] }> {
  let reply: Reply = { status: 422, body: { message: 'company is required' } }
  const gateway = await testGateway({ reply: () => reply })
  const ids: string[] = []
  for (let n = 0; n < count; n++) {
    const body = { n, password: 'the-password-0001' }
    const request = { integration: 'crm', method: 'POST', path: '/contacts', body } as const
    ids.push(`${(await gateway.hf.submitRequest(request, { batch: 'b' })).runId}.send`)
  }
  gateway.hf.startWorker()
  await gateway.clock.runUntil(gateway.hf.drain())
  const heal = (next: Reply) => {
    reply = next
  }
  return { ...gateway, heal, ids }
}

describe('the inbox', () => {
  it('lists, groups and shows dead letters in the words of the command line, page by page', async () => {
    const gateway = await withDeadLetters(3)
    const first = await gateway.call('GET', '/v1/dead-letters?limit=2&batch=b')
    expect(first.json.items).toHaveLength(2)
    const next = await gateway.call('GET', `/v1/dead-letters?limit=2&batch=b&cursor=${first.json.cursor}`)
    expect(next.json).toMatchObject({ items: [{ itemId: gateway.ids[0], state: 'dead_lettered' }], cursor: null })
    const { groups } = (await gateway.call('GET', '/v1/dead-letters/groups')).json
    expect(groups).toMatchObject([{ count: 3 }])
    const shown = await gateway.call('GET', `/v1/items/${gateway.ids[0]}`)
    expect(shown.json).toMatchObject({
      item: { attempts: [{ status: 422 }] },
      explanation: { headline: expect.stringContaining('is a dead letter') },
    })
    expect(
      (await gateway.call('GET', `/v1/dead-letters?group=${encodeURIComponent(groups[0].fingerprint)}`)).json.items,
    ).toHaveLength(3)
    await gateway.finish()
  })

  it('R135: replays by id, group, filter, all; a dry run changes nothing; an edit keeps the original', async () => {
    const gateway = await withDeadLetters(4)
    const replay = (order: object) => gateway.call('POST', '/v1/dead-letters/replay', { body: order })
    const patch = { company: 'Acme' }
    const plan = await replay({ selection: { all: true }, dryRun: true, patch })
    expect(plan.json).toMatchObject({ selected: 4, replayed: 0, dryRun: true, stopped: null })
    expect(plan.json.samples[0].after.body ?? plan.json.samples[0].after).toBeDefined()
    expect(plan.text).not.toContain('the-password-0001')
    gateway.heal({ status: 200 })
    expect((await replay({ selection: { items: [gateway.ids[0], 'none.x'] } })).json).toMatchObject({
      replayed: 1,
      refused: [{ itemId: 'none.x' }],
    })
    const { groups } = (await gateway.call('GET', '/v1/dead-letters/groups')).json
    const rest = await replay({ selection: { group: groups[0].fingerprint }, patch: { body: patch } })
    expect(rest.json.replayed).toBeGreaterThanOrEqual(3)
    await gateway.clock.runUntil(gateway.hf.drain())
    expect(await gateway.hf.operations.balance()).toMatchObject({ states: { succeeded: 4 } })
    const edited = (await gateway.call('GET', `/v1/items/${gateway.ids[3]}`)).json.item
    expect(edited.edits).toMatchObject([{ input: { body: { n: 3, company: 'Acme' } }, by: 'gateway:local' }])
    await gateway.finish()
  })

  it('a canary that fails again stops the rest', async () => {
    const gateway = await withDeadLetters(3)
    const order = { selection: { all: true }, canary: 1 }
    const answer = await gateway.clock.runUntil(gateway.call('POST', '/v1/dead-letters/replay', { body: order }))
    expect(answer.json).toMatchObject({ replayed: 1, stopped: { why: expect.stringContaining('dead_lettered') } })
    await gateway.finish()
  })

  it('a canary that does not end in time is told, and nothing else is touched', async () => {
    const gateway = await withDeadLetters(3)
    gateway.heal({ status: 429, headers: { 'retry-after': '600' } })
    const order = { selection: { all: true }, canary: 1 }
    const answer = await gateway.clock.runUntil(gateway.call('POST', '/v1/dead-letters/replay', { body: order }))
    expect(answer).toMatchObject({ status: 504, json: { code: 'canary_not_ended' } })
    expect(await gateway.hf.operations.balance()).toMatchObject({ states: { dead_lettered: 2 } })
    await gateway.finish()
  })

  it('discards with a reason, and never all by accident', async () => {
    const gateway = await withDeadLetters(2)
    const discard = (body: object) => gateway.call('POST', '/v1/dead-letters/discard', { body })
    for (const body of [
      {},
      { selection: {}, reason: 'x' },
      { selection: { filter: {} }, reason: 'x' },
      { selection: { all: true } },
      { selection: { all: true }, reason: '  ' },
      { selection: { all: true, group: 'x' }, reason: 'x' },
    ]) {
      expect(await discard(body), JSON.stringify(body)).toMatchObject({
        status: 422,
        json: { code: 'invalid_request' },
      })
    }
    const filter = { batch: 'b' }
    expect((await discard({ selection: { filter }, reason: 'old form' })).json).toEqual({ discarded: 2, refused: [] })
    expect(await gateway.hf.operations.balance()).toMatchObject({ states: { discarded: 2 } })
    await gateway.finish()
  })

  it('rule 3: an unknown outcome is resolved by a person', async () => {
    const gateway = await testGateway({ reply: () => ({ lost: 'after_execution' }) })
    const { runId } = await gateway.hf.submitRequest({ integration: 'crm', method: 'POST', path: '/contacts' })
    gateway.hf.startWorker()
    await gateway.clock.runUntil(gateway.hf.drain())
    const path = `/v1/items/${runId}.send/resolve`
    expect((await gateway.call('POST', path, { body: { happened: true, externalId: '7' } })).json.outcome).toBe('done')
    expect(await gateway.call('POST', path, { body: { happened: true } })).toMatchObject({ status: 409 })
    expect((await gateway.call('POST', '/v1/items/none.x/resolve', { body: { happened: false } })).status).toBe(404)
    await gateway.finish()
  })
})

describe('health and hands-on control', () => {
  it('suspends and resumes an integration, resets a breaker', async () => {
    const gateway = await testGateway({ reply: () => ({ status: 503 }) })
    for (let n = 0; n < 12; n++) await gateway.hf.submitRequest({ integration: 'crm', method: 'GET', path: '/x' })
    const worker = gateway.hf.startWorker()
    await gateway.clock.advance(20_000)
    const ill = (await gateway.call('GET', '/v1/stats')).json
    expect(ill.breakers).toMatchObject([{ phase: 'open' }])
    const key = encodeURIComponent(ill.breakers[0].key)
    expect((await gateway.call('POST', `/v1/breakers/${key}/reset`)).json).toEqual({ reset: ill.breakers[0].key })
    expect((await gateway.call('POST', '/v1/breakers/none/reset')).status).toBe(404)
    expect((await gateway.call('POST', '/v1/integrations/crn/suspend', { body: { reason: 'x' } })).status).toBe(404)
    await gateway.call('POST', '/v1/integrations/crm/suspend', { body: { reason: 'a new key' } })
    expect((await gateway.call('GET', '/v1/integrations')).json.integrations).toMatchObject([
      { name: 'crm', lanes: [{ suspended: { reason: 'a new key' } }] },
    ])
    expect((await gateway.call('POST', '/v1/integrations/crm/resume')).json).toEqual({ resumed: ['crm/default'] })
    await gateway.clock.runUntil(worker.stop())
    expect((await gateway.call('GET', '/v1/audit')).json).toMatchObject({ balanced: true })
    await gateway.finish()
  })
})

it('rule 7: payloads are shown without the values of secret fields', async () => {
  const gateway = await withDeadLetters(1)
  const [id = ''] = gateway.ids
  for (const path of [`/v1/items/${id}`, `/v1/runs/${id.split('.')[0]}`]) {
    const { status, text } = await gateway.call('GET', path)
    expect([status, text.includes('[redacted]'), text.includes('the-password-0001')]).toEqual([200, true, false])
  }
  await gateway.finish()
})

it('what is not meant is a 500 that tells nothing, and the log has it', async () => {
  const gateway = await testGateway()
  const operations = {
    ...gateway.hf.operations,
    as: () => ({ items: () => Promise.reject(new Error('secret inside')) }),
  }
  const { createGatewayApp } = await import('./app.ts')
  const app = createGatewayApp({ ...gateway.parts, holdfast: { ...gateway.hf, operations } as never })
  const response = await app.fetch(new Request('http://localhost/v1/items'), '127.0.0.1')
  const text = await response.text()
  expect([response.status, text.includes('secret inside')]).toEqual([500, false])
  expect(gateway.troubles).toMatchObject([{ error: { message: 'secret inside' } }])
  await gateway.finish()
})
