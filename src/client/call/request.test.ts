import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testEndpoint, testIntegration } from '../test-kit.ts'
import { normalisePath } from './endpoints.ts'
import { expandPath, resolveEndpoint, withQuery } from './request.ts'

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return undefined
}

describe('paths', () => {
  test('values are encoded as one segment each', () => {
    expect(expandPath('/people/{email}/notes/{id}', { email: 'a b/c?d#e@x.org', id: 7 })).toBe(
      '/people/a%20b%2Fc%3Fd%23e%40x.org/notes/7',
    )
  })

  test('a value can never leave its segment', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        let path: string
        try {
          path = expandPath('/people/{id}/notes', { id: value })
        } catch (error) {
          expect((error as { code: string }).code).toBe('invalid_path_param')
          return
        }
        const url = new URL(path, 'http://api.example.com')
        expect(url.pathname.split('/')).toHaveLength(4)
        expect(url.pathname.endsWith('/notes')).toBe(true)
        expect(url.search + url.hash).toBe('')
        expect(decodeURIComponent(url.pathname.split('/')[2] as string)).toBe(value)
      }),
    )
  })

  test('a missing, empty or dangerous parameter is refused before anything is sent', () => {
    expect(codeOf(() => expandPath('/people/{id}', {}))).toBe('missing_path_param')
    expect(codeOf(() => expandPath('/people/{constructor}', {}))).toBe('missing_path_param')
    for (const id of ['', '.', '..', Number.NaN, Number.POSITIVE_INFINITY, '\ud800']) {
      expect(codeOf(() => expandPath('/people/{id}', { id }))).toBe('invalid_path_param')
    }
  })

  test('a concrete path that would mean something else is refused', () => {
    for (const path of [
      'people',
      'http://evil.example/x',
      '/a b',
      '/a\r\nx: y',
      '/a/../b',
      '/a/%2E%2e/b',
      '/a#b',
      '/ä',
      '',
    ]) {
      expect(codeOf(() => expandPath(path))).toBe('invalid_path')
    }
    expect(expandPath('/v1/.well-known/x..y?z=../a')).toBe('/v1/.well-known/x..y?z=../a')
  })

  test('queries are encoded; undefined is left out', () => {
    expect(withQuery('/a', { q: 'x&y=z', n: 0, b: false, none: undefined })).toBe('/a?q=x%26y%3Dz&n=0&b=false')
    expect(withQuery('/a?b=1', { c: 2 })).toBe('/a?b=1&c=2')
    expect(withQuery('/a', {})).toBe('/a')
  })
})

describe('endpoints', () => {
  const integration = testIntegration('http://api.example.com', {
    endpoints: {
      'GET /people/{id}': testEndpoint('GET /people/{id}'),
      'GET /people/search': testEndpoint('GET /people/search'),
      'GET /files/{name}.json': testEndpoint('GET /files/{name}.json'),
    },
  })
  const nameOf = (method: string, path: string) => resolveEndpoint(integration, method, path).endpoint

  test('R072: a template, and a concrete path of it, are one endpoint', () => {
    expect(nameOf('GET', '/people/{id}')).toBe('GET /people/{id}')
    expect(nameOf('GET', '/people/ada')).toBe('GET /people/{id}')
    expect(nameOf('GET', '/people/ada?expand=all')).toBe('GET /people/{id}')
    expect(resolveEndpoint(integration, 'GET', '/people/ada')).toBe(resolveEndpoint(integration, 'GET', '/people/bob'))
  })

  test("a caller's own template keeps its name, with what is known of the endpoints that it stands for", () => {
    const known = resolveEndpoint(integration, 'GET', '/people/{email}')
    const own = resolveEndpoint(integration, 'GET', '/people/{address}')
    expect(own).toEqual({ ...known, endpoint: 'GET /people/{address}' })
    expect(nameOf('GET', '/people/{a}/{b}')).toBe('GET /people/{a}/{b}')
  })

  test('R096: a family says what holds for all below it; each endpoint keeps its name, and a template goes before', () => {
    const keyed = { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 1000 } as const
    const family = testIntegration('http://api.example.com', {
      endpoints: {
        'POST /v1/*': testEndpoint('POST /v1/*', { idempotency: keyed }),
        'POST /v1/tokens/{id}': testEndpoint('POST /v1/tokens/{id}', { idempotency: { kind: 'unsafe' } }),
      },
    })
    const known = (path: string) => resolveEndpoint(family, 'POST', path)
    expect(known('/v1/charges/ch_1AbCdEf23')).toMatchObject({ endpoint: 'POST /v1/charges/{id}', idempotency: keyed })
    expect(known('/v1/charges/{charge}')).toMatchObject({ endpoint: 'POST /v1/charges/{charge}', idempotency: keyed })
    expect(known('/v1/tokens/17').idempotency).toEqual({ kind: 'unsafe' })
    expect(known('/v2/charges').idempotency).toEqual({ kind: 'unsafe' })
  })

  test('the more exact template wins; a dot in a template is a dot', () => {
    expect(nameOf('GET', '/people/search')).toBe('GET /people/search')
    expect(nameOf('GET', '/files/report.json')).toBe('GET /files/{name}.json')
    expect(nameOf('GET', '/files/reportXjson')).toBe('GET /files/reportXjson')
  })

  test('R096: unknown endpoints get the defaults and the safety of their method', () => {
    expect(resolveEndpoint(integration, 'POST', '/notes').idempotency).toEqual({ kind: 'unsafe' })
    expect(resolveEndpoint(integration, 'PUT', '/notes/{id}')).toMatchObject({
      endpoint: 'PUT /notes/{id}',
      idempotency: { kind: 'safe' },
      maxResponseBytes: integration.defaults.maxResponseBytes,
    })
  })

  test('values in paths become {id}; words and versions stay', () => {
    expect(normalisePath('/crm/v3/objects/contacts/12345')).toBe('/crm/v3/objects/contacts/{id}')
    expect(normalisePath('/v1/customers/cus_NffrFeUfNV2Hib/sources')).toBe('/v1/customers/{id}/sources')
    expect(normalisePath('/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301')).toBe('/a/{id}')
    expect(normalisePath('/people/ada%40example.org')).toBe('/people/{id}')
    expect(normalisePath('/admin/api/2024-01/products.json')).toBe('/admin/api/2024-01/products.json')
    expect(normalisePath('/services/data/v59.0/sobjects/Account')).toBe('/services/data/v59.0/sobjects/Account')
    expect(normalisePath('/services/data/v59.0/sobjects/Account/0015g00000AbCdEFGH')).toBe(
      '/services/data/v59.0/sobjects/Account/{id}',
    )
  })

  test('whatever is called, the number of endpoints is bounded', () => {
    const names = new Set<string>()
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    for (let index = 0; index < 5000; index++) {
      const word = [0, 1, 2].map((digit) => letters[Math.floor(index / 26 ** digit) % 26]).join('')
      names.add(nameOf('GET', `/free/${word}`))
    }
    expect(names.size).toBeLessThanOrEqual(501)
    expect(names).toContain('GET /*')
  })
})
