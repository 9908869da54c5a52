import { expect, it } from 'vitest'
import { seededRandom } from '../core/random.ts'
import { definePipeline } from '../engine/pipelines/pipeline.ts'
import { testGateway } from './test-kit.ts'
import { createToken } from './tokens.ts'

const people = definePipeline<{ email: string }>('people', { subject: ({ email }) => email }).step('note', {
  safe: true,
  run: ({ input }) => input.email,
})

it('issue 6: what is held of one subject is planned, then erased; the trail names nobody', async () => {
  const gateway = await testGateway({ pipelines: [people] })
  const { hf, clock } = gateway
  for (const email of ['ada@example.com', 'grace@example.com']) await hf.submit(people, { email })
  const erase = (body: object) => clock.runUntil(gateway.call('POST', '/v1/erasures', { body }))
  const subject = 'ada@example.com'
  expect((await erase({ subject })).json).toMatchObject({
    runs: 1,
    erased: [],
    refused: [{ why: expect.stringContaining('queued') }],
  })
  expect((await erase({ subject, tenant: 'somebody-else', dryRun: true })).json).toMatchObject({ runs: 0, erased: [] })
  const plan = await erase({ subject, tenant: 'default', notEnded: 'cancel', dryRun: true })
  expect(plan.json).toMatchObject({ runs: 1, items: 1, refused: [], dryRun: true })
  const done = await erase({ subject, notEnded: 'cancel' })
  expect(done.json).toMatchObject({ erased: plan.json.erased, dryRun: false, scrubbed: false })
  const [runId] = done.json.erased
  expect((await gateway.call('GET', `/v1/runs/${runId}`)).json).toMatchObject({ input: { erased: true } })
  expect((await gateway.call('GET', '/v1/actions')).text).not.toContain('ada@')
  expect((await gateway.call('GET', '/v1/items')).json.items).toHaveLength(2)
  await gateway.finish()
})

it('issue 6: whose data a single call holds, its caller says', async () => {
  const gateway = await testGateway()
  const subject = 'ada@example.com'
  const request = { integration: 'crm', method: 'POST', path: '/contacts', body: { email: subject }, subject }
  const { runId } = (await gateway.call('POST', '/v1/requests', { body: request })).json
  const order = { subject, notEnded: 'cancel' }
  const { json } = await gateway.clock.runUntil(gateway.call('POST', '/v1/erasures', { body: order }))
  expect(json.erased).toEqual([runId])
  expect((await gateway.call('GET', `/v1/runs/${runId}`)).text).not.toContain(subject)
  await gateway.finish()
})

it('issue 6: only an admin may erase; nothing named, or a run that is not there, is told', async () => {
  const random = seededRandom('tokens')
  const operator = createToken('on-call', ['operate'], random)
  const admin = createToken('privacy', ['admin'], random)
  const gateway = await testGateway({ pipelines: [people], gateway: { tokens: [operator.settings, admin.settings] } })
  const erase = (token: string, body: object) =>
    gateway.call('POST', '/v1/erasures', { body, headers: { authorization: `Bearer ${token}` } })
  expect(await erase(operator.token, { subject: 'ada@example.com' })).toMatchObject({ status: 403 })
  expect(await erase(admin.token, {})).toMatchObject({ status: 422, json: { code: 'erasure_of_nothing' } })
  expect(await erase(admin.token, { runIds: ['none'] })).toMatchObject({ status: 404, json: { code: 'run_not_found' } })
  await gateway.finish()
})
