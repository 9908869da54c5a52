import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../system/system-clock.ts'
import type { OutboundCall } from '../call/call.ts'
import { HTTP_OK, jsonServer, rawServer, TEST_DEFAULTS, testEndpoint, testIntegration, testParts } from '../test-kit.ts'
import { makeAttempt } from './attempt.ts'

function callTo(url: string, overrides: Partial<OutboundCall> = {}): OutboundCall {
  return {
    integration: testIntegration(url),
    endpoint: testEndpoint('POST /people'),
    lane: 'crm/default',
    tenant: 'default',
    method: 'POST',
    path: '/people',
    headers: {},
    body: { name: 'Ada' },
    responseSchema: undefined,
    expects: 'any',
    idempotencyKey: undefined,
    correlationId: 'correlation-1',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    itemId: undefined,
    attempt: 1,
    signal: undefined,
    ...overrides,
  }
}

describe('what is sent', () => {
  test('R162, R164: JSON, authentication, correlation id and a fresh span per attempt', async () => {
    const seen: Record<string, unknown>[] = []
    await using server = await jsonServer(({ headers, body }) => {
      seen.push({ ...headers, body })
      return { body: { id: 1 } }
    })
    await using parts = await testParts(systemClock)
    const call = callTo(server.url)
    expect(await makeAttempt(call, parts)).toMatchObject({
      kind: 'succeeded',
      answer: { status: 200, data: { id: 1 } },
    })
    await makeAttempt({ ...call, attempt: 2 }, parts)
    const [first, second] = seen
    expect(first).toMatchObject({
      body: '{"name":"Ada"}',
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: 'Bearer the-secret-token',
      'x-correlation-id': 'correlation-1',
    })
    const [, trace, span] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(String(first?.['traceparent'])) ?? []
    expect(trace).toBe('0af7651916cd43dd8448eb211c80319c')
    const [, secondTrace, secondSpan] =
      /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(String(second?.['traceparent'])) ?? []
    expect(secondTrace).toBe(trace)
    expect(secondSpan).not.toBe(span)
  })

  test('R080: the idempotency key goes into the header that the endpoint names, and only there', async () => {
    const seen: (string | undefined)[] = []
    await using server = await jsonServer(({ headers }) => {
      seen.push(headers['x-my-key'] as string | undefined)
      return { body: {} }
    })
    await using parts = await testParts(systemClock)
    const idempotency = { kind: 'key' as const, header: 'X-My-Key', lifetimeMs: 1 }
    const endpoint = testEndpoint('POST /people', { idempotency })
    await makeAttempt(callTo(server.url, { endpoint, idempotencyKey: 'key-1' }), parts)
    await makeAttempt(callTo(server.url, { idempotencyKey: 'key-2' }), parts)
    expect(seen).toEqual(['key-1', undefined])
  })

  test('text, bytes and form fields go as they are; the path of the base URL comes first', async () => {
    await using server = await jsonServer(({ url, body, headers }) => ({
      body: { url, body, type: headers['content-type'] },
    }))
    await using parts = await testParts(systemClock)
    const integration = testIntegration(`${server.url}/v1/`)
    const sent = async (body: unknown, headers = {}) => {
      const result = await makeAttempt(callTo(server.url, { integration, body, headers }), parts)
      return result.kind === 'succeeded' ? result.answer.data : result
    }
    expect(await sent('a,b')).toEqual({ url: '/v1/people', body: 'a,b', type: 'text/plain;charset=UTF-8' })
    expect(await sent('a,b', { 'Content-Type': 'text/csv' })).toMatchObject({ type: 'text/csv' })
    expect(await sent(new TextEncoder().encode('xyz'))).toMatchObject({ body: 'xyz', type: 'application/octet-stream' })
    expect(await sent(new URLSearchParams({ a: 'b c' }))).toMatchObject({ body: 'a=b+c' })
    expect(await sent(undefined)).toMatchObject({ body: '' })
  })

  test('a header that would smuggle in another is refused before anything is sent, without its value', async () => {
    await using server = await jsonServer(() => ({ body: {} }))
    await using parts = await testParts(systemClock)
    for (const headers of [{ 'x-a': 'secret\r\nx-b: 1' }, { 'x a': '1' }, { 'x\r\na': '1' }]) {
      const thrown = await Promise.resolve()
        .then(() => makeAttempt(callTo(server.url, { headers }), parts))
        .catch((error: unknown) => error)
      expect(thrown).toMatchObject({ code: 'invalid_header', certainty: 'not_sent' })
      expect(String((thrown as Error).message)).not.toContain('secret')
    }
    expect(server.requests).toHaveLength(0)
    expect(parts.health.allowance(channelOf(server.url), 10).limit).toBe(10)
  })

  test('what cannot be sent again is refused, not turned into "{}"', async () => {
    await using parts = await testParts(systemClock)
    for (const body of [new FormData(), new Blob(['x']), new ReadableStream()]) {
      await expect(async () => makeAttempt(callTo('http://127.0.0.1:1', { body }), parts)).rejects.toMatchObject({
        code: 'unsupported_body',
      })
    }
  })
})

function channelOf(url: string) {
  const integration = testIntegration(url, { limits: { concurrency: 10 } })
  return {
    integration,
    endpoint: 'POST /people',
    breaker: TEST_DEFAULTS.breaker,
    lane: 'crm/default',
    tenant: 'default',
  }
}

describe('what comes back', () => {
  const answered = async (raw: string, overrides: Partial<OutboundCall> = {}) => {
    await using server = await rawServer(({ socket }) => socket.end(raw))
    await using parts = await testParts(systemClock)
    return makeAttempt(callTo(server.url, overrides), parts)
  }
  const read = { method: 'GET', body: undefined, endpoint: testEndpoint('GET /people') }

  test('R027: HTML where JSON was asked for is malformed, for reads and writes', async () => {
    const page = HTTP_OK('<!doctype html><title>Maintenance</title>', 'content-type: text/html\r\n')
    expect(await answered(page)).toMatchObject({
      kind: 'failed',
      failure: { class: 'malformed_response', certainty: 'applied', status: 200 },
    })
    expect(await answered(page, read)).toMatchObject({ kind: 'failed', failure: { class: 'malformed_response' } })
    const wanted = await answered(page, { ...read, headers: { accept: 'text/html' } })
    expect(wanted).toMatchObject({ kind: 'succeeded' })
  })

  test('R027: JSON that breaks off or is empty is malformed where JSON is promised', async () => {
    expect(await answered(HTTP_OK('{"a": 1'))).toMatchObject({ failure: { class: 'malformed_response' } })
    expect(await answered(HTTP_OK(''), { expects: 'json' })).toMatchObject({ failure: { class: 'malformed_response' } })
    expect(await answered(HTTP_OK('ok', ''), { expects: 'json' })).toMatchObject({
      failure: { class: 'malformed_response' },
    })
    expect(await answered(HTTP_OK(''))).toMatchObject({ kind: 'succeeded', answer: { data: undefined } })
    expect(await answered('HTTP/1.1 204 No Content\r\n\r\n', { expects: 'json' })).toMatchObject({ kind: 'succeeded' })
    expect(await answered(HTTP_OK('plain', 'content-type: text/plain\r\n'))).toMatchObject({
      answer: { data: 'plain' },
    })
    expect(await answered(HTTP_OK('null'))).toMatchObject({ kind: 'succeeded', answer: { data: null } })
  })

  test('R027: the schema decides, sync or async, and its output is the data', async () => {
    const ids = z.object({ id: z.coerce.number() })
    const responseSchema = ids
    expect(await answered(HTTP_OK('{"id":"7"}'), { expects: 'json', responseSchema })).toMatchObject({
      kind: 'succeeded',
      answer: { data: { id: 7 } },
    })
    const slow = ids.refine(async ({ id }) => id > 10)
    expect(await answered(HTTP_OK('{"id":"7"}'), { expects: 'json', responseSchema: slow })).toMatchObject({
      failure: { class: 'malformed_response', certainty: 'applied' },
    })
    const broken = ids.refine(() => {
      throw new RangeError('oops')
    })
    expect(await answered(HTTP_OK('{"id":"7"}'), { expects: 'json', responseSchema: broken })).toMatchObject({
      failure: { class: 'malformed_response' },
    })
  })

  test('bytes that are no text, and text with a byte-order mark, are read all the same', async () => {
    await using server = await rawServer(({ socket, number }) => {
      const body = number === 1 ? Buffer.from([0xff, 0xfe, 0x00]) : Buffer.from('\ufeff{"a":1}')
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`)
      socket.write(body)
    })
    await using parts = await testParts(systemClock)
    expect(await makeAttempt(callTo(server.url), parts)).toMatchObject({ failure: { class: 'malformed_response' } })
    expect(await makeAttempt(callTo(server.url), parts)).toMatchObject({ answer: { data: { a: 1 } } })
  })

  test('an error answer is classified, with its data', async () => {
    await using server = await jsonServer(() => ({ status: 422, body: { message: 'bad', field: 'email' } }))
    await using parts = await testParts(systemClock)
    expect(await makeAttempt(callTo(server.url), parts)).toMatchObject({
      kind: 'failed',
      failure: { class: 'validation', certainty: 'not_sent', status: 422 },
      answer: { status: 422, data: { field: 'email' } },
    })
  })

  test('R049, R050: an answer that says that nothing is left closes the lane until the window renews', async () => {
    await using server = await jsonServer(() => ({
      headers: { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' },
      body: {},
    }))
    await using parts = await testParts(systemClock)
    expect(await makeAttempt(callTo(server.url), parts)).toMatchObject({ kind: 'succeeded' })
    const held = await makeAttempt(callTo(server.url), parts)
    expect(held).toMatchObject({ kind: 'held', by: 'gate' })
    if (held.kind === 'held') expect(held.untilMs).toBeGreaterThan(systemClock.wallMs() + 25_000)
    expect(server.requests).toHaveLength(1)
  })
})

describe('what is told', () => {
  test('R162: one event per attempt, with the eight fields', async () => {
    await using server = await jsonServer(() => ({ status: 503, body: {} }))
    await using parts = await testParts(systemClock)
    await makeAttempt(callTo(server.url, { attempt: 2, idempotencyKey: 'k', itemId: 'run.step' }), parts)
    expect(parts.seen).toHaveLength(1)
    expect(parts.seen[0]).toMatchObject({
      type: 'call.ended',
      integration: 'crm',
      endpoint: 'POST /people',
      method: 'POST',
      status: 503,
      attempt: 2,
      isRetry: true,
      idempotencyKey: 'k',
      correlationId: 'correlation-1',
      itemId: 'run.step',
      failure: { class: 'transient' },
    })
    expect((parts.seen[0] as { latencyMs: number }).latencyMs).toBeGreaterThan(0)
  })

  test('rule 7: the secret of the integration is in no event and no failure', async () => {
    await using server = await rawServer(({ head, socket, number }) => {
      if (number === 1)
        socket.end(HTTP_OK(`you sent: ${head}`, 'content-type: text/plain\r\n').replace('200 OK', '400 Bad'))
      else if (number === 2) socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`)
      else socket.resetAndDestroy()
    })
    await using parts = await testParts(systemClock)
    const results: unknown[] = []
    for (let round = 0; round < 4; round++) {
      const failed = await makeAttempt(callTo(server.url, { expects: 'json' }), parts)
      if (failed.kind === 'failed') results.push(failed.failure)
    }
    expect(results).toHaveLength(4)
    expect(JSON.stringify([results, parts.seen])).not.toContain('the-secret-token')
  })

  test('D12: validation errors and 429s do not open the breaker, 503s do, and then nothing is sent', async () => {
    let status = 422
    await using server = await jsonServer(() => ({ status, body: {} }))
    await using parts = await testParts(systemClock)
    for (let round = 0; round < 12; round++) await makeAttempt(callTo(server.url), parts)
    status = 503
    for (let round = 0; round < 5; round++) await makeAttempt(callTo(server.url), parts)
    expect(server.requests).toHaveLength(17)
    expect(await makeAttempt(callTo(server.url), parts)).toMatchObject({ kind: 'held', by: 'breaker' })
    expect(server.requests).toHaveLength(17)
    expect(parts.seen.map((event) => event.type)).toContain('breaker.changed')
  })
})
