import { describe, expect, it } from 'vitest'
import type { Scope } from '../config/gateway-settings.ts'
import { seededRandom } from '../core/random.ts'
import { assertSafe } from './access.ts'
import { testGateway } from './test-kit.ts'
import { createToken } from './tokens.ts'

const random = seededRandom('tokens')
const made = (['submit', 'read', 'operate', 'admin'] as const).map((scope) => createToken(scope, [scope], random))
const tokens = made.map(({ settings }) => settings)
const bearer = (name: string) => ({
  authorization: `Bearer ${made.find(({ settings }) => settings.name === name)?.token}`,
})

describe('issue 6: without a token', () => {
  it.each(['127.0.0.1', 'localhost', '::1', '[::1]', '127.8.8.8'])('listens on %s', (host) => {
    expect(() => assertSafe({ host, tokens: [] })).not.toThrow()
  })
  it.each(['0.0.0.0', '::', '192.168.0.7', 'example.com', '127.0.0.1.evil.test', 'localhost.evil.test'])(
    'refuses to listen on %s, and says why',
    (host) => {
      expect(() => assertSafe({ host, tokens: [] })).toThrow(/no token is configured/)
      expect(() => assertSafe({ host, tokens })).not.toThrow()
    },
  )

  it('a foreign Host is refused on every route but the probes: DNS rebinding', async () => {
    const gateway = await testGateway({ gateway: { hosts: ['holdfast.internal'] } })
    const at = (host: string, path = '/v1/stats') => gateway.call('GET', path, { headers: { host } })
    for (const host of ['evil.test', 'evil.test:4180', '127.0.0.1.evil.test', 'localhost.', '']) {
      expect(await at(host), host).toMatchObject({ status: 403, json: { code: 'host_refused' } })
    }
    for (const host of ['localhost:4180', '127.0.0.1', '[::1]:4180', 'HOLDFAST.internal']) {
      expect((await at(host)).status, host).toBe(200)
    }
    expect((await at('10.0.0.7', '/healthz')).status).toBe(200)
    await gateway.finish()
  })

  it('a page of another site can change nothing: CSRF', async () => {
    const gateway = await testGateway()
    const resume = (headers: Record<string, string>) =>
      gateway.call('POST', '/v1/integrations/crm/resume', { headers: { host: '127.0.0.1:4180', ...headers } })
    for (const headers of [
      { origin: 'https://evil.test' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:9999' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', origin: 'http://127.0.0.1:4180' },
    ]) {
      expect(await resume(headers), JSON.stringify(headers)).toMatchObject({ json: { code: 'origin_refused' } })
    }
    expect((await gateway.hf.operations.actions()).rows).toEqual([])
    for (const headers of [{}, { origin: 'http://127.0.0.1:4180', 'sec-fetch-site': 'same-origin' }]) {
      expect((await resume(headers)).status).toBe(200)
    }
    await gateway.finish()
  })
})

describe('issue 6: with tokens', () => {
  const routes: [Scope, string, string, unknown?][] = [
    ['submit', 'POST', '/v1/requests', { integration: 'crm', method: 'GET', path: '/x' }],
    ['read', 'GET', '/v1/items'],
    ['read', 'GET', '/openapi.json'],
    ['operate', 'POST', '/v1/integrations/crm/suspend', { reason: 'test' }],
    ['operate', 'POST', '/v1/dead-letters/discard', { selection: { all: true }, reason: 'test' }],
  ]
  const allowed: Record<string, readonly Scope[]> = {
    submit: ['submit'],
    read: ['read'],
    operate: ['operate', 'read'],
    admin: ['submit', 'read', 'operate', 'admin'],
  }

  it.each(routes)('scope %s is needed for %s %s', async (scope, method, path, body) => {
    const gateway = await testGateway({ gateway: { tokens } })
    const call = (headers: Record<string, string>) =>
      gateway.call(method, path, { headers, ...(body !== undefined && { body }) })
    const none = await call({})
    expect(none).toMatchObject({ status: 401, json: { code: 'token_missing' } })
    expect(none.headers.get('www-authenticate')).toContain('Bearer')
    for (const wrong of ['Bearer x', 'Basic YTpi', 'Bearer ', `Bearer ${tokens[0]?.hash}`]) {
      expect(await call({ authorization: wrong }), wrong).toMatchObject({
        status: 401,
        json: { code: 'token_invalid' },
      })
    }
    for (const [name, scopes] of Object.entries(allowed)) {
      const { status, json } = await call(bearer(name))
      if (scopes.includes(scope)) expect(status, name).toBeLessThan(300)
      else expect([status, json.code], name).toEqual([403, 'scope_missing'])
    }
    await gateway.finish()
  })

  it('probes need none; what is not there tells nothing', async () => {
    const gateway = await testGateway({ gateway: { tokens } })
    expect((await gateway.call('GET', '/healthz')).status).toBe(200)
    expect((await gateway.call('GET', '/readyz')).status).toBe(200)
    expect((await gateway.call('GET', '/v1/secrets')).json.code).toBe('route_not_found')
    await gateway.finish()
  })

  it('what an operator does is written down with token and address', async () => {
    const gateway = await testGateway({ gateway: { tokens } })
    const reason = { reason: 'a new key' }
    const options = { body: reason, headers: bearer('operate'), from: '10.0.0.9' }
    expect((await gateway.call('POST', '/v1/integrations/crm/suspend', options)).json).toEqual({
      suspended: ['crm/default'],
      ...reason,
    })
    const { json } = await gateway.call('GET', '/v1/actions', { headers: bearer('read') })
    expect(json.actions).toMatchObject([
      { by: 'token:operate', from: '10.0.0.9', what: 'suspend', target: 'crm', outcome: 'done', ...reason },
    ])
    await gateway.finish()
  })
})

it('rule 7: a token is 256 random bits, and only its hash is kept', () => {
  const { token, settings } = createToken('ci', ['read'], random)
  expect(token).toMatch(/^hft_[\w-]{43}$/)
  expect(settings.hash).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(JSON.stringify(settings)).not.toContain(token.slice(4))
  expect(createToken('ci', ['read'], random).token).not.toBe(token)
})
