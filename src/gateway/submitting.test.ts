import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { definePipeline } from '../engine/pipelines/pipeline.ts'
import { type TestAnswer, type TestGateway, testGateway } from './test-kit.ts'

const ONBOARD = definePipeline('onboard', {
  input: z.object({ email: z.string() }),
}).step('create', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
})
const options = { pipelines: [ONBOARD] }
const RUNS = '/v1/pipelines/onboard/runs'
const NDJSON = { 'content-type': 'application/x-ndjson' }

describe('POST /v1/pipelines/{name}/runs', () => {
  it('rule 1: 202 with the id of a run that is on disk', async () => {
    const gateway = await testGateway(options)
    const answer = await gateway.call('POST', `${RUNS}?batch=spring&label=team=emea&label=tier=gold`, {
      body: { email: 'ada@example.com' },
    })
    expect(answer).toMatchObject({ status: 202, json: { duplicate: false } })
    const { runId } = answer.json
    expect(answer.headers.get('location')).toBe(`/v1/runs/${runId}`)
    const run = await gateway.ledger.run(runId)
    expect(run).toMatchObject({
      batch: 'spring',
      labels: { team: 'emea', tier: 'gold' },
      input: { email: 'ada@example.com' },
    })
    await gateway.finish()
  })

  it('Idempotency-Key: the same again is the same run, other content is 422, an unusable key is 400', async () => {
    const gateway = await testGateway(options)
    const send = (email: string, key: string) =>
      gateway.call('POST', RUNS, { body: { email }, headers: { 'idempotency-key': key } })
    const first = await send('a@b.c', '"8e03978e"')
    expect(first).toMatchObject({ status: 202, json: { duplicate: false } })
    expect((await send('a@b.c', '8e03978e')).json).toEqual({ runId: first.json.runId, duplicate: true })
    expect(await send('x@y.z', '"8e03978e"')).toMatchObject({ status: 422, json: { code: 'key_conflict' } })
    for (const bad of ['""', '"a', 'a"b', 'x'.repeat(256), 'a b']) {
      expect(await send('a@b.c', bad), bad).toMatchObject({ status: 400, json: { code: 'invalid_idempotency_key' } })
    }
    // At the same time: one run, whoever comes first.
    const racing = await Promise.all([1, 2, 3].map(() => send('r@b.c', 'race')))
    expect(new Set(racing.map(({ json }) => json.runId)).size).toBe(1)
    expect(racing.filter(({ json }) => !json.duplicate)).toHaveLength(1)
    await gateway.finish()
  })

  it.each([
    ['an unknown pipeline', '/v1/pipelines/onbord/runs', { email: 'a' }, 404, 'unknown_pipeline'],
    ['input that the schema refuses', RUNS, { mail: 'a' }, 422, 'invalid_input'],
    ['an unknown option', `${RUNS}?bach=x`, { email: 'a' }, 422, 'invalid_request'],
  ])('%s is a problem that says what to do', async (_, path, body, status, code) => {
    const gateway = await testGateway(options)
    const answer = await gateway.call('POST', path, { body })
    expect(answer).toMatchObject({ status, json: { code, status, type: `urn:holdfast:problem:${code}` } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.json.hint).not.toBe('')
    await gateway.finish()
  })

  it.each([
    ['no JSON', '{"email":', 400, 'invalid_json'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400, 'invalid_json'],
    ['deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400, 'json_too_deep'],
    ['a prototype key', '{"email":"a","x":[{"__proto__":{"admin":true}}]}', 400, 'dangerous_key'],
    ['large', JSON.stringify({ email: 'x'.repeat(3000) }), 413, 'payload_too_large'],
  ])('refuses a body that is %s, and stores nothing', async (_, body, status, code) => {
    const gateway = await testGateway({ ...options, settings: { maxPayloadBytes: 250_000 } })
    const parts = code === 'payload_too_large' ? { ...gateway.parts, maxPayloadBytes: 2000 } : gateway.parts
    const { createGatewayApp } = await import('./app.ts')
    const request = new Request(`http://127.0.0.1:4180${RUNS}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body as NonNullable<RequestInit['body']>,
    })
    const response = await createGatewayApp(parts).fetch(request, '127.0.0.1')
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([status, code])
    expect(await gateway.hf.operations.balance()).toMatchObject({ accepted: 0 })
    await gateway.finish()
  })

  it('a body that is no JSON by its type is 415: a form of another site is no order', async () => {
    const gateway = await testGateway(options)
    const headers = { 'content-type': 'text/plain' }
    expect(await gateway.call('POST', RUNS, { body: '{"email":"a"}', headers })).toMatchObject({
      status: 415,
      json: { code: 'unsupported_media_type' },
    })
    await gateway.finish()
  })

  it('a body that stands still is 408', async () => {
    const gateway = await testGateway(options)
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"email":'))
      },
    })
    const answer = gateway.call('POST', RUNS, { body, headers: { 'content-type': 'application/json' } })
    expect(await gateway.clock.runUntil(answer)).toMatchObject({ status: 408, json: { code: 'body_too_slow' } })
    await gateway.finish()
  })

  it('R164: the correlation id, or the trace, of the caller goes with the run and comes back', async () => {
    const gateway = await testGateway(options)
    const send = (headers: Record<string, string>) => gateway.call('POST', RUNS, { body: { email: 'a' }, headers })
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    for (const [headers, id] of [
      [{ 'x-correlation-id': 'order-7' }, 'order-7'],
      [{ traceparent: `00-${trace}-00f067aa0ba902b7-01` }, trace],
    ] as const) {
      const answer = await send(headers)
      expect(answer.headers.get('x-correlation-id')).toBe(id)
      expect(await gateway.ledger.run(answer.json.runId)).toMatchObject({ correlationId: id })
    }
    const own = await send({ 'x-correlation-id': 'has blanks', traceparent: `00-${'0'.repeat(32)}-1-01` })
    expect(own.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/)
    gateway.hf.startWorker()
    await gateway.clock.runUntil(gateway.hf.drain())
    expect(gateway.api.requests.map(({ headers }) => headers['traceparent']?.split('-')[1])).toContain(trace)
    await gateway.finish()
  })
})

describe('NDJSON', () => {
  it('R161: refused lines are told by their number, the rest goes on', async () => {
    const gateway = await testGateway(options)
    const body = '{"email":"a"}\r\n\n{"mail":"b"}\nnot json\n{"email":"c"}'
    const answer = await gateway.call('POST', `${RUNS}?batch=f`, { body, headers: NDJSON })
    expect(answer).toMatchObject({
      status: 202,
      json: { records: 4, accepted: 2, duplicates: 0, refused: 2 },
    })
    expect(answer.json.runs.map(({ line }: { line: number }) => line)).toEqual([1, 5])
    expect(answer.json.errors).toMatchObject([
      { line: 3, code: 'invalid_input' },
      { line: 4, code: 'invalid_json' },
    ])
    expect(await gateway.hf.operations.balance({ batch: 'f' })).toMatchObject({ accepted: 2 })
    await gateway.finish()
  })

  it('all refused is 422; nothing at all is 202 with nothing', async () => {
    const gateway = await testGateway(options)
    expect(await gateway.call('POST', RUNS, { body: '[]\n{}\n', headers: NDJSON })).toMatchObject({
      status: 422,
      json: { code: 'all_refused', details: { refused: 2 } },
    })
    expect(await gateway.call('POST', RUNS, { body: '\n', headers: NDJSON })).toMatchObject({ json: { records: 0 } })
    await gateway.finish()
  })

  it('sent again with its Idempotency-Key, or keys from a field, it adds only what is missing', async () => {
    const gateway = await testGateway(options)
    const send = (lines: string[], headers: Record<string, string> = {}, query = '') =>
      gateway.call('POST', RUNS + query, { body: lines.join('\n'), headers: { ...NDJSON, ...headers } })
    const lines = ['{"email":"a"}', '{"email":"b"}']
    const key = { 'idempotency-key': 'file-7' }
    await send(lines.slice(0, 1), key)
    expect((await send(lines, key)).json).toMatchObject({ accepted: 1, duplicates: 1 })
    await send(lines, {}, '?key=email')
    const again = await send([...lines.toReversed(), '{"email":""}'], {}, '?key=email')
    expect(again.json).toMatchObject({ accepted: 0, duplicates: 2, refused: 1 })
    expect(again.json.errors).toMatchObject([{ line: 3, code: 'key_missing' }])
    await gateway.finish()
  })

  it('a receipt per line for those who ask, as each is stored; the last says that it is complete', async () => {
    const gateway = await testGateway(options)
    const body = Array.from({ length: 1200 }, (_, n) => `{"email":"${n}"}`).join('\n')
    const answer = await gateway.call('POST', RUNS, { body, headers: { ...NDJSON, accept: 'application/x-ndjson' } })
    const receipts = answer.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(receipts).toHaveLength(1201)
    expect(receipts[699]).toMatchObject({ line: 700, duplicate: false })
    expect(receipts.at(-1)).toMatchObject({ end: true, accepted: 1200 })
    await gateway.finish()
  })

  it('issue 6: the sender is held back by the store: one group is read while the one before is written', async () => {
    const gateway = await testGateway(options)
    const stored: number[] = []
    let sent = 0
    const holdfast = {
      ...gateway.hf,
      submitMany: async (...request: Parameters<typeof gateway.hf.submitMany>) => {
        stored.push(sent)
        return gateway.hf.submitMany(...request)
      },
    }
    const { createGatewayApp } = await import('./app.ts')
    const app = createGatewayApp({ ...gateway.parts, holdfast: holdfast as typeof gateway.hf })
    const line = new TextEncoder().encode(`{"email":"${'x'.repeat(10_000)}"}\n`)
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 1000) return controller.close()
        sent += 1
        controller.enqueue(line)
      },
    })
    const request = new Request(`http://127.0.0.1:4180${RUNS}`, {
      method: 'POST',
      headers: NDJSON,
      body,
      duplex: 'half',
    } as RequestInit)
    const response = await app.fetch(request, '127.0.0.1')
    expect(await response.json()).toMatchObject({ accepted: 1000 })
    // About 105 lines make a group of 1 MiB: never much more was taken than was about to be written.
    for (const [group, read] of stored.slice(1).entries()) expect(read).toBeLessThan((group + 1) * 120 + 10)
    await gateway.finish()
  })

  it('a line that is too long is refused without being kept', async () => {
    const gateway = await testGateway({ ...options, settings: { maxPayloadBytes: 1000 } })
    const body = `{"email":"a"}\n{"email":"${'x'.repeat(5000)}"}\n{"email":"b"}\n`
    expect((await gateway.call('POST', RUNS, { body, headers: NDJSON })).json).toMatchObject({
      accepted: 2,
      errors: [{ line: 2, code: 'payload_too_large' }],
    })
    await gateway.finish()
  })
})

describe('POST /v1/requests', () => {
  it('makes one call of an integration durably', async () => {
    const gateway = await testGateway()
    const answer = await gateway.call('POST', '/v1/requests?batch=single', {
      body: { integration: 'crm', method: 'PUT', path: '/contacts/7', body: { name: 'Ada' } },
    })
    expect(answer.status).toBe(202)
    gateway.hf.startWorker()
    await gateway.clock.runUntil(gateway.hf.drain())
    expect(gateway.api.requests).toMatchObject([{ method: 'PUT', path: '/contacts/7', body: { name: 'Ada' } }])
    const item = await gateway.call('GET', `/v1/items/${answer.json.runId}.send`)
    expect(item.json.item).toMatchObject({ state: 'succeeded', pipeline: 'request:crm' })
    await gateway.finish()
  })

  it.each([
    [{ integration: 'crn', method: 'GET', path: '/x' }, 404, 'unknown_integration'],
    [{ integration: 'crm', method: 'GET', path: '/../x' }, 422, 'invalid_path'],
    [{ integration: 'crm', method: 'GET', path: '/x', headers: { cookie: 'a' } }, 422, 'invalid_input'],
    [{ integration: 'crm', method: 'FETCH', path: '/x' }, 422, 'invalid_request'],
    [{ integration: 'crm', method: 'GET', path: '/x', baseUrl: 'https://evil.test' }, 422, 'invalid_request'],
  ])('refuses %j', async (body, status, code) => {
    const gateway = await testGateway()
    expect(await gateway.call('POST', '/v1/requests', { body })).toMatchObject({ status, json: { code } })
    await gateway.finish()
  })
})

describe('callbacks', () => {
  const secret = `whsec_${Buffer.from('the secret of the configuration!').toString('base64')}`
  const callbacks = { hosts: ['hooks.test'], secret }
  const url = 'https://hooks.test/done'

  async function toldOf(submit: (gateway: TestGateway) => Promise<TestAnswer>): Promise<unknown[]> {
    const gateway = await testGateway({ callbacks, pipelines: [ONBOARD] })
    const answer = await submit(gateway)
    expect(answer.status).toBe(202)
    gateway.hf.startWorker()
    await gateway.clock.runUntil(gateway.hf.drain())
    await gateway.finish()
    return gateway.api.requests.filter(({ origin }) => origin === 'https://hooks.test').map(({ body }) => body)
  }

  it('a record names in the query whom to tell, each line of many too', async () => {
    const path = `${RUNS}?callback=${encodeURIComponent(url)}`
    expect(await toldOf((gateway) => gateway.call('POST', path, { body: { email: 'a' } }))).toMatchObject([
      { type: 'run.succeeded', data: { pipeline: 'onboard' } },
    ])
    const headers = { 'content-type': 'application/x-ndjson' }
    expect(
      await toldOf((gateway) => gateway.call('POST', path, { body: '{"email":"a"}\n{"email":"b"}\n', headers })),
    ).toHaveLength(2)
  })

  it('a single call says it in its body', async () => {
    const body = { integration: 'crm', method: 'PUT', path: '/contacts/1', callback: { url } }
    expect(await toldOf((gateway) => gateway.call('POST', '/v1/requests', { body }))).toMatchObject([
      { type: 'run.succeeded', data: { pipeline: 'request:crm' } },
    ])
  })

  it('an address that is not allowed is refused before anything is stored', async () => {
    const gateway = await testGateway({ callbacks, pipelines: [ONBOARD] })
    const path = `${RUNS}?callback=${encodeURIComponent('http://169.254.169.254/')}`
    expect(await gateway.call('POST', path, { body: { email: 'a' } })).toMatchObject({
      status: 422,
      json: { code: 'callback_refused' },
    })
    expect((await gateway.hf.operations.balance()).accepted).toBe(0)
    await gateway.finish()
  })
})
