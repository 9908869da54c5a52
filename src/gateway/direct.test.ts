import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { started, upstream } from '../../test/gateway/support/proxy-bench.ts'
import { raw, rawRequest } from '../../test/support/raw-http.ts'
import { definePipeline } from '../engine/pipelines/pipeline.ts'
import { holdfast } from '../system/open.ts'
import { systemClock } from '../system/system-clock.ts'
import { systemRandom } from '../system/system-random.ts'
import { signWebhook } from '../webhooks/sign.ts'
import { proxyOf } from './mounts.ts'
import { proxyHosts } from './proxy/target.ts'
import { serving } from './test-kit.ts'
import { createToken } from './tokens.ts'

const SECRET = 'a secret of the repository'
const onEvent = definePipeline<unknown>('on-event').step('see', { safe: true, run: () => null })
const HOOKS = {
  pipelines: [onEvent],
  webhooks: { github: { provider: 'github', secret: SECRET, pipeline: 'on-event', maxBody: '2KB' } },
} as const
const EVENT = JSON.stringify({ action: 'opened' })

function signed(body = EVENT, id = 'd-1'): string[] {
  const headers = signWebhook({ provider: 'github', secret: SECRET }, { body }, 0)
  return [
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `x-github-delivery: ${id}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
}

function post(port: number, line: string, headers: readonly string[], body = EVENT) {
  return raw(port, rawRequest(line, headers, body))
}

/** A request whose head has been read, and whose body is waited for. */
async function underWay(port: number, line: string, headers: readonly string[] = []): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${line} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n${headers.join('\r\n')}\r\n\r\n`)
  expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 100 /)
  return socket
}

async function rest(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (piece) => {
    text += String(piece)
  })
  await once(socket, 'close')
  return text
}

describe('webhooks', () => {
  it('R154 R155: verified and stored, then 200; again, 200 and not stored; forged, 401', async () => {
    const { port, hf } = await serving(HOOKS)
    const first = await post(port, 'POST /webhooks/github?x=1', signed())
    expect(first).toMatchObject({ status: 200, body: '' })
    expect(first.head).toMatch(/^x-correlation-id: \S+/im)
    expect(first.head).toMatch(/^x-content-type-options: nosniff/im)
    expect(await post(port, 'POST /webhooks/github', signed())).toMatchObject({ status: 200 })
    const forged = await post(port, 'POST /webhooks/github', signed('{"action":"closed"}'), '{"action":"forged"}')
    expect([forged.status, JSON.parse(forged.body)]).toEqual([
      401,
      expect.objectContaining({ code: 'webhook_not_verified' }),
    ])
    expect((await hf.operations.balance()).accepted).toBe(1)
  })

  it('an unknown source, another method, another path and too large a body are told', async () => {
    const { port, hf } = await serving(HOOKS)
    const codeOf = async (line: string, headers = signed(), body = EVENT) => {
      const answer = await post(port, line, headers, body)
      return [answer.status, (JSON.parse(answer.body) as { code: string }).code]
    }
    expect(await codeOf('POST /webhooks/gitlab')).toEqual([404, 'unknown_webhook'])
    expect(await codeOf('PUT /webhooks/github')).toEqual([405, 'method_not_allowed'])
    expect(await codeOf('POST /webhooks/github/more')).toEqual([404, 'route_not_found'])
    const large = 'x'.repeat(3000)
    expect(await codeOf('POST /webhooks/github', signed(large), large)).toEqual([413, 'payload_too_large'])
    const chunked = `${(3000).toString(16)}\r\n${large}\r\n0\r\n\r\n`
    const headers = [...signed(large).slice(0, -1), 'transfer-encoding: chunked']
    expect(await codeOf('POST /webhooks/github', headers, chunked)).toEqual([413, 'payload_too_large'])
    expect((await hf.operations.balance()).accepted).toBe(0)
  })

  it('what its sender calls it goes through, as the trace does', async () => {
    const { port } = await serving(HOOKS)
    const given = await post(port, 'POST /webhooks/github', [...signed(), 'x-correlation-id: mine-1'])
    expect(given.head).toMatch(/^x-correlation-id: mine-1\r?$/im)
  })
})

describe('the proxy', () => {
  it('needs the scope "submit", and tells callers apart by their tokens', async () => {
    const { token, settings } = createToken('ci', ['submit'], systemRandom)
    const reader = createToken('reader', ['read'], systemRandom)
    const { port, api } = await serving({ gateway: { tokens: [settings, reader.settings] } })
    const ask = (headers: string[]) => raw(port, rawRequest('GET /proxy/crm/contacts/a%2Fb?x=%20&y', headers))
    expect((await ask([])).status).toBe(401)
    expect((await ask([`authorization: Bearer ${reader.token}`])).status).toBe(403)
    const answer = await ask([`authorization: Bearer ${token}`])
    expect(answer.status).toBe(200)
    expect(answer.head).toMatch(/^x-holdfast-attempts: 1/im)
    expect(api.requests.map(({ path }) => path)).toEqual(['/contacts/a%2Fb?x=%20&y'])
  })

  it('what cannot be kept for later is refused as what it is: found by chance', async () => {
    const { port } = await serving()
    const later = ['prefer: respond-async', 'content-length: 3']
    const answer = await raw(port, rawRequest('DELETE /proxy/crm/things', later, '<a>'))
    expect([answer.status, JSON.parse(answer.body)]).toEqual([400, expect.objectContaining({ code: 'body_not_json' })])
  })

  it.each([
    'GET /proxy/../v1/items',
    'GET /proxy/crm/../../v1/items',
    'GET /proxy/crm/%2e%2e/x',
    'GET http://127.0.0.1/proxy/crm/x',
    'GET //proxy/crm/x',
  ])('path traversal: %s calls nothing', async (line) => {
    const { port, api } = await serving()
    await raw(port, rawRequest(line))
    expect(api.requests).toEqual([])
  })
})

describe('issue 6: an integration as a host, for SDKs that take no path', () => {
  const CRM_HOST = { proxyHosts: proxyHosts(['crm', 'Erp', 'erp'], 'api.localhost') }
  const ask = (port: number, host: string, line: string, headers: string[] = [], body = '') =>
    raw(port, rawRequest(line, headers, body).replace('host: 127.0.0.1', `host: ${host}`))

  it('every path there is the API’s, those of the gateway too', async () => {
    const { port, api } = await serving({ ...HOOKS, parts: CRM_HOST })
    for (const host of ['crm.api.localhost', `CRM.api.localhost:${port}`]) {
      for (const path of ['/contacts/a%2Fb?x=1', '/v1/stats', '/healthz', '/webhooks/github', '/proxy/crm/x']) {
        expect((await ask(port, host, `GET ${path}`)).status, path).toBe(200)
        expect(api.requests.at(-1)).toMatchObject({ origin: 'https://crm.test', path })
      }
    }
  })

  it('DNS rebinding: only names of integrations that are configured, and only below that domain', async () => {
    const { port, api } = await serving({ parts: CRM_HOST })
    for (const host of [
      'nobody.api.localhost',
      // Two integrations could be meant.
      'erp.api.localhost',
      'crm.api.localhost.evil.test',
      'crm.api.localhost.',
      'x.crm.api.localhost',
      'api.localhost',
      'crm.evil.test',
    ]) {
      expect(await ask(port, host, 'GET /v1/stats'), host).toMatchObject({
        status: 403,
        body: expect.stringContaining('host_refused'),
      })
    }
    expect(api.requests).toEqual([])
  })

  it('a page of another site can call nothing through it; the absolute form and dot segments are refused', async () => {
    const { port, api } = await serving({ parts: CRM_HOST })
    const host = 'crm.api.localhost'
    for (const header of ['origin: https://evil.test', 'sec-fetch-site: cross-site', 'origin: http://127.0.0.1']) {
      const answer = await ask(port, host, 'POST /contacts', [header, 'content-length: 2'], '{}')
      expect(answer, header).toMatchObject({ status: 403, body: expect.stringContaining('origin_refused') })
    }
    for (const target of ['http://crm.api.localhost/v1/stats', '*', '/../v1/stats', '//evil.test/x']) {
      expect((await ask(port, host, `${target === '*' ? 'OPTIONS' : 'GET'} ${target}`)).status, target).toBe(400)
    }
    expect(api.requests).toEqual([])
  })

  it('with tokens it needs one with the scope submit, as /proxy does', async () => {
    const { token, settings } = createToken('sdk', ['submit'], systemRandom)
    const { port } = await serving({ parts: CRM_HOST, gateway: { tokens: [settings] } })
    expect((await ask(port, 'crm.api.localhost', 'GET /x')).status).toBe(401)
    expect((await ask(port, 'crm.api.localhost', 'GET /x', [`authorization: Bearer ${token}`])).status).toBe(200)
  })
})

describe('issue 6: too much, too slow, and the end', () => {
  it.each(['POST /webhooks/github', 'POST /proxy/crm/contacts', 'POST /v1/requests'])(
    '%s: above what may be in flight, 503 and Retry-After; probes are answered; then it goes on',
    async (line) => {
      const { port } = await serving({ ...HOOKS, gateway: { maxInFlight: 1 } })
      const json = ['content-type: application/json', 'content-length: 2']
      const waiting = await underWay(port, line, json)
      const refused = await post(port, 'POST /webhooks/github', signed())
      expect([refused.status, refused.head]).toEqual([503, expect.stringMatching(/^retry-after: \d+/im)])
      expect((await raw(port, rawRequest('GET /healthz'))).status).toBe(200)
      waiting.destroy()
      await expect.poll(async () => (await post(port, 'POST /webhooks/github', signed())).status).toBe(200)
    },
  )

  it.each(['POST /webhooks/github', 'POST /proxy/crm/contacts', 'POST /v1/requests'])(
    '%s: a sender who stands still is told, or let go, and leaves nothing behind',
    async (line) => {
      const { port, gateway } = await serving({ ...HOOKS, gateway: { arrivalMs: 200 } })
      for (const framing of ['content-length: 100', 'transfer-encoding: chunked']) {
        const socket = await underWay(port, line, ['content-type: application/json', framing])
        // What comes back says 408, or nothing.
        expect((await rest(socket)).replace(/^HTTP\/1\.1 408 [\s\S]*/, '')).toBe('')
      }
      await gateway.stop({ graceMs: 60_000 })
    },
  )

  it('slowloris: a head that comes byte by byte is let go', async () => {
    const { port } = await serving({ gateway: { arrivalMs: 300 } })
    const socket = connect(port, '127.0.0.1')
    const answer = rest(socket)
    socket.on('error', () => {})
    socket.write('POST /webhooks/github HTTP/1.1\r\nhost: localhost\r\nx-1: ')
    while (!socket.destroyed && socket.writable) {
      socket.write('x')
      await systemClock.sleep(20)
    }
    // What was sent after the end resets the connection, sometimes before the answer is read.
    expect((await answer).replace(/^HTTP\/1\.1 408 [\s\S]*/, '')).toBe('')
  })

  it('uploads through the proxy whose length nobody knows count as all bodies do: slow ones cannot fill the memory', async () => {
    const MEBIBYTE = 1024 * 1024
    const { port, api } = await serving({ parts: { maxPayloadBytes: MEBIBYTE, maxArrivingBytes: 4 * MEBIBYTE } })
    const piece = 'x'.repeat(MEBIBYTE / 2)
    const chunk = `${piece.length.toString(16)}\r\n${piece}\r\n`
    const begin = () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      const answer = rest(socket)
      socket.write(
        'PUT /proxy/crm/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n',
      )
      socket.write(chunk)
      return { socket, answer }
    }
    const uploads = Array.from({ length: 12 }, begin)
    const isOver = ({ socket }: (typeof uploads)[number]) => socket.destroyed
    await expect.poll(() => uploads.filter(isOver).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(4)
    for (const { answer } of uploads.filter(isOver)) {
      expect(await answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 1\r\n[\s\S]*"overloaded"/i)
    }
    expect(api.requests).toEqual([])
    const open = uploads.filter((upload) => !isOver(upload))
    expect(open.length).toBeLessThanOrEqual(8)
    for (const { socket } of open) socket.write('0\r\n\r\n')
    for (const { answer } of open) expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(api.requests).toHaveLength(open.length)
    // Nothing of it is left behind.
    const again = Array.from({ length: 7 }, begin)
    for (const { socket } of again) socket.write('0\r\n\r\n')
    for (const { answer } of again) expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('a slow upload of unknown length is not held back for ever: it goes on as it comes, and is whole', async () => {
    const seen: string[] = []
    const arrived = Promise.withResolvers<void>()
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (piece) => {
        body += String(piece)
        arrived.resolve()
      })
      request.on('end', () => {
        seen.push(body)
        response.end('{}')
      })
    })
    await using api = await started(server)
    await using hf = await holdfast({ store: 'sqlite::memory:', integrations: { crm: { baseUrl: api.url } } })
    const proxy = proxyOf(hf, { clock: systemClock, newId: () => 'an-id', onTrouble: () => {} })
    const { port } = await serving({ gateway: { arrivalMs: 300 }, parts: { proxy } })
    const socket = await underWay(port, 'POST /proxy/crm/files', ['connection: close', 'transfer-encoding: chunked'])
    const answer = rest(socket)
    // The API hears of it while the caller is still at it.
    let heard = false
    void arrived.promise.then(() => {
      heard = true
    })
    let sent = 0
    for (; !heard; sent++) {
      socket.write('1\r\n.\r\n')
      await systemClock.sleep(20)
    }
    socket.write('4\r\nlast\r\n0\r\n\r\n')
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(seen).toEqual([`${'.'.repeat(sent)}last`])
  })

  it('who does not read the answer is let go', async () => {
    await using api = await upstream((_request, response) => void response.end(Buffer.alloc(100_000_000)))
    await using hf = await holdfast({ store: 'sqlite::memory:', integrations: { crm: { baseUrl: api.url } } })
    const proxy = proxyOf(hf, { clock: systemClock, newId: () => 'an-id', onTrouble: () => {} })
    const { port, gateway } = await serving({ gateway: { arrivalMs: 300 }, parts: { proxy } })
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write('GET /proxy/crm/large HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await expect.poll(() => gateway.inFlight, { timeout: 20_000 }).toBe(1)
    await expect.poll(() => gateway.inFlight, { timeout: 20_000 }).toBe(0)
    socket.destroy()
  })

  it('a gigabyte is refused before it is sent', async () => {
    const { port } = await serving(HOOKS)
    const refused = await raw(port, rawRequest('POST /webhooks/github', ['content-length: 1073741824']))
    expect(refused.status).toBe(413)
  })

  it('who is stopping answers what it has let in, and refuses what comes on an open connection', async () => {
    const { port, gateway } = await serving(HOOKS)
    const waiting = await underWay(port, 'POST /webhooks/github', signed())
    const late = await underWay(port, 'POST /v1/requests', ['content-type: application/json', 'content-length: 2'])
    const stopped = gateway.stop({ graceMs: 60_000 })
    const answers = Promise.all([rest(waiting), rest(late)])
    late.write(`{}POST /webhooks/github HTTP/1.1\r\nhost: x\r\n${signed(EVENT, 'd-2').join('\r\n')}\r\n\r\n${EVENT}`)
    waiting.write(EVENT)
    await stopped
    const [accepted, refused] = await answers
    expect(accepted).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i)
    expect(refused).toMatch(/^HTTP\/1\.1 422 [\s\S]*connection: close/i)
    expect(refused).not.toMatch(/HTTP\/1\.1 200/)
  })
})
