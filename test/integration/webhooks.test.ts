/** Webhooks over real sockets into a real file: the official signer of GitHub, and clients that misbehave. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhooks as GitHubWebhooks } from '@octokit/webhooks'
import { expect, test } from 'vitest'
import type { Holdfast } from '../../src/engine/api.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { holdfast } from '../../src/system/open.ts'
import { idempotent } from '../../src/webhooks/idempotent.ts'
import { nodeListener } from '../../src/webhooks/node-listener.ts'

const github = new GitHubWebhooks({ secret: 'secret' })
const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as { name: string; examples: unknown[] }[]

interface Running {
  readonly hf: Holdfast
  readonly url: string
  readonly port: number
  readonly seen: Map<string, unknown>
}

async function running(use: (running: Running) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-webhooks-'))
  const seen = new Map<string, unknown>()
  const onEvent = definePipeline<unknown>('on-event').step('see', {
    safe: true,
    run({ key, input }) {
      seen.set(key, input)
      return null
    },
  })
  let server: Server | undefined
  try {
    await using hf = await holdfast({
      store: `sqlite:${join(directory, 'holdfast.db')}`,
      pipelines: [onEvent],
      webhooks: { github: { provider: 'github', secret: 'secret', pipeline: 'on-event', maxBody: '1MB' } },
    })
    const webhooks = hf.webhookHandler('github')
    let orders = 0
    const create = idempotent(() => Response.json({ order: ++orders }, { status: 201 }), { store: hf })
    const route = (request: Request) =>
      new URL(request.url).pathname === '/orders' ? create(request) : webhooks(request)
    server = createServer(nodeListener(route)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await use({ hf, url: `http://127.0.0.1:${port}`, port, seen })
    expect((await hf.operations.audit()).balanced).toBe(true)
  } finally {
    server?.closeAllConnections()
    server?.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function deliver(url: string, id: string, event: string, payload: unknown): Promise<number> {
  const body = JSON.stringify(payload)
  const headers = {
    'content-type': 'application/json',
    'x-github-delivery': id,
    'x-github-event': event,
    'x-hub-signature-256': await github.sign(body),
  }
  return (await fetch(`${url}/webhooks/github`, { method: 'POST', body, headers })).status
}

test('R154 R155 R101: all 329 payloads of GitHub, many at once, some twice: each is run once', async () => {
  await running(async ({ hf, url, seen }) => {
    const deliveries = examples.flatMap(({ name, examples }) =>
      examples.map((payload, index) => ({ id: `${name}-${index}`, name, payload })),
    )
    const twice = [...deliveries, ...deliveries.filter((_, index) => index % 3 === 0)]
    const statuses = await Promise.all(twice.map(({ id, name, payload }) => deliver(url, id, name, payload)))
    expect(new Set(statuses)).toEqual(new Set([200]))
    hf.startWorker()
    const { accepted, states } = await hf.drain()
    expect([accepted, states.succeeded]).toEqual([329, 329])
    for (const { id, payload } of deliveries) expect(seen.get(`github:${id}`)).toEqual(payload)
  })
})

test('callers who misbehave take nothing down: too large, cut off, not HTTP', async () => {
  await running(async ({ hf, url, port }) => {
    const large = await fetch(`${url}/webhooks/github`, { method: 'POST', body: 'x'.repeat(1_000_001) })
    expect(large.status).toBe(413)

    const cut = connect(port, '127.0.0.1')
    await once(cut, 'connect')
    cut.write('POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
    const refused = new Promise<string>((resolve) => {
      hf.events.on('webhook.refused', ({ reason }) => resolve(reason))
    })
    cut.destroy()
    expect(await refused).toBe('incomplete')

    for (const text of ['GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 'TRACE / HTTP/1.1\r\nhost: x\r\n\r\n']) {
      const socket = connect(port, '127.0.0.1')
      socket.write(text)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /)
      socket.destroy()
    }
    expect(await deliver(url, 'one', 'ping', { zen: 'Keep it logically awesome.' })).toBe(200)
  })
})

test('R098: an API of one’s own is called once for each key, over real sockets', async () => {
  await running(async ({ url }) => {
    const order = (key: string) =>
      fetch(`${url}/orders`, { method: 'POST', body: '{"amount":1}', headers: { 'idempotency-key': key } })
    const first = await order('a')
    const again = await order('a')
    expect([await first.json(), await again.json(), await (await order('b')).json()]).toEqual([
      { order: 1 },
      { order: 1 },
      { order: 2 },
    ])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    const race = await Promise.all([order('c'), order('c'), order('c')])
    expect(race.map(({ status }) => status).filter((status) => status !== 201 && status !== 409)).toEqual([])
  })
})
