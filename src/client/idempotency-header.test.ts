/** How a key goes over the wire: bare for nearly everybody, as a structured-field string for those who follow the draft (R080). */
import { expect, test } from 'vitest'
import { systemClock } from '../system/system-clock.ts'
import { createFetch } from './fetch/fetch-adapter.ts'
import { createInlineCaller } from './inline/inline.ts'
import { jsonServer, testEndpoint, testIntegration, testParts } from './test-kit.ts'

async function sent(quoted: boolean, key: string): Promise<{ inline: string; fetched: string }> {
  const keys: string[] = []
  await using server = await jsonServer(({ headers }) => {
    keys.push(String(headers['idempotency-key']))
    return { body: {} }
  })
  await using parts = await testParts(systemClock)
  const idempotency = { kind: 'key' as const, header: 'Idempotency-Key', lifetimeMs: 3_600_000, quoted }
  const endpoints = { 'POST /charges': testEndpoint('POST /charges', { idempotency }) }
  const integration = testIntegration(server.url, { endpoints })
  await createInlineCaller(parts, integration).post('/charges', { body: {}, idempotencyKey: key })
  await createFetch(parts, integration)(`${server.url}/charges`, { method: 'POST', body: '{}' })
  const [inline = '', fetched = ''] = keys
  return { inline, fetched }
}

test('R080: bare by default', async () => {
  const { inline, fetched } = await sent(false, 'order-"1"')
  expect(inline).toBe('order-"1"')
  expect(fetched).toMatch(/^[0-9a-f-]{36}$/)
})

test('R080: quoted where the API wants it, with what is special in quotes escaped', async () => {
  const { inline, fetched } = await sent(true, 'order-"1"\\2')
  expect(inline).toBe('"order-\\"1\\"\\\\2"')
  expect(fetched).toMatch(/^"[0-9a-f-]{36}"$/)
})

test('R080: what a quoted key cannot hold is refused before anything is sent', async () => {
  await expect(sent(true, 'bücher')).rejects.toMatchObject({ code: 'invalid_header' })
})
