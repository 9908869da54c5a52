/** The end of a run is told, whatever becomes of the process that brought it about. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { openWorkshop, type RunningProcess, type Workshop } from '../support/workshop.ts'

const SECRET = `whsec_${Buffer.from(systemRandom.bytes(32)).toString('base64')}`

interface Received {
  readonly headers: Record<string, string>
  readonly body: string
}

/** Somebody who waits for callbacks: the first is answered with 503. */
async function startReceiver() {
  const received: Received[] = []
  const arrivals = new Set<() => void>()
  const server = createServer((request: IncomingMessage, response) => {
    void text(request).then((body) => {
      received.push({ headers: request.headers as Record<string, string>, body })
      response.writeHead(received.length === 1 ? 503 : 204).end()
      for (const arrived of arrivals) arrived()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async has(count: number) {
      while (received.length < count) await new Promise<void>((resolve) => arrivals.add(resolve))
    },
    [Symbol.dispose]: () => void server.close(),
  }
}

async function serve(workshop: Workshop): Promise<{ url: string; running: RunningProcess }> {
  const running = workshop.start('serve', '--port', '0')
  await running.says('listens on')
  return { url: /http:\/\/[\d.:]+/.exec(running.stderr())?.[0] ?? expect.fail('no address'), running }
}

test('issue 6: killed between the end of a run and its callback: it is told all the same, as the official libraries want it', {
  timeout: 180_000,
}, async () => {
  using receiver = await startReceiver()
  const contacts = resource('/contacts', { effectKey: 'email' })
  await using twin = await startTwin({ clock: systemClock, random: systemRandom, routes: contacts })
  await using workshop = openWorkshop()
  workshop.write(
    'holdfast.yaml',
    `
integrations:
  crm: { baseUrl: "${twin.url}" }
pipelines:
  onboard:
    steps:
      create: { integration: crm, request: { method: POST, path: /contacts, body: "{{ input }}" } }
callbacks: { hosts: ["${receiver.url}"], secret: "${SECRET}" }
worker: { lease: 2s }
`,
  )
  const first = await serve(workshop)
  const address = encodeURIComponent(`${receiver.url}/done`)
  const submitted = await fetch(`${first.url}/v1/pipelines/onboard/runs?callback=${address}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"email":"ada@example.com"}',
  })
  expect(submitted.status).toBe(202)
  const { runId } = (await submitted.json()) as { runId: string }
  for (;;) {
    const run = (await (await fetch(`${first.url}/v1/runs/${runId}`)).json()) as { items: { state: string }[] }
    if (run.items.every(({ state }) => state === 'succeeded')) break
    await systemClock.sleep(20)
  }
  first.running.child.kill('SIGKILL')
  await first.running.ended

  const second = await serve(workshop)
  await receiver.has(2)
  for (const { body, headers } of receiver.received) {
    expect(new StandardWebhook(SECRET).verify(body, headers)).toMatchObject({
      type: 'run.succeeded',
      data: { runId, pipeline: 'onboard', steps: [{ step: 'create', state: 'succeeded' }] },
    })
    new SvixWebhook(SECRET).verify(body, headers)
  }
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  second.running.child.kill('SIGINT')
  await second.running.ended
})
