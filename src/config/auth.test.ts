import { describe, expect, test } from 'vitest'
import { keyTexts } from './auth.ts'
import { resolveConfig } from './resolve.ts'

const KEY = 'c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE='
const OAUTH = {
  type: 'oauth2',
  grant: 'refresh_token',
  tokenUrl: 'https://auth.test/token',
  clientId: 'id',
  clientSecret: '${SECRET}',
  refreshToken: '${REFRESH}',
} as const
const ENV = { SECRET: 'the-secret', REFRESH: 'the-refresh-token', HOLDFAST_KEY: KEY }

function resolve(auth: unknown, env: Record<string, string> = ENV, more: object = {}) {
  const input = { integrations: { crm: { baseUrl: 'https://crm.test', auth } }, ...more }
  return resolveConfig(input, { env, baseDirectory: '/etc/holdfast' })
}

describe('credentials in the configuration', () => {
  test('every default of oauth2 is filled in', () => {
    expect(resolve(OAUTH).integrations[0]?.auth).toEqual({
      type: 'oauth2',
      grant: 'refresh_token',
      tokenUrl: 'https://auth.test/token',
      clientId: 'id',
      clientSecret: 'the-secret',
      clientAuth: 'basic',
      refreshToken: 'the-refresh-token',
      scopes: [],
      parameters: {},
      refreshAheadMs: undefined,
      lifetimeMs: undefined,
      minIntervalMs: 0,
      neverRefreshOn: ['Connected app is not attached to Agent', 'not valid for use with the REST API'],
    })
  })

  test.for([
    [
      'client_credentials without a secret',
      { ...OAUTH, grant: 'client_credentials', clientSecret: undefined },
      'needs a clientSecret',
    ],
    ['client_credentials with a refresh token', { ...OAUTH, grant: 'client_credentials' }, 'has no refreshToken'],
    ['a grant there is not', { ...OAUTH, grant: 'password' }, 'auth.grant: expected one of'],
    [
      'a token URL with a user',
      { ...OAUTH, tokenUrl: 'https://me:pw@auth.test/' },
      'auth.tokenUrl: expected an http(s) URL',
    ],
    ['an unknown key', { ...OAUTH, scope: 'read' }, 'unknown key; did you mean "scopes"'],
    ['a header without a name', { type: 'stored', sendAs: 'header' }, 'needs a name'],
    ['a signer that is no function', { type: 'signed', sign: 'hmac' }, 'only configurations in code can have one'],
  ] as const)('%s is refused, and no secret is shown', ([, auth, message]) => {
    const error = thrownBy(() => resolve(auth))
    expect(error.message).toContain(message)
    for (const secret of ['the-secret', 'the-refresh-token', 'pw@', KEY]) expect(error.message).not.toContain(secret)
  })

  test('a signer passes as it is; a function anywhere else does not', () => {
    const sign = () => ({})
    expect(resolve({ type: 'signed', sign }).integrations[0]?.auth).toEqual({ type: 'signed', sign })
    expect(thrownBy(() => resolve({ type: 'bearer', token: sign })).message).toContain('a function cannot stand here')
  })

  test('without a key, what would be stored is refused at start, and looking is not', () => {
    const { HOLDFAST_KEY: _key, ...keyless } = ENV
    expect(thrownBy(() => resolve(OAUTH, keyless)).message).toContain('set HOLDFAST_KEY')
    expect(resolve({ type: 'bearer', token: 'x' }, keyless).keys).toEqual([])
    const look = { env: {}, baseDirectory: '/', missingCredentials: 'allow' } as const
    const input = { integrations: { crm: { baseUrl: 'https://crm.test', auth: OAUTH } }, keys: '${HOLDFAST_KEY}' }
    expect(resolveConfig(input, look).keys).toEqual([])
  })

  test('keys: from the variable, several at once, from files beside the configuration', () => {
    expect(keyTexts(undefined, { HOLDFAST_KEY: 'new, old\nolder' }, '/etc')).toEqual(['new', 'old', 'older'])
    expect(keyTexts(['new', 'file:old.key', 'file:/run/older'], {}, '/etc/hf')).toEqual([
      'new',
      'file:/etc/hf/old.key',
      'file:/run/older',
    ])
    expect(resolve(OAUTH, ENV, { keys: ['${HOLDFAST_KEY}', 'file:x'] }).keys).toEqual([KEY, 'file:/etc/holdfast/x'])
  })
})

function thrownBy(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
