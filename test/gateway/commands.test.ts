import { Command } from 'commander'
import { expect, it } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import type { Registrar } from '../../src/cli/registrar.ts'
import { testGateway } from '../../src/gateway/test-kit.ts'

/** How each command can be done over HTTP, or why not. */
const OVER_HTTP: Readonly<Record<string, string | { readonly because: string }>> = {
  demo: { because: 'It shows Holdfast to somebody at a terminal.' },
  init: { because: 'It writes the configuration, which a gateway needs to run.' },
  twin: { because: 'A server of its own, for tests.' },
  run: 'POST /v1/pipelines/{name}/runs',
  serve: { because: 'It is the gateway.' },
  'token create': { because: 'Whoever could make tokens over HTTP could give themselves any scope.' },
  worker: { because: 'A process of its own; `holdfast serve` works too.' },
  status: 'GET /v1/stats',
  items: 'GET /v1/items',
  item: 'GET /v1/items/{id}',
  explain: 'GET /v1/items/{id}',
  audit: 'GET /v1/audit',
  'dlq list': 'GET /v1/dead-letters',
  'dlq groups': 'GET /v1/dead-letters/groups',
  'dlq show': 'GET /v1/items/{id}',
  'dlq export': 'GET /v1/dead-letters/export',
  'dlq replay': 'POST /v1/jobs',
  'dlq discard': 'POST /v1/jobs',
  'dlq resolve': 'POST /v1/items/{id}/resolve',
  'jobs list': 'GET /v1/jobs',
  'jobs show': 'GET /v1/jobs/{id}',
  'jobs watch': 'GET /v1/jobs/{id}/events',
  'jobs cancel': 'POST /v1/jobs/{id}/cancel',
  'integrations list': 'GET /v1/integrations',
  'integrations suspend': 'POST /v1/integrations/{name}/suspend',
  'integrations resume': 'POST /v1/integrations/{name}/resume',
  'profiles list': 'GET /v1/profiles',
  'profiles show': 'GET /v1/profiles/{name}',
  'profiles test': { because: 'It judges an answer that somebody has at hand; nothing of the store is read.' },
  'profiles suggest': 'GET /v1/suggestions',
  'credentials list': 'GET /v1/credentials',
  'credentials show': 'GET /v1/credentials/{name}',
  'credentials set': 'POST /v1/credentials/{name}',
  'credentials refresh': 'POST /v1/credentials/{name}/refresh',
  'credentials rotate-key': 'POST /v1/credentials/rotate-key',
  erase: 'POST /v1/erasures',
  'keys list': { because: 'Keys are of the machines that have them: a gateway tells nobody which it has.' },
  'keys rotate': { because: 'It needs the keys in the configuration changed first, and may run for hours.' },
  'callbacks list': 'GET /v1/callbacks/disabled',
  'callbacks enable': 'POST /v1/callbacks/{address}/enable',
  'breakers list': 'GET /v1/breakers',
  'breakers reset': 'POST /v1/breakers/{key}/reset',
  doctor: {
    because:
      'It checks the machine that it runs on: Node, configuration, server. What it says of the store: /v1/audit, /v1/stats, /v1/credentials, /v1/endpoints.',
  },
  migrate: { because: 'It closes the store for all processes, the gateway too.' },
}

async function commands(): Promise<string[]> {
  const found: string[] = []
  const registrar = (path: string): Registrar => ({
    handle: (command) =>
      void found.push([path, command.name()].filter((name, at) => at === 0 || name !== path).join(' ')),
    examples: () => undefined,
  })
  for (const { name, load } of CATALOGUE) (await load()).define(new Command(name), registrar(name))
  return found
}

it('issue 6: whatever a command does to the store, or reads of it, can be done over HTTP, or it is said why not', async () => {
  expect((await commands()).toSorted()).toEqual(Object.keys(OVER_HTTP).toSorted())
  const gateway = await testGateway()
  const { json } = await gateway.call('GET', '/openapi.json')
  const routes = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  for (const [command, route] of Object.entries(OVER_HTTP)) {
    if (typeof route === 'string') expect(routes, command).toContain(route)
    else expect(route.because.length, command).toBeGreaterThan(15)
  }
  await gateway.finish()
})
