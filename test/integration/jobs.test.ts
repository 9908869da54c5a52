/** A bulk replay outlives the processes that work on it. */
import { expect, test } from 'vitest'
import type { JobView } from '../../src/engine/api.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { openWorkshop, type RunningProcess, type Workshop } from '../support/workshop.ts'

const RECORDS = 120
const KILLS = 2

async function serve(workshop: Workshop): Promise<{ url: string; running: RunningProcess }> {
  const running = workshop.start('serve', '--port', '0')
  await running.says('listens on')
  return { url: /http:\/\/[\d.:]+/.exec(running.stderr())?.[0] ?? expect.fail('no address'), running }
}

async function ask<Answer>(url: string, body?: object): Promise<Answer> {
  const order = body && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  return (await (await fetch(url, order)).json()) as Answer
}

async function until<Answer>(url: string, isEnough: (answer: Answer) => boolean): Promise<Answer> {
  for (;;) {
    const answer = await ask<Answer>(url)
    if (isEnough(answer)) return answer
    await systemClock.sleep(50)
  }
}

test('R135, issue 6: a bulk replay goes on after kills, puts back each item once, and says how each ended', {
  timeout: 300_000,
}, async () => {
  const contacts = resource('/contacts', { effectKey: 'email', uniqueBy: 'email', required: ['email', 'company'] })
  await using twin = await startTwin({ clock: systemClock, random: systemRandom, routes: contacts })
  await using workshop = openWorkshop()
  workshop.write(
    'holdfast.yaml',
    `
integrations:
  crm: { baseUrl: "${twin.url}", limits: { concurrency: 2 } }
pipelines:
  onboard:
    steps:
      create:
        integration: crm
        request: { method: POST, path: /contacts, body: "{{ input }}" }
        idempotency: { natural: email }
worker: { lease: 2s }
`,
  )
  let { url, running } = await serve(workshop)
  const lines = Array.from({ length: RECORDS }, (_, index) => JSON.stringify({ email: `lead-${index}@example.com` }))
  const submitted = await fetch(`${url}/v1/pipelines/onboard/runs?key=email`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  expect(submitted.status).toBe(202)
  await until<{ needsPerson: number }>(`${url}/v1/stats`, ({ needsPerson }) => needsPerson === RECORDS)

  const order = { what: 'replay', selection: { all: true }, patch: { company: 'Acme' } }
  const { id } = await ask<JobView>(`${url}/v1/jobs`, order)
  const job = () => `${url}/v1/jobs/${id}`
  let succeeded = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const enough = succeeded + 10
    succeeded = (await until<JobView>(job(), ({ counts }) => counts.succeeded >= enough)).counts.succeeded
    running.child.kill('SIGKILL')
    await running.ended
    ;({ url, running } = await serve(workshop))
  }
  expect((await ask<JobView>(job())).counts.waiting).toBeGreaterThan(0)
  const ended = await until<JobView>(job(), ({ endedAtMs }) => endedAtMs !== undefined)
  expect(ended).toMatchObject({ phase: 'done', counts: { total: RECORDS, succeeded: RECORDS } })
  const { items } = await ask<{ items: { replays: number }[] }>(`${job()}/items?limit=1000`)
  expect(items.map(({ replays }) => replays)).toEqual(Array(RECORDS).fill(1))
  expect(twin.effects).toHaveLength(RECORDS)
  expect(twin.duplicates()).toEqual([])
  const audit = await ask<{ balanced: boolean }>(`${url}/v1/audit`)
  expect(audit.balanced).toBe(true)
  running.child.kill('SIGINT')
  await running.ended
})
