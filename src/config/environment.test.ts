import { describe, expect, it } from 'vitest'
import { resolveConfig } from './resolve.ts'
import { crm, integrationOf, load, problemsIn } from './test-load.ts'

describe('references to the environment', () => {
  const auth = { type: 'bearer', token: '${CRM_TOKEN}' }

  it('are replaced, also amid text and several times', () => {
    const input = { integrations: { crm: { baseUrl: 'https://${HOST}/${HOST}', auth } }, store: 'sqlite:${DIR}/x.db' }
    const config = load(input, { CRM_TOKEN: 'secret', HOST: 'api', DIR: '/var' })
    expect(integrationOf(config)).toMatchObject({
      baseUrl: 'https://api/api',
      auth: { type: 'bearer', token: 'secret' },
    })
    expect(config.store).toEqual({ kind: 'sqlite', path: '/var/x.db' })
    const server = load({ store: 'postgres://ada:${PASSWORD}@db/main' }, { PASSWORD: 'secret' })
    expect(server.store).toEqual({ kind: 'postgres', url: 'postgres://ada:secret@db/main' })
  })

  it('a missing or empty variable is told by name and place, and nothing else about that place', () => {
    const input = { integrations: { crm: { baseUrl: '${CRM_URL}', auth } } }
    expect(problemsIn(input, { CRM_URL: '', CRM_TOKN: 'x' })).toEqual([
      'integrations.crm.baseUrl: the environment variable CRM_URL is empty',
      'integrations.crm.auth.token: the environment variable CRM_TOKEN is not set; did you mean "CRM_TOKN"?',
    ])
  })

  it('looking at the ledger needs no credentials, but everything else', () => {
    const look = (input: unknown) =>
      resolveConfig(input, { env: {}, baseDirectory: '/', missingCredentials: 'allow' }).integrations.length
    expect(look({ integrations: { crm: { ...crm, auth, headers: { 'x-key': '${KEY}' } } } })).toBe(1)
    expect(() => look({ integrations: { crm: { baseUrl: '${URL}', auth } } })).toThrow(/variable URL is not set/)
  })

  it('a name that cannot be one is told', () => {
    expect(problemsIn({ store: 'sqlite:${not a name}' })).toEqual([
      'store: "${not a name}" is not a reference; write "${NAME}" with letters, digits and _',
    ])
  })

  it('the environment has no inherited names', () => {
    expect(problemsIn({ store: 'sqlite:${constructor}' })[0]).toContain('constructor is not set')
  })

  it('rule 7: a secret never gets into a message, wherever it was put', () => {
    const secret = 'sk_live_51abcdef'
    const wrong = {
      preset: '${S}',
      retry: { base: '${S}', maxAttempts: '${S}' },
      auth: { type: 'bearer', token: '${S}', extra: '${S}' },
      headers: { authorization: 'Bearer ${S}\n' },
      limits: { rate: '${S}' },
      errorPaths: { code: ['${S}', ''] },
    }
    const env = { S: secret }
    const literal = { auth: { type: 'basic', user: 'me', password: [secret] }, baseUrl: `https://me:${secret}@x.y` }
    const messages = [
      ...problemsIn({ integrations: { a: { ...crm, ...wrong } } }, env),
      ...problemsIn({ integrations: { a: literal }, store: `postgres://me:${secret}@host/db` }),
    ]
    expect(messages.length).toBeGreaterThan(7)
    expect(messages.join('\n')).not.toContain(secret)
  })

  it('leaves expressions alone: ${ } is JSONata there', () => {
    const request = {
      method: 'POST',
      path: '/x',
      body: '{{ input.list.${name: value} }}',
      headers: { 'x-key': '${K}' },
    }
    const config = { integrations: { crm }, pipelines: { p: { steps: { s: { integration: 'crm', request } } } } }
    expect(problemsIn(config, { K: 'v' })).toEqual([])
  })
})
