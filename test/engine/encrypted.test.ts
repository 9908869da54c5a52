/** A whole life of records in a store that encrypts (D28): work goes on as ever, and the file tells nothing of it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { testEngine } from '../support/engine.ts'

const KEY = Buffer.alloc(32, 1).toString('base64')
const KEYED = { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 } as const
/** In everything that people and APIs say here. */
const SECRET = 'qzxj'

interface Lead {
  readonly email: string
  readonly company?: string
}

const onboard = definePipeline<Lead>('onboard', { subject: ({ email }) => email })
  .step('crm', {
    integration: 'crm',
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    idempotency: KEYED,
    parse: ({ data }) => data as { id: string },
  })
  .step('welcome', {
    integration: 'crm',
    after: ['crm'],
    idempotency: KEYED,
    request: {
      method: 'POST',
      path: '/mails',
      body: ({ input, outputs }) => ({ company: 'a', ...input, to: outputs.crm.id }),
    },
  })
  .step('tidy', {
    after: ['welcome'],
    safe: true,
    run: () => {
      throw new Error(`${SECRET} broke it`)
    },
  })

test.each([
  ['encrypted', [KEY]],
  ['in clear', []],
] as const)('D28: failures, retries, replays, edits, keyed calls: %s', async (what, keys) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-encrypted-'))
  const engine = await testEngine({
    pipelines: [onboard],
    path: join(folder, 'l.db'),
    keys,
  })
  const { hf, clock, api } = engine
  let calls = 0
  api.reply = ({ body }) => {
    calls += 1
    if (calls === 1) return { status: 503, body: { message: `${SECRET}-503` } }
    const { email, company } = body as Lead
    if (!company) return { status: 422, body: { error: { code: 'field_required', message: `${email}: company?` } } }
    return { status: 200, body: { id: `${SECRET}-id`, of: email } }
  }
  const { runId } = await hf.submit(onboard, { email: `${SECRET}@example.com` })
  hf.startWorker()
  await clock.runUntil(hf.drain())
  const item = await hf.operations.item(`${runId}.crm`)
  expect(item).toMatchObject({ state: 'dead_lettered', input: { email: `${SECRET}@example.com` } })
  expect(item?.attempts.map(({ failure }) => failure?.status)).toEqual([503, 422])
  expect(item?.attempts[1]?.failure?.message).toContain(SECRET)
  const [group] = await hf.operations.groups()
  expect(group?.summary).toContain('crm')
  const operations = hf.operations.as({ by: 'cli:joan', from: 'desk' })
  const patch = { company: `${SECRET} Ltd` }
  const selection = { filter: { pipeline: 'onboard' } }
  const report = await clock.runUntil(operations.replay({ selection, patch, by: 'cli:joan' }))
  expect(report).toMatchObject({ replayed: 1 })
  await clock.runUntil(hf.drain())
  expect((await hf.operations.item(`${runId}.welcome`))?.output).toEqual({
    id: `${SECRET}-id`,
    of: `${SECRET}@example.com`,
  })
  expect(api.requests.at(-1)?.body).toMatchObject({ to: `${SECRET}-id` })
  expect(JSON.stringify(await hf.operations.explain(`${runId}.tidy`))).toContain(SECRET)
  const answer = () =>
    hf.client('crm').post('/things', { body: { company: SECRET, email: SECRET }, idempotencyKey: 'key-1' })
  const [first, again] = [await clock.runUntil(answer()), await clock.runUntil(answer())]
  expect(again.data).toEqual(first.data)
  await clock.runUntil(operations.discard({ filter: {} }, `${SECRET} is tired of it`, 'cli:joan'))
  expect((await hf.operations.actions()).rows[0]?.reason).toContain(SECRET)
  const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
  expect(bytes.includes(SECRET)).toBe(what === 'in clear')
  await engine.finish()
  rmSync(folder, { recursive: true, force: true })
})
