import { describe, expect, test } from 'vitest'
import type { EndpointSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../system/system-clock.ts'
import type { ClientOptions } from '../inline/client-types.ts'
import { type RawRequest, rawServer, testEndpoint, testIntegration, testParts } from '../test-kit.ts'
import { createFetch } from './fetch-adapter.ts'

const KEYED: Partial<EndpointSettings> = {
  idempotency: { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 60_000 },
}

async function setUp(onRequest: (request: RawRequest) => void, endpoint: Partial<EndpointSettings> = {}) {
  let aheadMs = 0
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs }
  const server = await rawServer(onRequest)
  const parts = await testParts(clock)
  const settings = testEndpoint('POST /x', endpoint)
  const once = { ...settings, retry: { ...settings.retry, maxAttempts: 1 } }
  const integration = testIntegration(server.url, { endpoints: { 'POST /x': once } })
  return {
    server,
    send: (headers: Record<string, string> = {}, init: RequestInit = {}, options: ClientOptions = {}) =>
      createFetch(
        parts,
        integration,
        options,
      )(`${server.url}/x`, { method: 'POST', body: 'pay', ...init, headers }).then(
        (response) => response.status,
        (error: { cause?: unknown }) => error.cause ?? error,
      ),
    again: (headers: Record<string, string> = {}) => createFetch(parts, integration)(`${server.url}/x`, { headers }),
    detected: () => parts.seen.filter(({ type }) => type === 'nested_retries.detected'),
    pass(ms: number) {
      aheadMs += ms
    },
    async [Symbol.asyncDispose]() {
      await parts[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const answer = (status: number) => `HTTP/1.1 ${status} So\r\ncontent-length: 2\r\n\r\n{}`
const resets = ({ socket }: RawRequest) => socket.resetAndDestroy()
const answers =
  (...statuses: number[]) =>
  ({ socket, number }: RawRequest) =>
    socket.write(answer(statuses[number - 1] ?? 200))

describe('trap 3: retries of an SDK on top of ours', () => {
  test('rule 3: a repeat that the SDK numbers gets the error it had; nothing is sent, and it is reported once', async () => {
    await using set = await setUp(resets)
    const agent = { 'user-agent': 'OpenAI/JS 7' }
    const first = await set.send({ 'x-stainless-retry-count': '0', ...agent })
    expect(first).toMatchObject({ code: 'ECONNRESET', certainty: 'maybe_applied' })
    expect(set.detected()).toEqual([])
    expect(await set.send({ 'x-stainless-retry-count': '1', ...agent })).toBe(first)
    // The SDK waits longer and longer: each repeat keeps the memory alive.
    set.pass(9000)
    expect(await set.send({ 'x-stainless-retry-count': '2', ...agent })).toBe(first)
    set.pass(9000)
    expect(await set.send({ 'x-stainless-retry-count': '3', ...agent })).toBe(first)
    expect(set.server.requests).toHaveLength(1)
    expect(set.detected()).toMatchObject([
      {
        integration: 'crm',
        endpoint: 'POST /x',
        evidence: 'retry_header',
        refused: true,
        hint: expect.stringContaining('openai off: { maxRetries: 0 }'),
      },
    ])
  })

  test('a key that the SDK of Stripe made and sends again is a repeat too', async () => {
    await using set = await setUp(({ socket, number }) => (number === 1 ? resets : answers(200, 200))({ socket, number } as RawRequest)) // biome-ignore format: one line
    const first = await set.send({ 'idempotency-key': 'stripe-node-retry-1' })
    expect(await set.send({ 'idempotency-key': 'stripe-node-retry-1' })).toBe(first)
    expect(set.detected()).toMatchObject([{ evidence: 'sdk_key', refused: true }])
    expect(await set.send({ 'idempotency-key': 'stripe-node-retry-2' })).toBe(200)
    expect(set.server.requests).toHaveLength(2)
  })

  test('the same request from who knows where is reported, and sent', async () => {
    await using set = await setUp(answers(503, 200))
    expect(await set.send()).toBe(503)
    expect(await set.send()).toBe(200)
    expect(set.detected()).toMatchObject([
      { evidence: 'same_request', refused: false, hint: expect.stringContaining('"crm"') },
    ])
  })

  test('one event per integration, however many fetches it has', async () => {
    await using set = await setUp(answers(503, 503, 503))
    await set.send()
    await set.send()
    await set.again({ 'x-stainless-retry-count': '1' })
    expect(set.detected()).toHaveLength(1)
  })

  test('an answered error is sent again where the SDK insists: it has been told not to', async () => {
    await using set = await setUp(answers(503, 200))
    await set.send()
    expect(await set.send({ 'x-stainless-retry-count': '1' })).toBe(200)
    expect(set.detected()).toMatchObject([{ evidence: 'retry_header', refused: false }])
  })

  test('a number on a call that nobody remembers is reported, and sent', async () => {
    await using set = await setUp(answers(200))
    expect(await set.send({ 'x-stainless-retry-count': '1' })).toBe(200)
    expect(set.detected()).toMatchObject([{ evidence: 'retry_header', refused: false }])
  })

  test("R080: what the SDK's own timeout cut off keeps its key, when it is repeated", async () => {
    const keys: (string | undefined)[] = []
    await using set = await setUp(({ head, socket, number }) => {
      keys.push(/idempotency-key: (\S+)/i.exec(head)?.[1])
      if (number > 2) socket.write(answer(200))
    }, KEYED)
    const aborted = (count: string) => {
      const controller = new AbortController()
      const sent = set.send({ 'x-stainless-retry-count': count }, { signal: controller.signal })
      return { sent, controller }
    }
    // Two equal operations at a time: each keeps a key of its own.
    const [one, other] = [aborted('0'), aborted('0')]
    while (set.server.requests.length < 2) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    one.controller.abort()
    other.controller.abort()
    expect([await one.sent, await other.sent]).toMatchObject([{ name: 'AbortError' }, { name: 'AbortError' }])
    expect(await set.send({ 'x-stainless-retry-count': '1' })).toBe(200)
    expect(await set.send({ 'x-stainless-retry-count': '1' })).toBe(200)
    expect(keys[0]).toBeDefined()
    expect(new Set(keys.slice(0, 2)).size).toBe(2)
    expect(new Set(keys.slice(2))).toEqual(new Set(keys.slice(0, 2)))
  })

  test('rule 3: and without a key it is not sent again', async () => {
    await using set = await setUp(() => {})
    const controller = new AbortController()
    const sent = set.send({ 'x-stainless-retry-count': '0' }, { signal: controller.signal })
    while (set.server.requests.length < 1) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    controller.abort()
    expect(await sent).toMatchObject({ name: 'AbortError' })
    expect(await set.send({ 'x-stainless-retry-count': '1' })).toMatchObject({
      code: 'cancelled',
      certainty: 'maybe_applied',
    })
    expect(set.server.requests).toHaveLength(1)
  })
})

describe('what is no retry', () => {
  test('another body, another key, a later time, a success before, a refusal of the data', async () => {
    await using set = await setUp(answers(503, 200, 503, 200, 200, 422, 422, 503, 200))
    await set.send()
    await set.send({}, { body: 'other' })
    await set.send({ 'idempotency-key': 'a' }, { body: 'keyed' })
    await set.send({ 'idempotency-key': 'b' }, { body: 'keyed' })
    await set.send({ 'idempotency-key': 'b' }, { body: 'keyed' })
    await set.send({}, { body: 'wrong' })
    await set.send({}, { body: 'wrong' })
    set.pass(10_001)
    await set.send({}, { body: 'late' })
    set.pass(10_001)
    await set.send({}, { body: 'late' })
    expect(set.server.requests).toHaveLength(9)
    expect(set.detected()).toEqual([])
  })

  test('the same request for another account, or of another tenant', async () => {
    await using set = await setUp(resets)
    const numbered = { 'x-stainless-retry-count': '1' }
    const first = await set.send({ 'stripe-account': 'acct_1' })
    expect(await set.send({ 'stripe-account': 'acct_2', ...numbered })).not.toBe(first)
    expect(await set.send({ 'stripe-account': 'acct_1', ...numbered }, {}, { tenant: 'acme' })).not.toBe(first)
    expect(await set.send({ 'stripe-account': 'acct_1', ...numbered })).toBe(first)
    expect(set.server.requests).toHaveLength(3)
  })

  test('a caller who cancels and asks again', async () => {
    await using set = await setUp(({ socket, number }) => number > 1 && socket.write(answer(200)))
    const controller = new AbortController()
    const sent = set.send({}, { signal: controller.signal })
    while (set.server.requests.length < 1) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    controller.abort()
    await sent
    expect(await set.send()).toBe(200)
    expect(set.detected()).toEqual([])
  })
})
