import { describe, expect, it } from 'vitest'
import { resolveConfig } from './resolve.ts'

const HASH = `sha256:${'0a'.repeat(32)}`
const load = (gateway: unknown) => resolveConfig({ gateway }, { env: {}, baseDirectory: '/' }).gateway

describe('gateway', () => {
  it('what is written becomes settings', () => {
    const tokens = [{ name: 'ci', scopes: ['submit', 'read'], hash: HASH }]
    expect(load({ host: '0.0.0.0', port: 0, tokens, rate: '100/1s', maxInFlight: 5, arrivalTimeout: '5s' })).toEqual({
      host: '0.0.0.0',
      port: 0,
      hosts: [],
      proxyDomain: 'api.localhost',
      tokens,
      maxInFlight: 5,
      rate: { limit: 100, perMs: 1000 },
      arrivalMs: 5000,
    })
  })

  it.each([
    [{ prot: 1 }, 'did you mean "port"'],
    [{ port: 70_000 }, 'port'],
    [{ proxyDomain: 'localhost' }, 'expected a domain such as "api.internal"'],
    [{ proxyDomain: '*.api.localhost' }, 'expected a domain'],
    [{ tokens: [{ name: 'ci', scopes: ['submit'], hash: 'hft_the-token-itself' }] }, 'holdfast token create'],
    [{ tokens: [{ name: 'ci', scopes: [], hash: HASH }] }, 'at least one scope'],
    [{ tokens: [{ name: 'ci', scopes: ['write'], hash: HASH }] }, 'submit, read, operate, admin'],
    [
      {
        tokens: [
          { name: 'ci', scopes: ['read'], hash: HASH },
          { name: 'ci', scopes: ['submit'], hash: HASH },
        ],
      },
      'the same name',
    ],
  ])('refuses %j, and says why', (gateway, why) => {
    expect(() => load(gateway)).toThrow(why)
  })

  it('rule 7: a token that was written for its hash is not repeated in the message', () => {
    const tokens = [{ name: 'ci', scopes: ['submit'], hash: 'hft_the-token-itself' }]
    expect(() => load({ tokens })).toThrow(/^(?!.*itself)[\s\S]*holdfast token create/)
  })
})
