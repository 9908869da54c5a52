import { expect, it } from 'vitest'
import { testEngine } from '../support/engine.ts'

const ADA = { by: 'cli:ada', from: 'ada-laptop' }

it('issue 6: what operators do is written down: who, what, when, from where, and how it ended', async () => {
  const test = await testEngine({ reply: () => ({ status: 422 }) })
  const { runId } = await test.hf.submitRequest({ integration: 'crm', method: 'POST', path: '/contacts' })
  test.hf.startWorker()
  await test.clock.runUntil(test.hf.drain())
  const desk = test.hf.operations.as(ADA)
  await desk.suspend('crm', 'a new key')
  await desk.resume('crm')
  await desk.replay({ selection: { itemIds: [`${runId}.send`] }, by: ADA.by, dryRun: true })
  await desk.discard({ itemIds: [`${runId}.send`] }, 'a test record', ADA.by)
  await expect(desk.suspend('crn', 'typo')).rejects.toMatchObject({ code: 'unknown_integration' })
  const { rows } = await test.hf.operations.actions()
  expect(rows.map(({ what, target, outcome }) => [what, target, outcome])).toEqual([
    ['suspend', 'crn', 'failed'],
    ['discard', `${runId}.send`, 'done'],
    ['resume', 'crm', 'done'],
    ['suspend', 'crm', 'done'],
  ])
  expect(rows[0]).toMatchObject({ details: { code: 'unknown_integration' } })
  expect(rows[1]).toMatchObject({ ...ADA, reason: 'a test record', details: { done: 1 } })
  await test.finish()
})

it('rule 7: never what a credential is', async () => {
  const test = await testEngine()
  await expect(test.hf.operations.as(ADA).setCredential('crm', 'the-secret')).rejects.toThrow()
  expect(JSON.stringify(await test.hf.operations.actions())).not.toContain('the-secret')
  await test.finish()
})

it('an action is on disk before it is done: one whose process is lost is seen as begun', async () => {
  const test = await testEngine()
  const begun: string[] = []
  test.hf.events.on('lane.suspended', () => {
    void test.ledger.actions({}, { limit: 1 }).then(({ rows }) => begun.push(rows[0]?.outcome ?? 'none'))
  })
  await test.hf.operations.as(ADA).suspend('crm', 'looking')
  expect(begun).toEqual(['begun'])
  await test.finish()
})

it('probe tells a store that works from one that does not', async () => {
  const test = await testEngine()
  await test.hf.operations.probe()
  await test.hf.operations.probe()
  await test.finish()
  await expect(test.hf.operations.probe()).rejects.toMatchObject({ code: 'store_closed' })
})
