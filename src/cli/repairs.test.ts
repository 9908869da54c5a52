/** Commands that put things right, one after the other, as a person would give them: real store, real API. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CommandLine, commandLine } from '../../test/support/command-line.ts'
import { openWorkshop, type Workshop } from '../../test/support/workshop.ts'
import { loadConfig } from '../config/load.ts'
import { openHoldfast } from '../system/open.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

let workshop: Workshop
let holdfast: CommandLine
let answer: (request: IncomingMessage) => number
const server = createServer((request, response) => {
  request.resume()
  response.writeHead(answer(request), { 'content-type': 'application/json' }).end('{}')
})

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  answer = () => 200
  workshop = openWorkshop()
  workshop.write(
    'holdfast.yaml',
    `
integrations:
  crm: { baseUrl: "${api}" }
pipelines:
  onboard:
    steps:
      create: { integration: crm, request: { method: PUT, path: "/contacts/{id}", params: { id: "{{ input.id }}" }, body: "{{ input }}" } }
callbacks: { hosts: ["${api}"], secret: "${SECRET}" }
`,
  )
  workshop.write('records.jsonl', ['{"id":"a"}', '{"id":"b"}', '{"id":"c"}'].join('\n'))
  holdfast = commandLine(workshop.folder)
})
afterEach(async () => {
  await workshop[Symbol.asyncDispose]()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('issue 6: many dead letters are discarded by a job: plan, run, its story; or it is left to workers, and cancelled', async () => {
  const nothing = await holdfast('dlq', 'discard', '--all', '--reason', 'test records', '--yes')
  expect([nothing.code, nothing.stderr]).toEqual([0, expect.stringContaining('Nothing fits that choice')])
  expect((await holdfast('jobs')).json()).toMatchObject({ jobs: [] })
  answer = () => 422
  expect((await holdfast('run', 'onboard', '--input', 'records.jsonl', '--key', 'id')).code).toBe(3)
  const all = ['dlq', 'discard', '--all', '--reason', 'test records']
  const plan = await holdfast(...all, '--dry-run')
  expect(plan.json()).toMatchObject({ dryRun: true, selected: 3, ready: 3, discarded: 0, groups: [{ count: 3 }] })
  expect((await holdfast(...all, '--dry-run', '--no-json')).stdout).toContain('Would discard 3 of 3 items.')
  const unsure = await holdfast(...all)
  expect([unsure.code, unsure.stderr]).toEqual([2, expect.stringContaining('add --yes to discard 3 items')])

  const left = await holdfast(...all, '--yes', '--no-wait')
  const { job } = left.json() as { job: { id: string } }
  expect(left.json()).toMatchObject({ job: { what: 'discard', phase: 'running', counts: { waiting: 3 } } })
  const cancelled = await holdfast('jobs', 'cancel', job.id, '--reason', 'not yet')
  expect(cancelled.json()).toMatchObject({ phase: 'cancelled', counts: { waiting: 3, succeeded: 0 } })
  expect((await holdfast('status')).json()).toMatchObject({ balance: { states: { dead_lettered: 3 } } })

  const done = await holdfast(...all, '--yes')
  expect([done.code, done.json()]).toMatchObject([
    0,
    { selected: 3, discarded: 3, refused: [], job: { phase: 'done', reason: 'test records', by: 'cli:ada' } },
  ])
  expect((await holdfast('jobs', '--no-json')).stdout).toMatch(/discard .* done .*3 discarded of 3/)
  expect((await holdfast('status')).json()).toMatchObject({ balance: { states: { discarded: 3 } } })
}, 60_000)

test('issue 6: serve tells of a secret that cannot be used before it listens, and which it is', async () => {
  const written = workshop.read('holdfast.yaml')
  const pipeline = 'webhooks: { svix: { provider: svix, secret: "not base64!", pipeline: onboard } }'
  workshop.write('holdfast.yaml', `${written}${pipeline}\n`)
  const webhook = await holdfast('serve', '--port', '0')
  expect([webhook.code, webhook.stderr]).toEqual([2, expect.stringContaining('webhooks.svix: The secret')])
  workshop.write('holdfast.yaml', written.replace(SECRET, 'whsec_nope'))
  const callback = await holdfast('serve', '--port', '0')
  expect(callback.code).not.toBe(0)
  expect(callback.stderr).toContain('`callbacks.secret` of the configuration has fewer than 24 bytes')
}, 60_000)

test('R134: groups show what needs a person and what is tried again by itself, and how many that is', async () => {
  workshop.write('holdfast.yaml', workshop.read('holdfast.yaml').replace('crm: {', 'crm: { retry: { maxAttempts: 1 },'))
  answer = ({ url }) => (url === '/contacts/a' ? 422 : 503)
  await holdfast('run', 'onboard', '--input', 'records.jsonl', '--key', 'id')
  const groups = await holdfast('dlq', 'groups')
  expect(groups.code).toBe(3)
  expect(groups.json()).toMatchObject({
    groups: [
      { count: 2, willRetry: 2, cause: 'outage' },
      { count: 1, willRetry: 0 },
    ],
  })
  expect(groups.stderr).toMatch(/dlq replay --group [0-9a-f]+ --dry-run/)
  expect((await holdfast('dlq', 'groups', '--no-json')).stdout).toMatch(/by itself[\s\S]*outage .* 2 [\s\S]*data .* - /)
  expect((await holdfast('status', '--no-json')).stdout).not.toContain('by itself')

  const bad = (await holdfast('dlq', 'list')).json() as { items: { itemId: string; deadLetter: { cause: string } }[] }
  const one = bad.items.find(({ deadLetter }) => deadLetter.cause === 'data')?.itemId ?? ''
  await holdfast('dlq', 'discard', one, '--reason', 'the bad one')
  expect((await holdfast('dlq', 'groups')).code).toBe(0)
}, 60_000)

test('issue 6: an address of callbacks that is gone: told while working, by status and doctor, and enabled again', async () => {
  const hf = await openHoldfast(await loadConfig({ directory: workshop.folder, env: {}, profiles: [] }))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await hf.submit('onboard', { id: 'a' }, { callback: { url: `${origin}/secret-place` } })
  await hf.close()
  answer = ({ method }) => (method === 'POST' ? 410 : 200)
  const worked = await holdfast('worker', '--until-idle')
  expect(worked.stderr).toMatch(/callback\.http\.127\.0\.0\.1_\d+: the address [0-9a-f]{16} answered 410 Gone at/)

  const list = await holdfast('callbacks')
  expect(list.code).toBe(3)
  const { disabled } = list.json() as { disabled: { address: string; itemId: string }[] }
  expect(disabled).toHaveLength(1)
  expect((await holdfast('status', '--no-json')).stdout).toContain('1 address of callbacks answered 410')
  expect((await holdfast('doctor', '--no-json')).stdout).toMatch(/attention callbacks: disabled.*[0-9a-f]{16}/)
  const shown = (await holdfast('callbacks', '--no-json')).stdout
  expect(shown).toContain(disabled[0]?.itemId)
  expect(shown).not.toContain('secret-place')

  const enabled = await holdfast('callbacks', 'enable', `${origin}/secret-place`)
  expect([enabled.code, enabled.json()]).toEqual([0, { enabled: disabled[0] }])
  expect((await holdfast('callbacks', '--no-json')).stdout).toContain('No address of a callback is disabled.')
  const again = await holdfast('callbacks', 'enable', disabled[0]?.address ?? '')
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('address_not_disabled')])
}, 60_000)
