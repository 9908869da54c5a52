import { describe, expect, test } from 'vitest'
import { isHoldfastError } from '../../core/errors.ts'
import { systemClock } from '../../system/system-clock.ts'
import { HTTP_OK, jsonServer, rawServer, TEST_DEFAULTS, testEndpoint, testIntegration, testParts } from '../test-kit.ts'
import { createInlineCaller } from './inline.ts'

const thrownBy = (promise: Promise<unknown>): Promise<Record<string, unknown>> =>
  promise.then(
    () => {
      throw new Error('expected it to fail')
    },
    (error: unknown) => error as Record<string, unknown>,
  )

describe('retries while the caller waits', () => {
  test('a read is retried until it succeeds, with one correlation id and one key', async () => {
    const seen: unknown[] = []
    await using server = await jsonServer(({ number, headers }) => {
      seen.push(headers['x-correlation-id'])
      return number < 3 ? { status: 503, body: {} } : { body: { id: 7 } }
    })
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const answer = await client.get<{ id: number }>('/people/{id}', { params: { id: 7 }, query: { full: true } })
    expect(answer).toMatchObject({ status: 200, data: { id: 7 }, attempts: 3, replayed: false })
    expect(new Set(seen).size).toBe(1)
  })

  test('rule 3: a POST whose answer was lost is never sent again', async () => {
    await using server = await rawServer(({ socket }) => socket.resetAndDestroy())
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const error = await thrownBy(client.post('/people', { body: { name: 'Ada' } }))
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({ code: 'ECONNRESET', class: 'transient', certainty: 'maybe_applied' })
    expect(server.requests).toHaveLength(1)
  })

  test('rule 3: a POST that surely was not sent is tried again; so is one with a key, with the same key', async () => {
    const keys: unknown[] = []
    await using server = await jsonServer(({ number, headers }) => {
      keys.push(headers['idempotency-key'])
      return number === 1 ? { status: 500, body: {} } : { status: 201, body: {} }
    })
    await using parts = await testParts(systemClock)
    const idempotency = { kind: 'key' as const, header: 'Idempotency-Key', lifetimeMs: 86_400_000 }
    const endpoints = { 'POST /charges': testEndpoint('POST /charges', { idempotency }) }
    const client = createInlineCaller(parts, testIntegration(server.url, { endpoints }))
    expect(await client.post('/charges', { body: {} })).toMatchObject({ status: 201, attempts: 2 })
    expect(keys[0]).toBe(keys[1])
    expect(String(keys[0]).length).toBeGreaterThan(10)

    await using busy = await jsonServer(({ number }) => (number === 1 ? { status: 503, body: {} } : { body: {} }))
    const other = createInlineCaller(parts, testIntegration(busy.url, { name: 'other' }))
    expect(await other.post('/people', { body: {} })).toMatchObject({ attempts: 2 })
  })

  test('C19: "already exists" after a lost answer is our own success, where the API keeps one record per key', async () => {
    await using server = await rawServer(({ socket, number }) =>
      number === 1
        ? socket.resetAndDestroy()
        : socket.end(HTTP_OK('{"message":"Contact already exists"}').replace('200 OK', '409 Conflict')),
    )
    await using parts = await testParts(systemClock)
    const idempotency = { kind: 'natural' as const, field: 'email' }
    const endpoints = { 'POST /people': testEndpoint('POST /people', { idempotency }) }
    const client = createInlineCaller(parts, testIntegration(server.url, { endpoints }))
    expect(await client.post('/people', { body: { email: 'a@x.org' } })).toMatchObject({ status: 409, attempts: 2 })
    // Without a lost answer before it, somebody else made it: the caller must know.
    expect(await thrownBy(client.post('/people', { body: { email: 'a@x.org' } }))).toMatchObject({
      code: 'already_exists',
    })
  })

  test('R059: validation errors are not retried; the error says what, where and what to do', async () => {
    await using server = await jsonServer(() => ({
      status: 422,
      body: { message: 'email is invalid', field: 'email' },
    }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const error = await thrownBy(client.put('/people/1', { body: {} }))
    expect(error).toMatchObject({ class: 'validation', failure: { status: 422, subject: 'email' } })
    expect(error).toMatchObject({ details: { lane: 'crm/default', endpoint: 'PUT /people/{id}', tries: 1 } })
    expect(error['hint']).not.toBe('')
    expect(server.requests).toHaveLength(1)
  })

  test('D08: no more than maxAttempts; the last failure is the error', async () => {
    await using server = await jsonServer(() => ({ status: 502, body: {} }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    expect(await thrownBy(client.get('/people'))).toMatchObject({ code: 'http_502', details: { tries: 4 } })
    expect(server.requests).toHaveLength(4)
  })

  test('D04: a record that shows up late is asked for again, where the endpoint is known for it', async () => {
    await using server = await jsonServer(({ number }) =>
      number < 3 ? { status: 404, body: {} } : { body: { id: 1 } },
    )
    await using parts = await testParts(systemClock)
    const eventuallyConsistent = { retries: 3, delayMs: 10 }
    const endpoints = { 'GET /late/{id}': testEndpoint('GET /late/{id}', { eventuallyConsistent }) }
    const client = createInlineCaller(parts, testIntegration(server.url, { endpoints }))
    expect(await client.get('/late/1')).toMatchObject({ attempts: 3 })
    expect(await thrownBy(createInlineCaller(parts, testIntegration((await notFound()).url)).get('/x'))).toMatchObject({
      class: 'not_found',
      details: { tries: 1 },
    })
  })

  test('R015: deleting what is gone is success', async () => {
    await using server = await notFound()
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    expect(await client.delete('/people/1')).toMatchObject({ status: 404, attempts: 1 })
  })

  test('R046, rule 4: a 429 closes the gate of the lane, here and in the ledger, and the call goes on after it', async () => {
    const atMs: number[] = []
    await using server = await jsonServer(({ number }) => {
      atMs.push(systemClock.monotonicMs())
      return number === 1 ? { status: 429, headers: { 'retry-after': '0.3' }, body: {} } : { body: {} }
    })
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const first = client.get('/a')
    while (!parts.seen.some((event) => event.type === 'gate.closed'))
      await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    const second = client.get('/b')
    await Promise.all([first, second])
    expect(atMs).toHaveLength(3)
    for (const sentMs of atMs.slice(1)) expect(sentMs - (atMs[0] as number)).toBeGreaterThanOrEqual(295)
    const [lane] = await parts.ledger.lanes()
    expect(lane).toMatchObject({ lane: 'crm/default' })
    expect(lane?.gateUntilMs).toBeGreaterThan(0)
  })

  test('D09: a wait that does not end within the deadline is not begun', async () => {
    await using server = await jsonServer(() => ({ status: 429, headers: { 'retry-after': '60' }, body: {} }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const startedMs = systemClock.monotonicMs()
    expect(await thrownBy(client.get('/a', { deadlineMs: 500 }))).toMatchObject({ class: 'rate_limited' })
    expect(await thrownBy(client.get('/b', { deadlineMs: 500 }))).toMatchObject({
      code: 'gate_closed',
      class: 'held',
      certainty: 'not_sent',
    })
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(400)
    expect(server.requests).toHaveLength(1)
  })

  test('no try outlives the deadline', async () => {
    await using server = await rawServer(() => {})
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const startedMs = systemClock.monotonicMs()
    expect(await thrownBy(client.get('/a', { deadlineMs: 150 }))).toMatchObject({ code: 'timeout_total' })
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(600)
    await server.allClosed()
  })

  test('R069, R075: an open breaker answers at once, without touching the network', async () => {
    await using server = await jsonServer(() => ({ status: 503, body: {} }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    for (let round = 0; round < 3; round++) await thrownBy(client.get('/a'))
    const sent = server.requests.length
    const startedMs = systemClock.monotonicMs()
    expect(await thrownBy(client.get('/a'))).toMatchObject({ code: 'breaker_open', class: 'held' })
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(100)
    expect(server.requests).toHaveLength(sent)
  })

  test('trap 2: without budget left, failures are not retried', async () => {
    await using server = await jsonServer(() => ({ status: 503, body: {} }))
    await using parts = await testParts(systemClock)
    const retryBudget = { ratio: 0, minimumPerSecond: 0, burst: 2 }
    const breaker = { ...TEST_DEFAULTS.breaker, consecutiveFailures: 1000, minimumCalls: 1000 }
    const client = createInlineCaller(
      parts,
      testIntegration(server.url, { retryBudget, defaults: { ...TEST_DEFAULTS, breaker } }),
    )
    for (let round = 0; round < 6; round++) await thrownBy(client.get('/a', { deadlineMs: 300 }))
    expect(server.requests).toHaveLength(8)
  })

  test('trap 1: no more calls at once than the lane allows; the others wait their turn', async () => {
    let running = 0
    let most = 0
    await using server = await rawServer(({ socket }) => {
      running += 1
      most = Math.max(most, running)
      afterTurns(50, () => {
        running -= 1
        socket.write(HTTP_OK('{}'))
      })
    })
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url, { limits: { concurrency: 3 } }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.get('/a')))
    expect(answers).toHaveLength(20)
    expect(most).toBe(3)
  })

  test('the rate is kept while callers wait', async () => {
    const atMs: number[] = []
    await using server = await jsonServer(() => {
      atMs.push(systemClock.monotonicMs())
      return { body: {} }
    })
    await using parts = await testParts(systemClock)
    const limits = { concurrency: 50, rate: { limit: 4, perMs: 200 } }
    const client = createInlineCaller(parts, testIntegration(server.url, { limits }))
    await Promise.all(Array.from({ length: 10 }, () => client.get('/a')))
    for (let index = 4; index < atMs.length; index++) {
      // Arrival, not start: a few milliseconds on the way are no breach.
      expect((atMs[index] as number) - (atMs[index - 4] as number)).toBeGreaterThan(180)
    }
  })

  test('the signal ends a call under way, a backoff and a wait for a place', async () => {
    await using server = await rawServer(({ socket, number }) => {
      if (number === 1) socket.end(HTTP_OK('{}').replace('200 OK', '503 Down'))
    })
    await using parts = await testParts(systemClock)
    const retry = { ...TEST_DEFAULTS.retry, baseMs: 60_000, capMs: 60_000, inlineMs: 600_000 }
    const client = createInlineCaller(
      parts,
      testIntegration(server.url, { limits: { concurrency: 1 }, defaults: { ...TEST_DEFAULTS, retry } }),
    )
    const abortWhen = async (ready: () => boolean) => {
      const controller = new AbortController()
      const call = thrownBy(client.get('/a', { signal: controller.signal }))
      while (!ready()) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
      controller.abort(new Error('enough'))
      return call
    }
    const cancelled = { code: 'cancelled', class: 'cancelled', cause: { message: 'enough' } }
    expect(await abortWhen(() => parts.seen.length === 1)).toMatchObject(cancelled)
    expect(await abortWhen(() => server.requests.length === 2)).toMatchObject(cancelled)
    const holder = thrownBy(client.get('/a', { deadlineMs: 400 }))
    expect(await abortWhen(() => parts.seen.some((event) => event.type === 'call.held'))).toMatchObject(cancelled)
    await holder
    await server.allClosed()
    const already = AbortSignal.abort(new Error('enough'))
    expect(await thrownBy(client.get('/a', { signal: already }))).toMatchObject(cancelled)
  })
})

/** Lets the event loop go round, instead of waiting a time that may be too short. */
function afterTurns(turns: number, act: () => void): void {
  if (turns === 0) act()
  else systemClock.nextTurn(() => afterTurns(turns - 1, act))
}

function notFound() {
  return jsonServer(() => ({ status: 404, body: {} }))
}

describe('R089-R092: operations with a key', () => {
  test('are done once: a repeat gets the stored answer, even while the API is down', async () => {
    await using server = await jsonServer(({ number }) => ({
      status: 201,
      headers: { 'set-cookie': 's=1' },
      body: { number },
    }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const options = { body: { amount: 5, currency: 'EUR' }, idempotencyKey: 'order-1' }
    expect(await client.post('/charges', options)).toMatchObject({ data: { number: 1 }, replayed: false, attempts: 1 })
    await server[Symbol.asyncDispose]()
    const again = await client.post('/charges', { ...options, body: { currency: 'EUR', amount: 5 } })
    expect(again).toMatchObject({ status: 201, data: { number: 1 }, replayed: true, attempts: 0 })
    expect(again.headers).not.toHaveProperty('set-cookie')
    expect(server.requests).toHaveLength(1)
  })

  test('D17: the same key with other content is refused', async () => {
    await using server = await jsonServer(() => ({ body: {} }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    await client.post('/charges', { body: { amount: 5 }, idempotencyKey: 'order-1' })
    const error = await thrownBy(client.post('/charges', { body: { amount: 6 }, idempotencyKey: 'order-1' }))
    expect(error).toMatchObject({ code: 'idempotency_key_reused', certainty: 'not_sent' })
    expect(server.requests).toHaveLength(1)
  })

  test('at the same time: one is sent, the other waits for its answer', async () => {
    const answer: (() => void)[] = []
    await using server = await rawServer(({ socket }) => answer.push(() => socket.write(HTTP_OK('{"id":1}'))))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const options = { body: { amount: 5 }, idempotencyKey: 'order-1' }
    const both = [client.post('/charges', options), client.post('/charges', options)]
    const impatient = thrownBy(client.post('/charges', { ...options, deadlineMs: 40 }))
    expect(await impatient).toMatchObject({ code: 'idempotency_in_progress', class: 'conflict' })
    while (answer.length === 0) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
    answer[0]?.()
    expect((await Promise.all(both)).map(({ replayed }) => replayed).sort()).toEqual([false, true])
    expect(server.requests).toHaveLength(1)
  })

  test('a failure without effect frees the key; one that may have happened does not', async () => {
    await using server = await rawServer(({ socket, number }) => {
      if (number === 1) socket.write(HTTP_OK('{}').replace('200 OK', '400 Bad Request'))
      else if (number === 2) socket.resetAndDestroy()
      else socket.write(HTTP_OK('{}'))
    })
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const options = { body: { amount: 5 }, idempotencyKey: 'order-1', deadlineMs: 200 }
    expect(await thrownBy(client.post('/charges', options))).toMatchObject({ class: 'validation' })
    expect(await thrownBy(client.post('/charges', options))).toMatchObject({ certainty: 'maybe_applied' })
    // Still reserved: nobody may send it until its owner, or a person, has said what happened.
    expect(await thrownBy(client.post('/charges', options))).toMatchObject({ code: 'idempotency_in_progress' })
    expect(server.requests).toHaveLength(2)
  })

  test('D18: one that was begun and never reported back is an unknown outcome', async () => {
    await using server = await jsonServer(() => ({ body: {} }))
    await using parts = await testParts(systemClock)
    const client = createInlineCaller(parts, testIntegration(server.url))
    const lost = { ...parts, ledger: { ...parts.ledger, endEffects: () => Promise.reject(new Error('gone')) } }
    const options = { body: {}, idempotencyKey: 'order-1' }
    const answered = await createInlineCaller(lost, testIntegration(server.url)).post('/charges', options)
    expect(answered.status).toBe(200)
    expect(parts.seen.some((event) => event.type === 'engine.trouble')).toBe(true)
    let skewMs = 0
    const later = { ...parts, clock: { ...systemClock, wallMs: () => systemClock.wallMs() + skewMs } }
    skewMs = 3_600_000
    const error = await thrownBy(createInlineCaller(later, testIntegration(server.url)).post('/charges', options))
    expect(error).toMatchObject({ code: 'unknown_outcome', certainty: 'maybe_applied' })
    expect(server.requests).toHaveLength(1)
    await client.put('/charges/1', options)
  })
})

test('a wrong method is refused', async () => {
  await using parts = await testParts(systemClock)
  const client = createInlineCaller(parts, testIntegration('http://127.0.0.1:1'))
  expect(await thrownBy(client.request('get it', '/a'))).toMatchObject({ code: 'invalid_method' })
})
