import { expect, test } from 'vitest'
import { resolveConfig } from './resolve.ts'

function load(callbacks: unknown) {
  return resolveConfig({ callbacks }, { env: {}, baseDirectory: '/' }).callbacks
}

test('each host that may be told is an integration: https, on its own port, unless it is said otherwise', () => {
  const hosts = ['hooks.example.com', 'https://Hooks.example.com', 'hooks.example.com:8443', 'http://127.0.0.1:8080']
  const { integrations, secret } = load({ hosts, secret: 'whsec_x', concurrency: 3 })
  expect(secret).toBe('whsec_x')
  expect(integrations.map(({ name, baseUrl }) => [name, baseUrl])).toEqual([
    ['callback.hooks.example.com', 'https://hooks.example.com'],
    ['callback.hooks.example.com_8443', 'https://hooks.example.com:8443'],
    ['callback.http.127.0.0.1_8080', 'http://127.0.0.1:8080'],
  ])
  expect(integrations[0]?.limits.concurrency).toBe(3)
})

test.each([['*.example.com'], ['https://hooks.example.com/path'], ['ada:pass@hooks.example.com'], ['ftp://x'], ['']])(
  '%j is no host',
  (host) => {
    expect(() => load({ hosts: [host] })).toThrow('callbacks.hosts[0]: expected a host')
  },
)

test('none are allowed unless they are named', () => {
  expect(load(undefined)).toEqual({ secret: undefined, integrations: [] })
  expect(() => load({ hosts: [] })).toThrow('expected at least one host')
})
