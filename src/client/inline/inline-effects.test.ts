/** Operations with a key of their own, at an API that knows keys for a day (D19). */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../system/system-clock.ts'
import { jsonServer, testEndpoint, testIntegration, testParts } from '../test-kit.ts'
import { createInlineCaller } from './inline.ts'

const HOUR_MS = 3_600_000
const IDEMPOTENCY = { kind: 'key' as const, header: 'Idempotency-Key', lifetimeMs: 24 * HOUR_MS }
const ENDPOINTS = { 'POST /charges': testEndpoint('POST /charges', { idempotency: IDEMPOTENCY }) }
const CHARGE = { body: { amount: 5 }, idempotencyKey: 'order-1' }

/** An API that fails as often as told, and a caller whose wall clock can be set forward. */
async function setUp(failures: number, failed: { headers?: Record<string, string> } = {}) {
  const keys: string[] = []
  const server = await jsonServer(({ number, headers }) => {
    keys.push(String(headers['idempotency-key']))
    return number <= failures ? { status: 500, body: {}, ...failed } : { status: 201, body: { id: 'ch_1' } }
  })
  const parts = await testParts(systemClock)
  let aheadMs = 0
  const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + aheadMs }
  return {
    keys,
    client: createInlineCaller({ ...parts, clock }, testIntegration(server.url, { endpoints: ENDPOINTS })),
    later(ms: number) {
      aheadMs += ms
    },
    async [Symbol.asyncDispose]() {
      await parts[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const TRIES = 4

describe('D19: what may have happened under a key', () => {
  test('is sent again with the same key while the API knows it', async () => {
    await using api = await setUp(TRIES)
    await expect(api.client.post('/charges', CHARGE)).rejects.toMatchObject({ certainty: 'maybe_applied' })
    api.later(23 * HOUR_MS)
    expect(await api.client.post('/charges', CHARGE)).toMatchObject({ status: 201, replayed: false })
    expect(api.keys).toEqual(Array.from({ length: TRIES + 1 }, () => 'order-1'))
    expect(await api.client.post('/charges', CHARGE)).toMatchObject({ status: 201, replayed: true })
  })

  test('is an unknown outcome once it does not, counted from the first try', async () => {
    await using api = await setUp(2 * TRIES)
    await expect(api.client.post('/charges', CHARGE)).rejects.toMatchObject({ code: 'http_500' })
    api.later(20 * HOUR_MS)
    await expect(api.client.post('/charges', { ...CHARGE, deadlineMs: 300 })).rejects.toMatchObject({
      code: 'http_500',
    })
    api.later(5 * HOUR_MS)
    const sent = api.keys.length
    expect(sent).toBeGreaterThan(TRIES)
    await expect(api.client.post('/charges', CHARGE)).rejects.toMatchObject({ code: 'unknown_outcome' })
    expect(api.keys).toHaveLength(sent)
  })
})

test('R086: a failure that the API repeats from its memory is not asked for again', async () => {
  await using api = await setUp(TRIES, { headers: { 'idempotent-replayed': 'true' } })
  await expect(api.client.post('/charges', CHARGE)).rejects.toMatchObject({
    certainty: 'maybe_applied',
    details: { reason: expect.stringContaining('stored under this key') },
  })
  expect(api.keys).toHaveLength(1)
})

test('R085: a call without a key of its own gets one UUID, the same on all its tries, and another for the next call', async () => {
  await using api = await setUp(2)
  await api.client.post('/charges', { body: {} })
  await api.client.post('/charges', { body: {} })
  const [first, second, third, next] = api.keys
  expect([second, third]).toEqual([first, first])
  expect(first).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(next).not.toBe(first)
})
