import { expect, it } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { testEngine } from '../support/engine.ts'

const SUCCEEDED = { states: { succeeded: 1 } }

it('issue 6: a single request is made durably, below the base URL, with what was given', async () => {
  const test = await testEngine()
  const path = '/contacts/a%2Fb?x=1'
  const { runId } = await test.hf.submitRequest(
    {
      integration: 'crm',
      method: 'PATCH',
      path,
      query: { y: 2 },
      headers: { 'x-team': 'emea' },
      body: { name: 'Ada' },
    },
    { batch: 'single', labels: { team: 'emea' } },
  )
  test.hf.startWorker()
  await test.clock.runUntil(test.hf.drain())
  expect(test.api.requests).toHaveLength(1)
  const [call] = test.api.requests
  expect(call).toMatchObject({ method: 'PATCH', path: '/contacts/a%2Fb?x=1&y=2' })
  expect(call?.headers['x-team']).toBe('emea')
  expect(await test.hf.operations.balance({ batch: 'single' })).toMatchObject(SUCCEEDED)
  expect(await test.hf.operations.run(runId)).toMatchObject({ pipeline: 'request:crm', labels: { team: 'emea' } })
  expect(await test.hf.operations.item(`${runId}.send`)).toMatchObject({
    endpoint: 'PATCH /contacts/{id}',
    lane: 'crm/default',
  })
  await test.finish()
})

it('rule 3, R046: it is retried where that is safe, and waits for a 429 without using an attempt', async () => {
  const answers = [{ status: 429, headers: { 'retry-after': '30' } }, { status: 503 }, { status: 200 }]
  const test = await testEngine({ reply: () => ({ ...(answers.shift() ?? { status: 500 }) }) })
  const { runId } = await test.hf.submitRequest({ integration: 'crm', method: 'PUT', path: '/contacts/7', body: {} })
  test.hf.startWorker()
  await test.clock.runUntil(test.hf.drain())
  expect(await test.hf.operations.item(`${runId}.send`)).toMatchObject({
    state: 'succeeded',
    counters: { attempts: 2 },
  })
  await test.finish()
})

it('D17: a key names one call of an integration, whatever its address', async () => {
  const test = await testEngine()
  const request = { integration: 'crm', method: 'POST', path: '/contacts', body: { n: 1 } } as const
  const first = await test.hf.submitRequest(request, { key: 'k' })
  expect(await test.hf.submitRequest(request, { key: 'k' })).toEqual({ ...first, duplicate: true })
  for (const other of [{ path: '/deals' }, { body: { n: 2 } }, { method: 'PUT' as const }]) {
    await expect(test.hf.submitRequest({ ...request, ...other }, { key: 'k' })).rejects.toMatchObject({
      code: 'key_conflict',
    })
  }
  expect(await test.hf.operations.balance()).toMatchObject({ accepted: 1 })
  await test.finish()
})

it('shares lane and endpoint with the steps of pipelines, and their limits', async () => {
  const pipeline = definePipeline('onboard').step('create', {
    integration: 'crm',
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  })
  const test = await testEngine({ pipelines: [pipeline] })
  await test.hf.submit('onboard', {})
  await test.hf.submitRequest({ integration: 'crm', method: 'POST', path: '/contacts' })
  await test.hf.submitRequest({ integration: 'crm', method: 'GET', path: '/deals' })
  test.hf.startWorker()
  await test.clock.runUntil(test.hf.drain())
  expect(await test.hf.operations.balance()).toMatchObject({ accepted: 3, states: { succeeded: 3 } })
  await test.finish()
})

it.each([
  [{ path: 'https://evil.test/' }, 'invalid_path'],
  [{ path: '/a/../../admin' }, 'invalid_path'],
  [{ path: '/a/%2e%2E/admin' }, 'invalid_path'],
  [{ path: '/..\\admin' }, 'invalid_input'],
  [{ path: '/a b' }, 'invalid_path'],
  [{ path: '/a\r\nx: y' }, 'invalid_path'],
  [{ method: 'TRACE' as 'GET' }, 'invalid_input'],
  [{ integration: 'crn' }, 'unknown_integration'],
  [{ headers: { Host: 'evil.test' } }, 'invalid_input'],
  [{ headers: { Authorization: 'Bearer x' } }, 'invalid_input'],
  [{ headers: { 'X-Api-Key': 'x' } }, 'invalid_input'],
  [{ headers: { 'x-a': 'b\r\nc: d' } }, 'invalid_input'],
  [{ headers: { 'x a': 'b' } }, 'invalid_input'],
])('issue 6: refuses %j, and stores nothing', async (parts, code) => {
  const test = await testEngine()
  const request = { integration: 'crm', method: 'GET', path: '/x', ...parts } as const
  await expect(test.hf.submitRequest(request)).rejects.toMatchObject({ code })
  expect(await test.hf.operations.balance()).toMatchObject({ accepted: 0 })
  await test.finish()
})
