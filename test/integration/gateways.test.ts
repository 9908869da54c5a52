/** Several gateways on one PostgreSQL, as real processes: they share one memory of what was accepted. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signWebhook } from '../../src/webhooks/sign.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { openWorkshop, type RunningProcess, type Workshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
const SECRET = 'a secret of the repository'
const MANY = 40

let server: PostgresServer
let workshop: Workshop
beforeAll(async () => {
  server = await startPostgres()
  workshop = openWorkshop()
  const create = { integration: 'crm', request: { method: 'POST', path: '/contacts', body: '{{ input }}' } }
  workshop.write(
    'holdfast.json',
    JSON.stringify({
      store: server.url,
      integrations: { crm: { baseUrl: 'http://127.0.0.1:9' } },
      pipelines: { onboard: { steps: { create } } },
      webhooks: { github: { provider: 'github', secret: SECRET, pipeline: 'onboard' } },
    }),
  )
}, 2 * MINUTE_MS)
afterAll(async () => {
  await workshop?.[Symbol.asyncDispose]()
  await server?.remove()
})

interface Gateway {
  readonly url: string
  readonly running: RunningProcess
}

async function serve(): Promise<Gateway> {
  const running = workshop.start('serve', '--port', '0', '--no-worker')
  await running.says('listens on')
  return { url: /http:\/\/[\d.:]+/.exec(running.stderr())?.[0] ?? expect.fail('no address'), running }
}

interface Answer {
  readonly status: number
  readonly json: { readonly runId?: string; readonly duplicate?: boolean; readonly code?: string }
}

/** `undefined`: whoever was asked is gone. */
async function post(
  url: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Promise<Answer | undefined> {
  try {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }
    const response = await fetch(url + path, init)
    const text = await response.text()
    return { status: response.status, json: text === '' ? {} : (JSON.parse(text) as Answer['json']) }
  } catch {
    return undefined
  }
}

function deliver(url: string, id: string): Promise<Answer | undefined> {
  const body = JSON.stringify({ id })
  const headers = signWebhook({ provider: 'github', secret: SECRET }, { body }, 0)
  return post(url, '/webhooks/github', { ...headers, 'x-github-delivery': id }, body)
}

const submit = (url: string, key: string, body = JSON.stringify({ key })) =>
  post(url, '/v1/pipelines/onboard/runs', { 'idempotency-key': key }, body)

test('R157, issue 6: an event, or a key, that comes to all of three gateways at once is accepted once; one of them is killed meanwhile', {
  timeout: 3 * MINUTE_MS,
}, async () => {
  const gateways = await Promise.all([serve(), serve(), serve()])
  const [first, second, third] = gateways as [Gateway, Gateway, Gateway]
  const urls = gateways.map(({ url }) => url)
  const kill = (number: number) => number === MANY / 2 && third.running.child.kill('SIGKILL')
  const runIds = new Map<string, string>()
  for (let number = 0; number < MANY; number++) {
    const sent = urls.flatMap((url) => [deliver(url, `event-${number}`), submit(url, `key-${number}`)])
    // In the middle of what it was just sent.
    kill(number)
    const answers = (await Promise.all(sent)).filter((answer) => answer !== undefined)
    expect(answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 202)).toEqual([])
    const ids = new Set(answers.flatMap(({ json }) => json.runId ?? []))
    expect(ids.size).toBe(1)
    runIds.set(`key-${number}`, [...ids][0] ?? '')
  }
  await third.running.ended
  const fourth = await serve()

  for (const { url } of [first, second, fourth]) {
    for (const [key, runId] of runIds) expect((await fetch(`${url}/v1/runs/${runId}`)).status, key).toBe(200)
    const audit = await (await fetch(`${url}/v1/audit`)).json()
    expect(audit).toMatchObject({ balanced: true, balance: { accepted: 2 * MANY } })
  }
  expect(await submit(fourth.url, 'key-0')).toMatchObject({
    status: 202,
    json: { duplicate: true, runId: runIds.get('key-0') },
  })
  const other = await submit(fourth.url, 'key-0', '{"another":1}')
  expect(other).toMatchObject({ status: 422, json: { code: 'key_conflict' } })

  for (const { running } of [first, second, fourth]) {
    running.child.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ code: 0, signal: null })
  }
})

test('issue 6: with its store gone /readyz says so and nothing is answered 2xx; with it back, all goes on', {
  timeout: 3 * MINUTE_MS,
}, async () => {
  const { url, running } = await serve()
  const readiness = async () => (await fetch(`${url}/readyz`)).json()
  expect(await readiness()).toEqual({ status: 'ready' })
  await server.crash()
  await expect.poll(readiness, { timeout: MINUTE_MS }).toMatchObject({ status: 'not_ready' })
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect(await deliver(url, 'while it is away')).toMatchObject({ status: 503 })
  await server.start()
  await expect.poll(readiness, { timeout: MINUTE_MS }).toEqual({ status: 'ready' })
  expect(await deliver(url, 'while it is away')).toMatchObject({ status: 200 })
  running.child.kill('SIGTERM')
  expect((await running.ended).code).toBe(0)
})
