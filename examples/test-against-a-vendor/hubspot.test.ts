import { definePipeline } from 'holdfast'
import { createTestbed, createVendorTwin } from 'holdfast/testing'
import { expect, test } from 'vitest'

const sync = definePipeline<{ email: string }>('sync').step('contact', {
  integration: 'hubspot',
  request: {
    method: 'POST',
    path: '/crm/v3/objects/contacts/batch/upsert',
    body: ({ input }) => ({ idProperty: 'email', id: input.email, properties: input }),
  },
  batch: { size: 20, linger: '1s' },
})
const hubspot = { profile: 'hubspot', auth: { type: 'bearer', token: 'anything' } } as const
const people = Array.from({ length: 500 }, (_, number) => ({ input: { email: `person-${number}@example.com` } }))

test('locks, lost answers and a tight limit: every contact is there, once', async () => {
  const fail = { locked: 0.1, 'gateway-busy': 0.05, executed_then_reset: 0.05 }
  const twin = createVendorTwin('hubspot', { fail, limits: { burst: '10/10s' }, effectKey: 'id' })
  await using bed = await createTestbed({ integrations: { hubspot }, pipelines: [sync], apis: { hubspot: twin } })
  await bed.hf.submitMany(sync, people)
  expect((await bed.drain()).states.succeeded).toBe(500)
  expect(bed.twins.hubspot.store.collection('/crm/v3/objects/contacts').all()).toHaveLength(500)
  expect(bed.twins.hubspot.duplicates()).toEqual([])
})
