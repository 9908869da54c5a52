/** What SDKs send: keys, uploads, and answers that hide an error. */
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogLevel } from '@slack/web-api'
import { describe, expect, test } from 'vitest'
import { github, openai, slack, stripe } from '../../examples/sdks/clients.ts'
import { route } from '../../src/testing/twin/route.ts'
import { holdfastErrorIn, openTwinBench, SILENT, type TwinBench, thrownBy } from './support/bench.ts'

const batch = { input_file_id: 'file_1', endpoint: '/v1/embeddings', completion_window: '24h' } as const
const honoured = (path: string) =>
  route('POST', path, { idempotency: true, apply: () => ({ status: 200, body: { id: 'made_1', object: 'thing' } }) })

function stripeAt({ hf, baseUrl }: TwinBench, options = {}) {
  const { hostname, port } = new URL(baseUrl)
  return stripe(hf, 'sk_test_1', { host: hostname, port, protocol: 'http', telemetry: false, ...options })
}

describe('R080, R081: idempotency keys', () => {
  test('one is added where the vendor honours it, the same for all tries', async () => {
    const endpoints = { 'POST /v1/batches': { idempotency: { key: 'Idempotency-Key' } } } as const
    await using bench = await openTwinBench('openai', [honoured('/v1/batches')], { endpoints })
    bench.twin.script('POST /v1/batches', ['executed_then_reset', 'executed_then_reset'])
    const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1` })
    expect((await client.batches.create(batch)).id).toBe('made_1')
    expect(bench.twin.requests.total).toBe(3)
    expect(bench.twin.effects).toMatchObject([{ idempotencyKey: expect.stringMatching(/^\S{20,}$/) }])
    // The next call is another operation.
    await client.batches.create(batch)
    expect(new Set(bench.twin.effects.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2)
  })

  test("the caller's own is kept", async () => {
    const endpoints = { 'POST /v1/batches': { idempotency: { key: 'Idempotency-Key' } } } as const
    await using bench = await openTwinBench('openai', [honoured('/v1/batches')], { endpoints })
    const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1` })
    bench.twin.script('POST /v1/batches', ['executed_then_reset'])
    await client.batches.create(batch, { headers: { 'Idempotency-Key': 'order-17' } })
    expect(bench.twin.requests.total).toBe(2)
    expect(bench.twin.effects).toMatchObject([{ idempotencyKey: 'order-17' }])
  })

  test('so is that of the SDK, which makes its writes safe to repeat', async () => {
    await using bench = await openTwinBench('stripe', [honoured('/v1/customers')])
    bench.twin.script('POST /v1/customers', ['executed_then_reset'])
    await stripeAt(bench).customers.create({ email: 'ada@example.com' })
    await stripeAt(bench).customers.create({ email: 'ada@example.com' }, { idempotencyKey: 'order-17' })
    expect(bench.twin.requests.total).toBe(3)
    expect(bench.twin.effects).toMatchObject([
      { idempotencyKey: expect.stringContaining('stripe-node-retry-') },
      { idempotencyKey: 'order-17' },
    ])
  })
})

describe('uploads', () => {
  const files = route('POST', '/v1/files', {
    effectKey: ({ text }) => text.replaceAll(/(boundary=)?-{2,}\S+/g, ''),
    apply: ({ text, headers }) => ({ status: 200, body: { id: 'file_1', object: 'file', text, type: headers['content-type'] } }), // biome-ignore format: one line
  })
  const busy = { kind: 'status', status: 429, headers: { 'retry-after': '1' } } as const

  test('a file in memory is sent whole, and again where nothing was done', async () => {
    await using bench = await openTwinBench('openai', [files])
    bench.twin.script('POST /v1/files', [busy])
    const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1` })
    const file = new File(['{"line":1}\n'], 'input.jsonl', { type: 'application/jsonl' })
    const made = (await client.files.create({ file, purpose: 'batch' })) as unknown as Record<string, string>
    expect(made['type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(made['text']).toContain('filename="input.jsonl"')
    expect(made['text']).toContain('{"line":1}')
    expect(bench.twin.requests.total).toBe(2)
    expect(bench.twin.effects).toHaveLength(1)
  })

  test("rule 3: the SDK's own retries do not send a file twice, though each writes another form", async () => {
    await using bench = await openTwinBench('openai', [files])
    bench.twin.disturb({ fault: 'executed_then_reset' })
    const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1`, maxRetries: 1 })
    const error = await thrownBy(client.files.create({ file: new File(['{}'], 'a.jsonl'), purpose: 'batch' }))
    expect(holdfastErrorIn(error)).toMatchObject({ code: 'ECONNRESET', certainty: 'maybe_applied' })
    expect(bench.twin.requests.total).toBe(1)
  })

  test('a large file on disk is sent as it is read, and not again once it began', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-upload-'))
    const path = join(directory, 'large.jsonl')
    writeFileSync(path, `${'x'.repeat(1023)}\n`.repeat(10_240))
    try {
      await using bench = await openTwinBench('openai', [files])
      const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1` })
      await client.files.create({ file: createReadStream(path), purpose: 'batch' })
      expect(bench.twin.effects).toHaveLength(1)
      bench.twin.script('POST /v1/files', [busy])
      const error = await thrownBy(client.files.create({ file: createReadStream(path), purpose: 'batch' }))
      expect(error['status']).toBe(429)
      expect(bench.twin.requests.total).toBe(2)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

describe('200 with an error inside', () => {
  const post = route('POST', '/api/chat.postMessage', { apply: () => ({ status: 200, body: { ok: true, ts: '1.2' } }) })
  const refused = (error: string, headers = {}) =>
    ({ kind: 'status', status: 200, headers, body: { ok: false, error } }) as const
  const at = ({ hf, baseUrl }: TwinBench) =>
    slack(hf, 'xoxb-1', { slackApiUrl: `${baseUrl}/`, logLevel: LogLevel.ERROR })
  const message = { channel: 'C1', text: 'hello' }

  test("R046: Slack's `ratelimited` closes the gate; the message is sent after it", async () => {
    await using bench = await openTwinBench('slack', [post])
    const gates: string[] = []
    bench.hf.events.on('gate.closed', ({ lane }) => gates.push(lane))
    bench.twin.script('POST /api/chat.postMessage', [refused('ratelimited', { 'retry-after': '1' })])
    expect(await at(bench).chat.postMessage(message)).toMatchObject({ ts: '1.2' })
    expect(gates).toEqual(['slack/default'])
    expect(bench.twin.effects).toHaveLength(1)
  })

  test('rule 3: its `internal_error` may have sent the message: it is for the caller', async () => {
    await using bench = await openTwinBench('slack', [post])
    bench.twin.script('POST /api/chat.postMessage', [refused('internal_error')])
    const error = await thrownBy(at(bench).chat.postMessage(message))
    expect(error.message).toContain('internal_error')
    expect(bench.twin.requests.total).toBe(1)
  })

  test('other errors are for the SDK, as they came', async () => {
    await using bench = await openTwinBench('slack', [post])
    bench.twin.script('POST /api/chat.postMessage', [refused('channel_not_found')])
    const error = await thrownBy(at(bench).chat.postMessage(message))
    expect(error).toMatchObject({ data: { error: 'channel_not_found' } })
    expect(holdfastErrorIn(error)).toBeUndefined()
  })
})

test('R027: where Octokit would make an empty result of an answer that breaks off, it is an error', async () => {
  const issues = route('POST', '/repos/{owner}/{repo}/issues', { apply: () => ({ status: 200, body: { number: 42 } }) })
  await using bench = await openTwinBench('github', [issues])
  bench.twin.disturb({ fault: 'truncated_body' })
  const client = github(bench.hf, 'ghp_1', { baseUrl: bench.baseUrl, log: SILENT })
  const error = await thrownBy(client.issues.create({ owner: 'ada', repo: 'engine', title: 'Broken' }))
  expect(holdfastErrorIn(error)).toMatchObject({ code: 'terminated', certainty: 'maybe_applied' })
  expect(bench.twin.requests.total).toBe(1)
})
