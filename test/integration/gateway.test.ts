/** `holdfast serve` as a real process: what it answers 2xx is there after any end, and a person can stop it. */
import { Webhooks } from '@octokit/webhooks'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import type { RunningProcess, Workshop } from '../support/workshop.ts'
import { jsonOf, openWorkshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
const CONFIG = `
integrations:
  crm: { baseUrl: "http://127.0.0.1:9" }
pipelines:
  onboard:
    steps:
      create: { integration: crm, request: { method: POST, path: /contacts, body: "{{ input }}" } }
`

async function serve(workshop: Workshop, ...words: string[]): Promise<{ url: string; running: RunningProcess }> {
  const running = workshop.start('serve', '--port', '0', ...words)
  await running.says('listens on')
  return { url: /http:\/\/[\d.:]+/.exec(running.stderr())?.[0] ?? expect.fail('no address'), running }
}

async function submit(url: string, number: number): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/v1/pipelines/onboard/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `record-${number}` },
      body: JSON.stringify({ number }),
    })
    const { runId } = (await response.json()) as { runId: string }
    return response.status === 202 ? runId : undefined
  } catch {
    // It was killed before it answered: nothing was promised.
    return undefined
  }
}

test('rule 1, issue 6: a kill loses no record that was answered 2xx; sent again, each is there once', {
  timeout: 3 * MINUTE_MS,
}, async () => {
  await using workshop = openWorkshop()
  workshop.write('holdfast.yaml', CONFIG)
  const promised = new Map<number, string>()
  let sent = 0
  for (let kill = 0; kill < 3; kill++) {
    const { url, running } = await serve(workshop, '--no-worker')
    const killAt = promised.size + 20
    const senders = Array.from({ length: 8 }, async () => {
      while (promised.size < killAt) {
        const number = sent++
        const runId = await submit(url, number)
        if (runId === undefined) return
        promised.set(number, runId)
      }
    })
    await Promise.race(senders)
    running.child.kill('SIGKILL')
    await Promise.all([...senders, running.ended])
  }
  const { url, running } = await serve(workshop, '--no-worker')
  for (const [number, runId] of promised) expect(await submit(url, number)).toBe(runId)
  for (let number = 0; number < sent; number++) expect(await submit(url, number)).toBeDefined()
  const audit = (await (await fetch(`${url}/v1/audit`)).json()) as { balanced: boolean; balance: { accepted: number } }
  expect(audit).toMatchObject({ balanced: true, balance: { accepted: sent } })

  running.child.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 0, signal: null })
})

test('holdfast token create, serve with it, and without', { timeout: MINUTE_MS }, async () => {
  await using workshop = openWorkshop()
  workshop.write('holdfast.yaml', CONFIG)
  const refused = await workshop.holdfast('serve', '--host', '0.0.0.0')
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('code:  gateway_needs_token')])
  expect((await workshop.holdfast('token', 'create', 'ci', '--scopes', 'write')).stderr).toContain('is not a scope')

  const made = jsonOf<{ token: string; hash: string }>(
    await workshop.holdfast('token', 'create', 'ci', '--scopes', 'read'),
  )
  workshop.write(
    'holdfast.yaml',
    `${CONFIG}\ngateway:\n  tokens:\n    - { name: ci, scopes: [read], hash: "${made.hash}" }\n`,
  )
  const { url, running } = await serve(workshop)
  expect((await fetch(`${url}/v1/stats`)).status).toBe(401)
  expect((await fetch(`${url}/v1/stats`, { headers: { authorization: `Bearer ${made.token}` } })).status).toBe(200)
  running.child.kill('SIGTERM')
  const { code, stderr } = await running.ended
  expect(code).toBe(0)
  expect(stderr).not.toContain(made.token)
})

test('issue 6: what a person does by a command stands in the trail, with their name and machine', {
  timeout: MINUTE_MS,
}, async () => {
  await using workshop = openWorkshop()
  workshop.write('holdfast.yaml', CONFIG)
  expect((await workshop.holdfast('integrations', 'suspend', 'crm', '--reason', 'a new key')).code).toBe(0)
  const { url } = await serve(workshop, '--no-worker')
  const { actions } = (await (await fetch(`${url}/v1/actions`)).json()) as { actions: Record<string, string>[] }
  expect(actions).toMatchObject([{ what: 'suspend', target: 'crm', reason: 'a new key', outcome: 'done' }])
  expect(actions[0]?.['by']).toMatch(/^cli:/)
  expect(actions[0]?.['from']).not.toBe('')
})

test('R154-R158: webhooks land at /webhooks/SOURCE: verified, stored, 200; again, 200 and not queued; forged, 401', {
  timeout: MINUTE_MS,
}, async () => {
  await using workshop = openWorkshop()
  const secret = 'a secret of the repository'
  workshop.write(
    'holdfast.yaml',
    `${CONFIG}webhooks:\n  github: { provider: github, secret: "${secret}", pipeline: onboard }\n`,
  )
  const { url, running } = await serve(workshop, '--no-worker')
  const body = JSON.stringify({ action: 'opened' })
  const post = async (source: string, signature: string) => {
    const headers = { 'content-type': 'application/json', 'x-github-delivery': 'd-1', 'x-github-event': 'issues' }
    const init = { method: 'POST', headers: { ...headers, 'x-hub-signature-256': signature }, body }
    return (await fetch(`${url}/webhooks/${source}`, init)).status
  }
  const signature = await new Webhooks({ secret }).sign(body)
  expect(await post('github', signature)).toBe(200)
  expect(await post('github', signature)).toBe(200)
  expect(await post('github', await new Webhooks({ secret: 'another' }).sign(body))).toBe(401)
  expect(await post('gitlab', signature)).toBe(404)
  expect(await (await fetch(`${url}/v1/audit`)).json()).toMatchObject({ balanced: true, balance: { accepted: 1 } })
  running.child.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 0 })
})

test('issue 6: /proxy/INTEGRATION/PATH is a resilient call; respond-async makes it durable; traversal stays below', {
  timeout: MINUTE_MS,
}, async () => {
  const twin = await startTwin({
    clock: systemClock,
    random: systemRandom,
    routes: resource('/contacts', { effectKey: 'email' }),
  })
  try {
    await using workshop = openWorkshop()
    workshop.write('holdfast.yaml', CONFIG.replace('http://127.0.0.1:9', twin.url))
    const { url, running } = await serve(workshop)
    const json = { 'content-type': 'application/json' }
    const post = (email: string, headers: Record<string, string>) =>
      fetch(`${url}/proxy/crm/contacts`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body: JSON.stringify({ email }),
      })
    const created = await post('ada', {})
    expect([created.status, created.headers.get('x-holdfast-attempts')]).toEqual([201, '1'])
    const later = await post('grace', { prefer: 'respond-async' })
    expect([later.status, later.headers.get('location')]).toEqual([202, expect.stringContaining('/v1/runs/')])
    await twin.until(() => twin.effects.length >= 2)
    expect((await fetch(`${url}/proxy/nobody/contacts`)).status).toBe(404)
    expect((await fetch(`${url}/proxy/crm/%2e%2e/%2e%2e/contacts`)).status).not.toBe(200)
    running.child.kill('SIGINT')
    expect(await running.ended).toMatchObject({ code: 0 })
  } finally {
    await twin.close()
  }
})
