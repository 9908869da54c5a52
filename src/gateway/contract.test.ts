import { expect, it } from 'vitest'
import { z } from 'zod'
import { testGateway } from './test-kit.ts'

interface Operation {
  readonly operationId: string
  readonly security?: unknown
  readonly parameters?: { name: string; in: string; required?: boolean }[]
  readonly responses: Record<string, { content?: Record<string, { schema: object }> }>
}
interface Contract {
  readonly openapi: string
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { schemas: Record<string, object> }
}

async function contract(): Promise<Contract> {
  const gateway = await testGateway()
  const { json } = await gateway.call('GET', '/openapi.json')
  await gateway.finish()
  return json as Contract
}

it('issue 6: the contract names every route, with what it takes, gives and needs', async () => {
  const { openapi, paths, components } = await contract()
  expect(openapi).toBe('3.1.0')
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  expect(operations.length).toBeGreaterThanOrEqual(20)
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length)
  for (const { path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const parameters = operation.parameters ?? []
    expect(
      parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name),
      path,
    ).toEqual(inPath)
    expect(operation.responses['default']?.content?.['application/problem+json'], path).toBeDefined()
    expect(Boolean(operation.security), path).toBe(path.startsWith('/v1/'))
  }
  // Every reference leads somewhere.
  const references = [...JSON.stringify(paths).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1])
  expect(references.length).toBeGreaterThan(10)
  for (const name of references) expect(components.schemas[name ?? ''], name).toBeDefined()
})

it('answers are as the contract says: checked with its own schemas', async () => {
  const auth = { type: 'bearer', token: 'a-token-of-tests-0001' } as const
  const integrations = { crm: { baseUrl: 'https://crm.test', auth } }
  const gateway = await testGateway({ integrations, reply: ({ body }) => ({ status: body === null ? 422 : 200 }) })
  for (const body of [null, { a: 1 }]) {
    await gateway.call('POST', '/v1/requests', {
      body: { integration: 'crm', method: 'PUT', path: '/contacts/1', ...(body && { body }) },
    })
  }
  gateway.hf.startWorker()
  await gateway.clock.runUntil(gateway.hf.drain())
  await gateway.call('POST', '/v1/integrations/crm/suspend', { body: { reason: 'x' } })
  const order = { what: 'discard', selection: { all: true }, reason: 'test records' }
  const { json: job } = await gateway.call('POST', '/v1/jobs', { body: order })
  const { paths, components } = (await gateway.call('GET', '/openapi.json')).json as Contract
  const { items } = (await gateway.call('GET', '/v1/items')).json
  for (const [template, methods] of Object.entries(paths)) {
    // Streams are looked at where they are tested.
    if (!methods['get']?.responses['200']?.content?.['application/json']) continue
    const path = template
      .replace('/runs/{id}', `/runs/${items[0].runId}`)
      .replace('/jobs/{id}', `/jobs/${job.id}`)
      .replace('/credentials/{name}', '/credentials/crm')
      .replace('/profiles/{name}', '/profiles/hubspot')
      .replace('{id}', items[0].itemId)
    const answer = await gateway.call('GET', path)
    expect(answer.status, path).toBe(200)
    const schema = methods['get'].responses['200']?.content?.['application/json']?.schema
    const whole = JSON.parse(
      JSON.stringify({ ...schema, $defs: components.schemas }).replaceAll('#/components/schemas/', '#/$defs/'),
    ) as Parameters<typeof z.fromJSONSchema>[0]
    const parsed = z.fromJSONSchema(whole).safeParse(answer.json)
    expect(parsed.error?.issues ?? [], path).toEqual([])
  }
  await gateway.finish()
})
