import { createTestbed, resource } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { crm, signUp } from './sign-up.ts'

const parts = { integrations: [crm], pipelines: [signUp] }
const routes = resource('/contacts', { required: ['email'], effectKey: 'email' })
const people = Array.from({ length: 200 }, (_, number) => ({ input: { email: `person-${number}@example.com` } }))

test('an outage and lost answers: each contact is there, once', async () => {
  await using bed = await createTestbed({ ...parts, apis: { crm: { routes, latencyMs: [50, 400] } } })
  using _lossy = bed.network.disturb(crm.baseUrl, { what: 'lost_answer', share: 0.05 })
  await bed.twins.crm.outage({ startsIn: '2s', lasts: '20m' })
  await bed.hf.submitMany(signUp, people)
  expect((await bed.drain()).states.succeeded).toBe(200)
  expect(bed.twins.crm.effects).toHaveLength(200)
  expect(bed.twins.crm.duplicates()).toEqual([])
})

test('the process is killed after the CRM has made the contact, and before anybody hears of it', async () => {
  await using bed = await createTestbed({ ...parts, apis: { crm: { routes, onEffect: () => bed.kill() } } })
  await bed.hf.submit(signUp, { email: 'ada@example.com' })
  await bed.advance('1m')
  await bed.restart()
  expect((await bed.drain()).states.succeeded).toBe(1)
  expect(bed.twins.crm.effects).toHaveLength(1)
})
