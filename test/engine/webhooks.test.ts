/** Webhooks in, through the public surface: verify, store, 200; and what becomes of every event. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { storeBusy } from '../../src/ledger/sqlite/transactions/errors.ts'
import { type RequestToSend, signWebhook } from '../../src/webhooks/sign.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const SECRET = 'whsec_test'
const URL_OF_OURS = 'https://hooks.example.com/webhooks/in'

type Seen = { input: unknown; labels: unknown; key: string }

function listening(seen: Seen[]) {
  return definePipeline<unknown>('on-event').step('see', {
    safe: true,
    run({ input, labels, key }) {
      seen.push({ input, labels, key })
      return null
    },
  })
}

const CONTACT = z.object({ id: z.string(), email: z.email() })

function strict(seen: unknown[]) {
  return definePipeline('on-contact', { input: CONTACT }).step('see', {
    safe: true,
    run({ input }) {
      seen.push(input)
      return null
    },
  })
}

function stripeRequest(body: string, atMs: number, secret = SECRET): Request {
  const headers = signWebhook({ provider: 'stripe', secret }, { body }, atMs)
  return new Request(URL_OF_OURS, { method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } })
}

async function stripeEngine(seen: Seen[], more: object = {}): Promise<TestEngine> {
  return testEngine({
    pipelines: [listening(seen)],
    webhooks: { stripe: { provider: 'stripe', secret: SECRET, pipeline: 'on-event', ...more } },
  })
}

async function drained(engine: TestEngine) {
  engine.hf.startWorker()
  return engine.clock.runUntil(engine.hf.drain())
}

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('R164: one id from the sender to the vendor', () => {
  test.each([
    ['x-correlation-id', { 'x-correlation-id': 'order-7', 'x-request-id': 'r-1' }, 'order-7'],
    ['the trace of traceparent', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, 'x-request-id': 'r-1' }, TRACE],
    ['x-request-id', { 'x-request-id': 'r-1' }, 'r-1'],
    ['the event’s own id, where nothing else is given', {}, 'evt_1'],
    ['one that could do harm is not taken', { 'x-request-id': '<script>' }, 'evt_1'],
  ])('%s is that of the run, and of the calls that it makes; explain shows it', async (_name, headers, id) => {
    const onEvent = definePipeline<unknown>('on-event').step('tell', {
      integration: 'crm',
      request: { method: 'PUT', path: '/events/1' },
    })
    const engine = await testEngine({
      pipelines: [onEvent],
      webhooks: { stripe: { provider: 'stripe', secret: SECRET, pipeline: 'on-event' } },
    })
    const request = stripeRequest('{"id":"evt_1"}', engine.clock.wallMs())
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value)
    expect((await engine.hf.webhookHandler('stripe')(request)).status).toBe(200)
    await drained(engine)
    const [item] = (await engine.hf.operations.items()).rows
    expect(await engine.hf.operations.run(item?.runId ?? '')).toMatchObject({ correlationId: id })
    expect(engine.api.requests[0]?.headers).toMatchObject({ 'x-correlation-id': id })
    expect((await engine.hf.operations.explain(item?.itemId ?? ''))?.lines[0]?.text).toContain(`Correlation id ${id}.`)
    await engine.finish()
  })

  test('an event that nothing names has the id of its run', async () => {
    const engine = await stripeEngine([])
    await engine.hf.webhookHandler('stripe')(stripeRequest('{"type":"ping"}', engine.clock.wallMs()))
    const [item] = (await engine.hf.operations.items()).rows
    expect(await engine.hf.operations.run(item?.runId ?? '')).toMatchObject({ correlationId: item?.runId })
    await engine.finish()
  })
})

describe('R154 R155 D25: the answer', () => {
  test('a signed event is on disk before the 200, and then run, with the text that was sent', async () => {
    const seen: Seen[] = []
    const engine = await stripeEngine(seen)
    const body = '{"id": "evt_1",  "type": "invoice.paid", "big": 12345678901234567890}'
    const response = await engine.hf.webhookHandler('stripe')(stripeRequest(body, engine.clock.wallMs()))
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')

    const [item] = (await engine.hf.operations.items()).rows
    expect(item).toMatchObject({ pipeline: 'on-event', key: 'stripe:evt_1', state: 'queued' })
    await drained(engine)
    expect(seen).toEqual([
      { input: JSON.parse(body), labels: { webhook: 'stripe', event: 'invoice.paid' }, key: 'stripe:evt_1' },
    ])
    expect(engine.events).toContainEqual(
      expect.objectContaining({ type: 'webhook.received', source: 'stripe', accepted: 1, duplicates: 0 }),
    )
    await engine.finish()
  })

  test('a bad, missing or old signature: 401, told to us and not to the sender', async () => {
    const engine = await stripeEngine([])
    const handler = engine.hf.webhookHandler('stripe')
    const nowMs = engine.clock.wallMs()
    const requests = [
      stripeRequest('{}', nowMs, 'another'),
      new Request(URL_OF_OURS, { method: 'POST', body: '{}' }),
      stripeRequest('{}', nowMs - 301_000),
    ]
    const bodies = new Set<string>()
    for (const request of requests) {
      const response = await handler(request)
      expect(response.status).toBe(401)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      bodies.add(await response.text())
    }
    expect([...bodies].map((body) => JSON.parse(body))).toMatchObject([{ status: 401, code: 'webhook_not_verified' }])
    const reasons = engine.events.flatMap((event) => (event.type === 'webhook.refused' ? [event.reason] : []))
    expect(reasons).toEqual(['signature_mismatch', 'signature_missing', 'timestamp_too_old'])
    expect((await engine.hf.operations.balance()).accepted).toBe(0)
    await engine.finish()
  })

  test('too large: 413, by what it says and by what it is; another method: 405', async () => {
    const engine = await stripeEngine([], { maxBody: '1KB' })
    const handler = engine.hf.webhookHandler('stripe')
    const large = JSON.stringify({ id: 'evt_1', text: 'x'.repeat(1000) })
    expect((await handler(stripeRequest(large, engine.clock.wallMs()))).status).toBe(413)
    let pulled = 0
    const endless = new ReadableStream({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(300))
      },
    })
    const streaming = new Request(URL_OF_OURS, { method: 'POST', body: endless, duplex: 'half' } as RequestInit)
    expect((await handler(streaming)).status).toBe(413)
    expect(pulled).toBeLessThan(10)
    const get = await handler(new Request(URL_OF_OURS))
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
    await engine.finish()
  })

  test('it could not be stored: 503 with Retry-After, and the next delivery is a first one', async () => {
    const seen: Seen[] = []
    const engine = await stripeEngine(seen)
    const handler = engine.hf.webhookHandler('stripe')
    const { submit } = engine.ledger
    engine.ledger.submit = () => Promise.reject(storeBusy('sqlite:./holdfast.db', 5000))
    const request = stripeRequest('{"id":"evt_1"}', engine.clock.wallMs())
    const response = await handler(request.clone())
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10'])
    expect(await response.json()).toMatchObject({ code: 'not_stored' })
    const [trouble] = engine.events.splice(
      engine.events.findIndex(({ type }) => type === 'engine.trouble'),
      1,
    )
    expect(trouble).toMatchObject({ where: 'webhooks.accept' })

    engine.ledger.submit = submit
    expect((await handler(request)).status).toBe(200)
    expect((await drained(engine)).states.succeeded).toBe(1)
    await engine.finish()
  })

  test('a body that somebody read before is a mistake of ours, said as such', async () => {
    const engine = await stripeEngine([])
    const request = stripeRequest('{}', engine.clock.wallMs())
    await request.text()
    await expect(engine.hf.webhookHandler('stripe')(request)).rejects.toMatchObject({ code: 'body_already_read' })
    expect(() => engine.hf.webhookHandler('strip')).toThrow(/did you mean "stripe"/)
    await engine.finish()
  })

  test('Slack gets its challenge, Twilio its TwiML, Notion hands over its secret', async () => {
    const engine = await testEngine({
      pipelines: [listening([])],
      webhooks: {
        slack: { provider: 'slack', secret: 's', pipeline: 'on-event' },
        sms: { provider: 'twilio', secret: 't', pipeline: 'on-event', publicUrl: 'https://public.example/sms' },
        notion: { provider: 'notion', pipeline: 'on-event' },
      },
    })
    const nowMs = engine.clock.wallMs()
    const send = async (
      source: 'slack' | 'sms',
      options: { provider: 'slack' | 'twilio'; secret: string },
      parts: RequestToSend,
    ) => {
      const headers = { ...signWebhook(options, parts, nowMs), 'content-type': 'application/x-www-form-urlencoded' }
      const request = new Request('http://10.0.0.1:4180/webhooks/x', {
        method: 'POST',
        body: String(parts.body),
        headers,
      })
      const response = await engine.hf.webhookHandler(source)(request)
      return [response.status, await response.text()]
    }
    const challenge = JSON.stringify({ type: 'url_verification', challenge: 'abc' })
    expect(await send('slack', { provider: 'slack', secret: 's' }, { body: challenge })).toEqual([200, 'abc'])
    const sms = { body: 'MessageSid=SM1&Body=hi', url: 'https://public.example/sms' }
    expect(await send('sms', { provider: 'twilio', secret: 't' }, sms)).toEqual([200, '<Response/>'])

    const secrets: string[] = []
    const notion = engine.hf.webhookHandler('notion', { onSecret: (secret) => void secrets.push(secret) })
    const hello = new Request(URL_OF_OURS, { method: 'POST', body: '{"verification_token":"secret_9"}' })
    expect((await notion(hello)).status).toBe(200)
    expect(secrets).toEqual(['secret_9'])
    expect(JSON.stringify(engine.events)).not.toContain('secret_9')
    expect((await notion(new Request(URL_OF_OURS, { method: 'POST', body: '{"id":"e"}' }))).status).toBe(401)
    expect((await engine.hf.operations.balance()).accepted).toBe(1)
    await drained(engine)
    await engine.finish()
  })
})

describe('R101 R158: delivered again', () => {
  test('a known event id is answered 200 and not queued again, also with other content', async () => {
    const seen: Seen[] = []
    const engine = await stripeEngine(seen)
    const handler = engine.hf.webhookHandler('stripe')
    const first = stripeRequest('{"id":"evt_1","pending_webhooks":2}', engine.clock.wallMs())
    const bodies = [first.clone(), first, stripeRequest('{"id":"evt_1","pending_webhooks":1}', engine.clock.wallMs())]
    const responses = await Promise.all(bodies.map((request) => handler(request)))
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200])
    const received = engine.events.flatMap((event) => (event.type === 'webhook.received' ? [event] : []))
    expect(received).toMatchObject([
      { accepted: 1, duplicates: 0, changed: 0 },
      { accepted: 0, duplicates: 1, changed: 0 },
      { accepted: 0, duplicates: 1, changed: 1 },
    ])
    expect((await drained(engine)).accepted).toBe(1)
    expect(seen).toHaveLength(1)
    await engine.finish()
  })

  test('two sources may use the same ids', async () => {
    const engine = await testEngine({
      pipelines: [listening([])],
      webhooks: {
        live: { provider: 'stripe', secret: SECRET, pipeline: 'on-event' },
        test: { provider: 'stripe', secret: [SECRET, 'old'], pipeline: 'on-event' },
      },
    })
    for (const source of ['live', 'test']) {
      const request = stripeRequest('{"id":"evt_1"}', engine.clock.wallMs())
      expect((await engine.hf.webhookHandler(source)(request)).status).toBe(200)
    }
    expect((await drained(engine)).accepted).toBe(2)
    await engine.finish()
  })
})

describe('several events in one request', () => {
  const event = (eventId: number) => ({ portalId: 1, subscriptionId: 2, eventId, occurredAt: 4, subscriptionType: 't' })
  const hubspotRequest = (events: unknown, atMs: number) => {
    const body = JSON.stringify(events)
    const headers = signWebhook({ provider: 'hubspot', secret: 's' }, { body, url: URL_OF_OURS }, atMs)
    return new Request(URL_OF_OURS, { method: 'POST', body, headers })
  }
  const hubspot = { provider: 'hubspot', secret: 's', pipeline: 'on-event' } as const

  test('one run each, in one commit; a redelivery of some of them adds only the new ones', async () => {
    const seen: Seen[] = []
    const engine = await testEngine({ pipelines: [listening(seen)], webhooks: { hubspot } })
    const handler = engine.hf.webhookHandler('hubspot')
    const events = Array.from({ length: 100 }, (_, index) => event(index))
    let submits = 0
    const { submit } = engine.ledger
    engine.ledger.submit = (runs) => {
      submits++
      return submit(runs)
    }
    expect((await handler(hubspotRequest(events, engine.clock.wallMs()))).status).toBe(200)
    expect(submits).toBe(1)
    expect((await handler(hubspotRequest([event(99), event(100)], engine.clock.wallMs()))).status).toBe(200)
    expect((await handler(hubspotRequest([], engine.clock.wallMs()))).status).toBe(200)
    expect((await drained(engine)).accepted).toBe(101)
    expect(seen.map(({ input }) => (input as { eventId: number }).eventId).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 101 }, (_, index) => index),
    )
    await engine.finish()
  })

  test('R144 R161: an event that the schema refuses is a dead letter; its neighbours run; a correction sends it on', async () => {
    const seen: unknown[] = []
    const engine = await testEngine({
      pipelines: [strict(seen)],
      webhooks: {
        form: {
          provider: 'hmac',
          secret: 's',
          pipeline: 'on-contact',
          hmac: { header: 'X-Sig', id: { body: 'id' }, batch: true },
        },
      },
    })
    const body = JSON.stringify([
      { id: 'a', email: 'ada@example.com' },
      { id: 'b', email: 'nobody' },
    ])
    const hmac = { header: 'X-Sig', id: { body: 'id' }, batch: true } as const
    const headers = signWebhook({ provider: 'hmac', secret: 's', hmac }, { body }, engine.clock.wallMs())
    const request = new Request(URL_OF_OURS, { method: 'POST', body, headers })
    const handler = engine.hf.webhookHandler('form')
    expect((await handler(request.clone())).status).toBe(200)
    expect((await handler(request)).status).toBe(200)
    const balance = await drained(engine)
    expect([balance.accepted, balance.states.succeeded, balance.states.dead_lettered]).toEqual([2, 1, 1])
    const [letter] = (await engine.hf.operations.items({ states: ['dead_lettered'] })).rows
    const explained = await engine.hf.operations.explain(letter?.itemId ?? '')
    expect(JSON.stringify(explained)).toContain('refused the input: email')
    const report = await engine.clock.runUntil(
      engine.hf.operations.replay({
        selection: { itemIds: [letter?.itemId ?? ''] },
        by: 'test',
        patch: { email: 'bob@example.com' },
      }),
    )
    expect(report.replayed).toBe(1)
    await engine.clock.runUntil(engine.hf.drain())
    expect(seen).toEqual([
      { id: 'a', email: 'ada@example.com' },
      { id: 'b', email: 'bob@example.com' },
    ])
    await engine.finish()
  })
})

describe('what is kept', () => {
  test('the whole request where asked for: raw body, headers without secrets', async () => {
    const seen: Seen[] = []
    const engine = await stripeEngine(seen, { input: 'request' })
    const body = '{"id": "evt_1" }'
    const request = stripeRequest(body, engine.clock.wallMs())
    request.headers.set('authorization', 'Bearer top-secret-token')
    request.headers.set('x-shop', 'one')
    expect((await engine.hf.webhookHandler('stripe')(request)).status).toBe(200)
    await drained(engine)
    expect(seen[0]?.input).toMatchObject({
      source: 'stripe',
      id: 'evt_1',
      type: null,
      method: 'POST',
      event: { id: 'evt_1' },
      body,
      headers: { 'x-shop': 'one', 'content-type': 'application/json' },
    })
    expect(JSON.stringify(seen)).not.toMatch(/top-secret|v1=/)
    await engine.finish()
  })

  test('forms are objects, other text is text, bytes are base64', async () => {
    const seen: Seen[] = []
    const engine = await testEngine({
      pipelines: [listening(seen)],
      webhooks: { any: { provider: 'hmac', secret: 's', pipeline: 'on-event', hmac: { header: 'x-sig' } } },
    })
    const send = async (body: Buffer<ArrayBuffer>, type: string) => {
      const headers = signWebhook({ provider: 'hmac', secret: 's', hmac: { header: 'x-sig' } }, { body }, 0)
      const request = new Request(URL_OF_OURS, { method: 'POST', body, headers: { ...headers, 'content-type': type } })
      expect((await engine.hf.webhookHandler('any')(request)).status).toBe(200)
    }
    await send(Buffer.from('a=1&b=2&b=3&__proto__=4'), 'application/x-www-form-urlencoded')
    await send(Buffer.from('<xml/>'), 'text/xml')
    await send(Buffer.from([0xff, 0x00]), 'application/octet-stream')
    await drained(engine)
    expect(seen.map(({ input }) => JSON.stringify(input)).sort()).toEqual(
      ['"<xml/>"', '{"a":"1","b":["2","3"],"__proto__":"4"}', '{"base64":"/wA="}'].sort(),
    )
    await engine.finish()
  })
})
