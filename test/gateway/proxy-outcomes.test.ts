/** What a caller of the proxy learns when there is no answer, or when it asks for more than one call. */
import { once } from 'node:events'
import http from 'node:http'
import { describe, expect, test } from 'vitest'
import type { DurableRequest } from '../../src/gateway/proxy/durable.ts'
import { raw, rawRequest } from '../support/raw-http.ts'
import { type Answer, answerJson, openProxy, started, upstream } from './support/proxy-bench.ts'

const RETRY_ONCE = { retry: { maxAttempts: 1 } } as const

async function problem(asked: Promise<Response>) {
  const answer = await asked
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> }
}

async function abandonedPort(): Promise<string> {
  const gone = await started(http.createServer())
  await gone[Symbol.asyncDispose]()
  return gone.url
}

const silent: Answer = () => {}

describe('the proxy', () => {
  test('502: the API cannot be reached', async () => {
    await using proxy = await openProxy({ crm: { baseUrl: await abandonedPort() } })
    const { status, headers, body } = await problem(fetch(`${proxy.url}/proxy/crm/x`))
    expect(status).toBe(502)
    expect(body).toMatchObject({
      status: 502,
      code: 'ECONNREFUSED',
      class: 'transient',
      certainty: 'not_sent',
      attempts: 3,
    })
    expect(body['hint']).not.toBe('')
    expect(body['correlationId']).toBe(headers.get('x-correlation-id'))
    expect(headers.get('x-holdfast-attempts')).toBe('3')
    expect(headers.get('x-should-retry')).toBe('false')
  })

  test('rule 3, 504: a write without an answer is made once, and may have happened', async () => {
    await using api = await upstream(silent)
    await using proxy = await openProxy({ crm: { baseUrl: api.url, timeouts: { headers: '100ms' } } })
    const { status, body } = await problem(fetch(`${proxy.url}/proxy/crm/x`, { method: 'POST', body: '{}' }))
    expect(status).toBe(504)
    expect(body).toMatchObject({ code: 'timeout_headers', certainty: 'maybe_applied', attempts: 1 })
    expect(api.seen).toHaveLength(1)
  })

  test.each([
    ['x-holdfast-timeout', '0.2'],
    ['x-holdfast-timeout', '200ms'],
    ['prefer', 'wait=1'],
  ])('%s: %s ends the waiting', async (name, value) => {
    await using api = await upstream(silent)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const { status, body } = await problem(fetch(`${proxy.url}/proxy/crm/x`, { headers: { [name]: value } }))
    expect(status).toBe(504)
    expect(body).toMatchObject({ code: 'timeout_total' })
  })

  test('503 with Retry-After: the breaker is open', async () => {
    await using api = await upstream((_request, response) => response.writeHead(500).end())
    const breaker = { consecutiveFailures: 1, minimumCalls: 1 }
    await using proxy = await openProxy({ crm: { baseUrl: api.url, breaker, ...RETRY_ONCE } })
    const failed = await fetch(`${proxy.url}/proxy/crm/x`)
    expect(failed.status).toBe(500)
    expect(failed.headers.get('x-holdfast-rule')).toContain('500')
    expect(failed.headers.get('x-holdfast-breaker')).toBe('open')
    const { status, headers, body } = await problem(fetch(`${proxy.url}/proxy/crm/x`))
    expect(status).toBe(503)
    expect(body).toMatchObject({ code: 'breaker_open', certainty: 'not_sent' })
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(headers.get('x-holdfast-attempts')).toBe('0')
    expect(api.seen).toHaveLength(1)
  })

  test('rule 4, 429 with Retry-After: the lane is closed', async () => {
    await using api = await upstream((_request, response) =>
      response.writeHead(429, { 'retry-after': '600' }).end('slow'),
    )
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const first = await fetch(`${proxy.url}/proxy/crm/x`)
    expect([first.status, await first.text(), first.headers.get('retry-after')]).toEqual([429, 'slow', '600'])
    const headers = { 'x-holdfast-timeout': '1s' }
    const second = await problem(fetch(`${proxy.url}/proxy/crm/y`, { headers }))
    expect(second.status).toBe(429)
    expect(second.body).toMatchObject({ code: 'gate_closed', class: 'held' })
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(500)
    expect(api.seen).toHaveLength(1)
  })

  test('an error answer is the answer, once it is final', async () => {
    await using api = await upstream((_request, response) => answerJson(response, { message: 'no such field' }, 422))
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await fetch(`${proxy.url}/proxy/crm/x`, { method: 'POST', body: '{}' })
    expect([answer.status, await answer.json()]).toEqual([422, { message: 'no such field' }])
    expect(answer.headers.get('x-should-retry')).toBe('false')
  })

  test.each([
    ['GET /proxy/nobody/x', [], 404, 'unknown_integration'],
    ['GET /proxy/constructor/x', [], 404, 'unknown_integration'],
    ['GET /proxy/__proto__/x', [], 404, 'unknown_integration'],
    ['GET /proxy/crm/x', ['x-holdfast-timeout: soon'], 400, 'invalid_timeout'],
    ['GET /proxy/crm/x', ['x-holdfast-timeout: 0'], 400, 'invalid_timeout'],
    ['POST /proxy/crm/x', ['idempotency-key: ""', 'content-length: 0'], 400, 'invalid_idempotency_key'],
    ['GET /proxy/crm/x', ['via: 1.1 holdfast, 1.1 holdfast, 1.0 other, 1.1 holdfast'], 508, 'proxy_loop'],
  ] as const)('%s %j: %d %s', async (line, headers, status, code) => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await raw(proxy.port, rawRequest(line, headers))
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(`"code":"${code}"`)
    expect(api.seen).toEqual([])
  })
})

describe('Idempotency-Key', () => {
  const created: Answer = (_request, response, echo) => {
    response.writeHead(201, { 'content-type': 'application/json', location: '/things/7' }).end(`{"made":${echo.body}}`)
  }
  const post = (body: string, key = 'k1') => ({ method: 'POST', body, headers: { 'idempotency-key': key } })

  test('R089: the second call gets the stored answer, and nothing is sent', async () => {
    await using api = await upstream(created)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answers = []
    for (const key of ['k1', '"k1"']) {
      const answer = await fetch(`${proxy.url}/proxy/crm/things`, post('1', key))
      const { status, headers } = answer
      answers.push([
        status,
        await answer.text(),
        headers.get('location'),
        headers.get('idempotency-replayed'),
        headers.get('x-holdfast-attempts'),
      ])
    }
    const location = `${proxy.url}/proxy/crm/things/7`
    expect(answers).toEqual([
      [201, '{"made":1}', location, null, '1'],
      [201, '{"made":1}', location, 'true', '0'],
    ])
    expect(api.seen).toHaveLength(1)
  })

  test('D17, 422: the same key with other content, or elsewhere', async () => {
    await using api = await upstream(created)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    await fetch(`${proxy.url}/proxy/crm/things`, post('1'))
    for (const [path, body] of [
      ['things', '2'],
      ['others', '1'],
    ] as const) {
      const { status, body: told } = await problem(fetch(`${proxy.url}/proxy/crm/${path}`, post(body)))
      expect([status, told['code']]).toEqual([422, 'idempotency_key_reused'])
    }
    expect(api.seen).toHaveLength(1)
  })

  test('keys of one caller are not those of another', async () => {
    await using api = await upstream(created)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    for (const authorization of ['Bearer one', 'Bearer other']) {
      const { headers, ...rest } = post('1')
      const answer = await fetch(`${proxy.url}/proxy/crm/things`, { ...rest, headers: { ...headers, authorization } })
      expect(answer.headers.has('idempotency-replayed')).toBe(false)
    }
    expect(api.seen).toHaveLength(2)
  })

  test('409: the first call is under way', async () => {
    const server = http.createServer()
    await using api = await started(server)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const first = fetch(`${proxy.url}/proxy/crm/things`, post('1'))
    const [, response] = (await once(server, 'request')) as [http.IncomingMessage, http.ServerResponse]
    const second = await problem(fetch(`${proxy.url}/proxy/crm/things`, post('1')))
    expect([second.status, second.body['code']]).toEqual([409, 'idempotency_in_progress'])
    expect(second.headers.get('retry-after')).toBe('1')
    answerJson(response, 'done')
    expect(await (await first).json()).toBe('done')
  })

  test('rule 3: a write whose answer was lost is not made again under its key', async () => {
    await using api = await upstream((request) => request.socket.destroy())
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const first = await problem(fetch(`${proxy.url}/proxy/crm/things`, post('1')))
    expect([first.status, first.body['certainty']]).toEqual([502, 'maybe_applied'])
    const second = await problem(fetch(`${proxy.url}/proxy/crm/things`, post('1')))
    expect(second.status).toBe(409)
    expect(api.seen).toHaveLength(1)
  })

  test('what surely had no effect leaves the key free', async () => {
    await using api = await upstream((request, response, echo) => {
      if (api.seen.length === 1) answerJson(response, { message: 'bad' }, 400)
      else created(request, response, echo)
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    expect((await fetch(`${proxy.url}/proxy/crm/things`, post('1'))).status).toBe(400)
    expect((await fetch(`${proxy.url}/proxy/crm/things`, post('1'))).status).toBe(201)
  })

  test('a key alone does not make a repeat safe: only an endpoint that honours keys does', async () => {
    await using api = await upstream((_request, response) => response.writeHead(500).end())
    await using proxy = await openProxy({
      plain: { baseUrl: api.url },
      keyed: { baseUrl: api.url, endpoints: { 'POST /things': { idempotency: { key: 'Idempotency-Key' } } } },
    })
    const plain = await fetch(`${proxy.url}/proxy/plain/things`, post('1'))
    const keyed = await fetch(`${proxy.url}/proxy/keyed/things`, post('1'))
    expect(plain.headers.get('x-holdfast-attempts')).toBe('1')
    expect(keyed.headers.get('x-holdfast-attempts')).toBe('3')
    expect(new Set(api.seen.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set(['k1']))
  })

  test('a long answer comes whole, and is not kept; a long body cannot be named', async () => {
    const long = 'x'.repeat(3_000_000)
    await using api = await upstream((_request, response) => response.writeHead(200).end(long))
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const first = await fetch(`${proxy.url}/proxy/crm/things`, post('1'))
    expect(await first.text()).toBe(long)
    const second = await problem(fetch(`${proxy.url}/proxy/crm/things`, post('1')))
    expect([second.status, second.body['code']]).toEqual([409, 'answer_not_kept'])
    const third = await problem(fetch(`${proxy.url}/proxy/crm/things`, post(long, 'k2')))
    expect([third.status, third.body['code']]).toEqual([413, 'body_not_replayable'])
    expect(api.seen).toHaveLength(1)
  })
})

describe('Prefer: respond-async', () => {
  const asked = {
    method: 'POST',
    body: '{"a":1}',
    headers: { prefer: 'respond-async, wait=5', authorization: 'Bearer t', 'idempotency-key': 'k' },
  }

  test('202 once it is durable; no credential is stored', async () => {
    const submitted: DurableRequest[] = []
    await using api = await upstream()
    await using proxy = await openProxy(
      { crm: { baseUrl: api.url } },
      {
        callersCredential: () => true,
        async submitRequest(request) {
          submitted.push(request)
          return { runId: 'r1', itemId: 'r1.request', location: '/v1/items/r1.request', duplicate: false }
        },
      },
    )
    const own = { ...asked.headers, 'x-holdfast-upstream-authorization': 'Bearer own' }
    const refused = await problem(fetch(`${proxy.url}/proxy/crm/things`, { ...asked, headers: own }))
    expect([refused.status, refused.body['code']]).toEqual([400, 'credential_not_durable'])
    const answer = await fetch(`${proxy.url}/proxy/crm/things?q=%2F`, asked)
    expect(answer.status).toBe(202)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      location: '/v1/items/r1.request',
      'preference-applied': 'respond-async',
      'x-holdfast-item': 'r1.request',
    })
    expect(submitted).toMatchObject([
      { integration: 'crm', method: 'POST', path: '/things?q=%2F', waitMs: 5000, idempotencyKey: 'k' },
    ])
    expect(Buffer.from(submitted[0]?.body ?? []).toString()).toBe('{"a":1}')
    expect(JSON.stringify(submitted)).not.toContain('Bearer')
    expect(api.seen).toEqual([])
  })

  test('RFC 7240: where it cannot be followed, the call is made at once', async () => {
    await using api = await upstream()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await fetch(`${proxy.url}/proxy/crm/things`, asked)
    expect(answer.status).toBe(200)
    expect(answer.headers.has('preference-applied')).toBe(false)
  })
})
