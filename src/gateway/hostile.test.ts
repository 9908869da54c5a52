import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ORIGIN, testGateway } from './test-kit.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'] as const
const ROUTES = [
  '/v1/pipelines/onboard/runs',
  '/v1/pipelines/__proto__/runs',
  '/v1/requests',
  '/v1/runs/x',
  '/v1/items',
  '/v1/items/constructor',
  '/v1/items/a.b/resolve',
  '/v1/dead-letters',
  '/v1/dead-letters/groups',
  '/v1/dead-letters/replay',
  '/v1/dead-letters/discard',
  '/v1/integrations/__proto__/suspend',
  '/v1/integrations/crm/resume',
  '/v1/breakers/toString/reset',
  '/v1/stats',
  '/v1/audit',
  '/v1/actions',
  '/openapi.json',
] as const

const odd = fc.constantFrom(
  '..',
  '%2e%2e%2f',
  '%00',
  '%ff',
  '%',
  '//evil.test',
  '\\',
  "' OR 1=1 --",
  '${HOME}',
  '{{ 1 }}',
  '\u{1f600}',
)
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...ROUTES) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...ROUTES), odd).map(([route, tail]) => `${route}/${tail}`) },
  { weight: 1, arbitrary: fc.webPath() },
)
const query = fc.array(
  fc.tuple(
    fc.constantFrom('limit', 'cursor', 'state', 'label', 'key', 'batch', 'group', 'types', '__proto__', 'x'),
    fc.oneof(fc.string(), odd),
  ),
  { maxLength: 4 },
)
const body = fc.option(
  fc.oneof(
    fc.json(),
    fc.string(),
    fc
      .record(
        {
          selection: fc.oneof(
            fc.constant({ all: true }),
            fc.record({ items: fc.array(fc.string(), { maxLength: 3 }) }),
            fc.anything(),
          ),
          reason: fc.oneof(fc.string(), fc.integer()),
          patch: fc.jsonValue(),
          integration: fc.constantFrom('crm', '__proto__', 'toString'),
          method: fc.constantFrom('GET', 'TRACE', 'CONNECT'),
          path: fc.oneof(odd, fc.constant('/x'), fc.string()),
          headers: fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }),
          happened: fc.boolean(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  ),
  { nil: undefined },
)
const headers = fc.record(
  {
    'content-type': fc.constantFrom(
      'application/json',
      'application/x-ndjson',
      'text/plain',
      'application/vnd.x+json',
      ';',
    ),
    'idempotency-key': fc.constantFrom('"a"', 'a', '"', '', '\u00e9'),
    accept: fc.constantFrom('application/x-ndjson', '*/*', 'text/html'),
    origin: fc.constantFrom('null', ORIGIN, 'https://evil.test', ':'),
    'x-correlation-id': fc.constantFrom('a', '<script>', 'x'.repeat(200)),
    traceparent: fc.constantFrom('00-0-0-00', '-', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
    authorization: fc.constantFrom('Bearer x', 'Bearer', ''),
  },
  { requiredKeys: [] },
)

it('issue 6: no hostile request breaks it: no 5xx, no trouble, always a problem or an answer', async () => {
  const gateway = await testGateway()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...METHODS),
      path,
      query,
      body,
      headers,
      async (method, route, pairs, sent, given) => {
        const url = URL.parse(`${ORIGIN}${route}?${new URLSearchParams(pairs)}`)
        if (!url || url.origin !== ORIGIN) return
        const hasBody = sent !== undefined && method !== 'GET' && method !== 'HEAD'
        const request = new Request(url, { method, headers: given, ...(hasBody && { body: sent }) })
        const response = await gateway.app.fetch(request, '127.0.0.1')
        const text = url.pathname === '/v1/events' ? '' : await response.text()
        expect(response.status, `${method} ${url.href} ${sent ?? ''} ${text}`).toBeLessThan(500)
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
        expect(response.headers.get('x-correlation-id')).toMatch(/^[\w.:/+=@-]{1,128}$/)
        if (response.status >= 400 && method !== 'HEAD') {
          expect(JSON.parse(text)).toMatchObject({ code: expect.stringMatching(/^[a-z_]+$/), hint: expect.any(String) })
        }
      },
    ),
    { numRuns: Number(process.env['HOSTILE_RUNS'] ?? 1000) },
  )
  expect(gateway.troubles).toEqual([])
  await gateway.finish()
})
