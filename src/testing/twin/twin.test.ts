import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import type { TwinOptions } from './options.ts'
import { resource } from './resource.ts'
import { route } from './route.ts'
import { startTwin, type Twin } from './twin.ts'

interface Called {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

async function call(
  twin: Twin,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Called> {
  const response = await fetch(twin.url + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

async function start(options: Partial<TwinOptions> = {}): Promise<{ twin: Twin; clock: VirtualClock }> {
  const clock = createVirtualClock()
  const twin = await startTwin({ clock, random: seededRandom(1), ...options })
  onTestFinished(() => twin.close())
  return { twin, clock }
}

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'twin-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'journal.jsonl')
}

const contacts = resource('/contacts', {
  uniqueBy: 'email',
  required: ['email', 'name'],
  ids: { prefix: 'con_' },
})
const ada = { email: 'ada@example.com', name: 'Ada' }

describe('the twin is a believable API', () => {
  test('creates, reads, lists in pages, replaces, patches and deletes', async () => {
    const { twin, clock } = await start({ routes: contacts, name: 'crm' })
    const created = await call(twin, 'POST', '/contacts', ada)
    const { id } = created.body as { id: string }
    expect(created.status).toBe(201)
    expect(id).toMatch(/^con_[0-9A-Za-z]{14}$/)
    expect(created.headers.get('location')).toBe(`/contacts/${id}`)
    expect(created.headers.get('server')).toBe('crm')
    expect(created.headers.get('x-request-id')).toMatch(/^req_/)
    expect(created.body).toMatchObject({ ...ada, createdAt: '2026-01-01T00:00:00.000Z' })

    await clock.advance(1000)
    expect((await call(twin, 'PATCH', `/contacts/${id}`, { name: null, city: 'London' })).status).toBe(422)
    const patched = await call(twin, 'PATCH', `/contacts/${id}`, { city: 'London' })
    expect(patched.body).toMatchObject({ ...ada, city: 'London', updatedAt: '2026-01-01T00:00:01.000Z' })
    expect((await call(twin, 'PUT', `/contacts/${id}`, ada)).body).not.toHaveProperty('city')
    expect((await call(twin, 'PUT', '/contacts/mine', { email: 'b@example.com', name: 'B' })).status).toBe(201)

    const page = (await call(twin, 'GET', '/contacts?limit=1')).body as { results: unknown[]; paging: unknown }
    expect(page).toMatchObject({ results: [{ id }], paging: { next: { after: id } } })
    expect((await call(twin, 'GET', `/contacts?limit=1&after=${id}`)).body).toMatchObject({ results: [{ id: 'mine' }] })
    expect((await call(twin, 'GET', '/contacts?email=b@example.com')).body).toMatchObject({ results: [{ id: 'mine' }] })

    expect((await call(twin, 'DELETE', `/contacts/${id}`)).status).toBe(204)
    expect((await call(twin, 'GET', `/contacts/${id}`)).status).toBe(404)
    expect((await call(twin, 'DELETE', `/contacts/${id}`)).status).toBe(404)
  })

  test('refuses what an API refuses: fields, JSON, duplicates, paths and methods', async () => {
    const { twin } = await start({ routes: contacts })
    const invalid = await call(twin, 'POST', '/contacts', { email: '' })
    expect(invalid.status).toBe(422)
    expect(invalid.body).toMatchObject({
      code: 'validation_failed',
      fields: [
        { field: 'email', code: 'required' },
        { field: 'name', code: 'required' },
      ],
    })
    expect((await call(twin, 'POST', '/contacts', '{"email":')).status).toBe(400)
    const { id } = (await call(twin, 'POST', '/contacts', ada)).body as { id: string }
    const conflict = await call(twin, 'POST', '/contacts', ada)
    expect(conflict.status).toBe(409)
    expect(conflict.body).toMatchObject({ code: 'already_exists', existingId: id })
    expect((await call(twin, 'POST', '/contacts/1', ada)).status).toBe(405)
    expect((await call(twin, 'GET', '/people')).status).toBe(404)
    expect(twin.effects.map(({ key }) => key)).toEqual([ada.email])
    expect(twin.duplicates()).toEqual([])
  })

  test('a route of one’s own: effect keys by function, several at once; a vendor’s shape of errors', async () => {
    const batch = route('POST', '/contacts/batch', {
      effectKey: (request) => (request.body as { email: string }[]).map(({ email }) => email),
      validate: (request) =>
        Array.isArray(request.body) ? [] : [{ field: '', code: 'invalid', message: 'Send a list' }],
      apply: () => ({ status: 207, body: { done: true } }),
    })
    const broken = route('POST', '/broken', {
      apply: () => {
        throw new Error('the route is wrong')
      },
    })
    const errorBody = ({ status, code }: { status: number; code: string }) => [{ errorCode: code, status }]
    const { twin } = await start({ routes: [batch, broken], errorBody })
    await call(twin, 'POST', '/contacts/batch', [{ email: 'a' }, { email: 'b' }, { email: 'a' }])
    expect(twin.effects.map(({ key }) => key)).toEqual(['a', 'b', 'a'])
    expect([twin.has('b'), twin.has('c')]).toEqual([true, false])
    expect((await call(twin, 'POST', '/contacts/batch', {})).body).toEqual([
      { errorCode: 'validation_failed', status: 422 },
    ])
    expect((await call(twin, 'POST', '/broken', {})).body).toEqual([{ errorCode: 'twin_route_failed', status: 500 }])
  })

  test('knows every effect and every request: exact counts under concurrent calls', async () => {
    const { twin, clock } = await start({ routes: [route('POST', '/charge', { effectKey: 'id' })] })
    const calls = Array.from({ length: 200 }, (_, index) =>
      call(twin, 'POST', '/charge', { id: index % 150 }, { 'x-correlation-id': `c${index}` }),
    )
    await Promise.all(calls)
    expect(twin.effects).toHaveLength(200)
    expect(twin.duplicates()).toHaveLength(50)
    expect(twin.duplicates().every(({ effects }) => effects.length === 2)).toBe(true)
    expect(new Set(twin.effects.map(({ correlationId }) => correlationId)).size).toBe(200)
    expect(twin.requests.total).toBe(200)
    expect([...twin.requests.byRoute]).toEqual([['POST /charge', 200]])
    await twin.until(() => twin.requests.byOutcome.get('http_200') === 200)
    expect([...twin.requests.bySecond]).toEqual([[clock.wallMs() / 1000, 200]])
  })
})

describe('idempotency keys', () => {
  const charge = route('POST', '/charges', {
    effectKey: 'order',
    idempotency: { required: true },
    work: '1s',
    apply: (request, store) => ({
      status: 201,
      body: store.collection('charges').create({ order: request.field('order') }),
    }),
  })

  test('R080: a repeated key gets the same answer and no second effect; another body 422; in flight 409', async () => {
    const { twin, clock } = await start({ routes: [charge] })
    const key = { 'idempotency-key': 'k1' }
    expect((await call(twin, 'POST', '/charges', { order: 'o1' })).status).toBe(400)
    const running = call(twin, 'POST', '/charges', { order: 'o1' }, key)
    await clock.whenPending()
    const early = await call(twin, 'POST', '/charges', { order: 'o1' }, key)
    expect([early.status, early.body]).toMatchObject([409, { code: 'idempotency_key_in_use' }])
    await clock.advance(1000)
    const first = await running
    const again = await call(twin, 'POST', '/charges', { order: 'o1' }, key)
    expect([again.status, again.body]).toEqual([201, first.body])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect((await call(twin, 'POST', '/charges', { order: 'o2' }, key)).status).toBe(422)
    expect(twin.effects).toMatchObject([{ key: 'o1', idempotencyKey: 'k1' }])

    await clock.advance(24 * 3_600_000)
    const late = call(twin, 'POST', '/charges', { order: 'o1' }, key)
    await clock.whenPending()
    await clock.advance(1000)
    expect((await late).headers.get('idempotent-replayed')).toBeNull()
    expect(twin.duplicates()).toMatchObject([{ key: 'o1' }])
  })

  test('a key whose request was refused for its fields is free again', async () => {
    const { twin } = await start({ routes: resource('/contacts', { required: ['email'], idempotency: true }) })
    const key = { 'idempotency-key': 'k1' }
    expect((await call(twin, 'POST', '/contacts', {}, key)).status).toBe(422)
    expect((await call(twin, 'POST', '/contacts', ada, key)).status).toBe(201)
  })
})

describe('the journal', () => {
  const routes = resource('/contacts', { uniqueBy: 'email', ids: 'number', idempotency: true })

  test('lets another process go on: effects, records, keys and duplicates over the whole story', async () => {
    const journal = temporaryFile()
    const before = await start({ routes, journal })
    const created = await call(before.twin, 'POST', '/contacts', ada, { 'idempotency-key': 'k1' })
    const { id } = created.body as { id: string }
    const other = (await call(before.twin, 'POST', '/contacts', { email: 'x' })).body as { id: string }
    await call(before.twin, 'DELETE', `/contacts/${other.id}`)
    await before.twin.close()
    await before.twin.close()

    const after = await start({ routes, journal })
    expect(after.twin.effects).toEqual(before.twin.effects)
    expect(after.twin.has(ada.email)).toBe(true)
    expect((await call(after.twin, 'POST', '/contacts', ada, { 'idempotency-key': 'k1' })).body).toEqual(created.body)
    expect((await call(after.twin, 'POST', '/contacts', ada)).body).toMatchObject({ existingId: id })
    expect((await call(after.twin, 'GET', '/contacts')).body).toMatchObject({ results: [{ id }] })
    const next = (await call(after.twin, 'POST', '/contacts', { email: 'x' })).body as { id: string }
    expect(Number(next.id)).toBeGreaterThan(Number(id))
    expect(after.twin.duplicates().map(({ key }) => key)).toEqual(['x'])
  })

  test('an effect is in the file before its answer arrives; a torn last line is dropped, a wrong one refused', async () => {
    const journal = temporaryFile()
    const { twin } = await start({ routes, journal })
    await call(twin, 'POST', '/contacts', ada)
    const content = readFileSync(journal, 'utf8')
    expect(content).toContain('"type":"effect"')
    await twin.close()

    writeFileSync(journal, `${content}{"type":"effect","key":"torn`)
    const again = await start({ routes, journal })
    expect(again.twin.effects).toHaveLength(1)
    await call(again.twin, 'POST', '/contacts', { email: 'b' })
    await again.twin.close()
    const third = await start({ routes, journal })
    expect(third.twin.effects.map(({ key }) => key)).toEqual([ada.email, 'b'])

    writeFileSync(journal, `${content}not a line\n`)
    const clock = createVirtualClock()
    await expect(startTwin({ clock, random: seededRandom(1), journal })).rejects.toMatchObject({
      code: 'invalid_journal',
      details: { line: content.split('\n').length },
    })
  })
})

describe('faults by script, rule and chance', () => {
  const charge = route('POST', '/charge', { effectKey: 'id' })
  const outcome = (twin: Twin, id: unknown) =>
    call(twin, 'POST', '/charge', { id }).then(
      ({ status }) => status,
      () => 'failed',
    )

  test('a script is followed in order, by route or by key, and then the rules hold', async () => {
    const { twin } = await start({ routes: [charge], faults: [{ fault: { kind: 'status', status: 500 } }] })
    twin.script('POST /charge', [{ kind: 'status', status: 429 }, 'executed_then_reset', 'ok'])
    twin.script({ key: 'special' }, ['ok', { kind: 'status', status: 404 }])
    expect(await outcome(twin, 1)).toBe(429)
    expect(await outcome(twin, 2)).toBe('failed')
    expect(await outcome(twin, 3)).toBe(200)
    expect(await outcome(twin, 4)).toBe(500)
    expect(await outcome(twin, 'special')).toBe(200)
    expect(await outcome(twin, 'special')).toBe(404)
    expect(await outcome(twin, 'special')).toBe(500)
    expect(twin.effects.map(({ key }) => key)).toEqual(['2', '3', 'special'])
    expect(Object.fromEntries(twin.faults)).toEqual({ status: 4, executed_then_reset: 1 })
  })

  test('faults of a route that does not exist are refused', async () => {
    const { twin } = await start({ routes: [charge] })
    expect(() => twin.script('POST /charges', ['hang'])).toThrow('did you mean "POST /charge"?')
    const faults = [{ fault: 'hang', route: 'GET /charge' } as const]
    await expect(start({ routes: [charge], faults })).rejects.toMatchObject({ code: 'unknown_route' })
  })

  test('rules hold for the n-th request, for a key, and so many times', async () => {
    const at = (status: number) => ({ kind: 'status', status }) as const
    const { twin } = await start({
      routes: [
        route('POST', '/charge', {
          effectKey: 'id',
          faults: [
            { fault: at(501), nth: [2, 3] },
            { fault: at(502), key: 'bad' },
            { fault: at(503), times: 1 },
          ],
        }),
      ],
    })
    const seen = []
    for (const id of [1, 2, 'bad', 'bad', 5]) seen.push(await outcome(twin, id))
    expect(seen).toEqual([503, 501, 501, 502, 200])
  })

  test('chance depends on seed and key, not on the order of arrival, and keeps its share', async () => {
    const faults = [{ fault: 'reset_before_executing', probability: 0.3 } as const]
    const ids = Array.from({ length: 300 }, (_, index) => `id${index}`)
    const run = async (seed: number, order: string[]) => {
      const { twin } = await start({ routes: [charge], faults, random: seededRandom(seed) })
      const results = await Promise.all(order.map(async (id) => [id, await outcome(twin, id)] as const))
      return Object.fromEntries([...results].sort(([left], [right]) => left.localeCompare(right)))
    }
    const forward = await run(7, ids)
    expect(await run(7, [...ids].reverse())).toEqual(forward)
    expect(await run(8, ids)).not.toEqual(forward)
    const failed = Object.values(forward).filter((result) => result === 'failed').length
    expect(failed).toBeGreaterThan(60)
    expect(failed).toBeLessThan(120)
  })
})

describe('outages and brown-outs', () => {
  const routes = [route('POST', '/charge', { effectKey: 'id' })]
  const outcome = (twin: Twin) =>
    call(twin, 'POST', '/charge', { id: 1 }).then(
      ({ status }) => status,
      (error) => error.cause?.code ?? error.cause?.errors?.[0]?.code,
    )

  test('refused: nobody listens, and then somebody does again, on the same port', async () => {
    const { twin } = await start({ routes })
    expect(await outcome(twin)).toBe(200)
    const outage = await twin.outage()
    expect(await outcome(twin)).toBe('ECONNREFUSED')
    expect(outage.active).toBe(true)
    await outage.end()
    await outage.end()
    expect(await outcome(twin)).toBe(200)
    expect(twin.effects).toHaveLength(2)
  })

  test('planned ones begin and end by the clock', async () => {
    const { twin, clock } = await start({ routes })
    const outage = await twin.outage({ mode: 'unavailable', startsIn: '10s', lasts: '20s' })
    const seen: unknown[] = []
    for (const stepMs of [0, 9999, 1, 19_999, 1]) {
      await clock.advance(stepMs)
      seen.push([outage.active, await outcome(twin)])
    }
    expect(seen).toEqual([
      [false, 200],
      [false, 200],
      [true, 503],
      [true, 503],
      [false, 200],
    ])
    const cancelled = await twin.outage({ mode: 'unavailable', startsIn: '10s' })
    await cancelled.end()
    await clock.advance(10_000)
    expect(await outcome(twin)).toBe(200)
    expect(Object.fromEntries(twin.requests.byOutcome)).toMatchObject({ outage_unavailable: 2 })
  })

  test('reset and hang; two at a time end one by one', async () => {
    const { twin } = await start({ routes })
    const reset = await twin.outage({ mode: 'reset' })
    expect(await outcome(twin)).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    const away = await twin.outage()
    await reset.end()
    expect(await outcome(twin)).toBe('ECONNREFUSED')
    await away.end()
    const hang = await twin.outage({ mode: 'hang' })
    const hanging = outcome(twin)
    await twin.until(() => twin.requests.byOutcome.get('outage_hang') === 1)
    await hang.end()
    expect(await outcome(twin)).toBe(200)
    expect(twin.effects).toHaveLength(1)
    await twin.close()
    expect(await hanging).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
  })

  test('brown-out: a share of refusals, and everything late', async () => {
    const { twin, clock } = await start({ routes: [route('GET', '/x/{id}')] })
    await twin.brownOut({ share: 0.5, latency: '2s', lasts: '1m' })
    const calls = Array.from({ length: 100 }, (_, index) => call(twin, 'GET', `/x/${index}`))
    await clock.whenPending(101)
    await clock.advance(1999)
    expect(twin.requests.byOutcome.size).toBe(0)
    await clock.advance(1)
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    const refused = statuses.filter((status) => status === 503).length
    expect(refused + statuses.filter((status) => status === 200).length).toBe(100)
    expect(refused).toBeGreaterThan(25)
    expect(refused).toBeLessThan(75)
    await clock.advance(60_000)
    expect((await call(twin, 'GET', '/x/1')).status).toBe(200)
  })
})

test('closing ends waiting work without an effect, and a port in use is named', async () => {
  const { twin, clock } = await start({ routes: [route('POST', '/slow', { work: '1h' })] })
  const calling = call(twin, 'POST', '/slow', {}).catch(() => 'ended')
  await clock.whenPending()
  await expect(startTwin({ clock, random: seededRandom(1), port: twin.port })).rejects.toMatchObject({
    code: 'cannot_listen',
    details: { port: twin.port },
  })
  await twin.close()
  expect(await calling).toBe('ended')
  await clock.runUntilIdle()
  expect([twin.effects.length, clock.pending()]).toEqual([0, 0])
})
