/** Batches whose worker, lease or answer is lost half-way: against twins that count what was really done. */
import { describe, expect, test } from 'vitest'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { createTestbed } from '../../src/testing/testbed/testbed.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { refusal, route, type TwinRoute } from '../../src/testing/twin/route.ts'
import { testEngine } from '../support/engine.ts'

interface Contact {
  readonly email: string
}

const crm = { baseUrl: 'https://crm.test', limits: { concurrency: 2 } } as const

/** Creates all it gets, one effect each; a record without an e-mail is refused alone. */
const batchRoute = (): TwinRoute =>
  route('POST', '/contacts/batch', {
    effectKey: (request) => contactsIn(request.body).flatMap(({ email }) => (email === '' ? [] : [email])),
    apply: (request, store) => {
      const contacts = store.collection('contacts')
      if (contactsIn(request.body).length > 50) return refusal(413, 'too_large', 'at most 50')
      return {
        status: 207,
        body: contactsIn(request.body).map((contact) =>
          contact.email === ''
            ? { status: 422, error: { code: 'required', message: 'no e-mail', field: 'email' } }
            : { status: 201, id: contacts.create({ ...contact }).id },
        ),
      }
    },
  })

function contactsIn(body: unknown): Contact[] {
  return Array.isArray(body) ? (body as Contact[]) : []
}

/** Doubles when it is repeated, and can be looked for. */
const create = definePipeline<Contact>('create').step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
  batch: { size: 20, shape: 'json-array' },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: ({ data }) => (data as { results: { id: string }[] }).results[0]?.id,
  },
})

const people = (count: number) => Array.from({ length: count }, (_, no) => ({ input: { email: `p${no}@example.com` } }))
const routes = [batchRoute(), ...resource('/contacts')]

describe('batches whose worker or answer is lost', () => {
  test('R097, rule 3: killed while a call has been carried out in part: each record is there once', async () => {
    let left = 70
    await using bed = await createTestbed({
      integrations: { crm },
      pipelines: [create],
      apis: { crm: { routes, latencyMs: [20, 80], onEffect: () => left-- === 0 && bed.kill() } },
    })
    await bed.hf.submitMany(create, people(200))
    await bed.advance('1m')
    expect(() => bed.hf).toThrow('was killed')
    expect(await bed.balance()).toMatchObject({ accepted: 200, balanced: true })
    await bed.restart()
    expect((await bed.drain()).states).toMatchObject({ succeeded: 200 })
    expect(bed.twins.crm.effects).toHaveLength(200)
    expect(bed.twins.crm.duplicates()).toEqual([])
  })

  test('rule 3, R121: answers get lost, cut and garbled all the time: nothing is lost, nothing is done twice', async () => {
    await using bed = await createTestbed({
      integrations: { crm },
      pipelines: [create],
      apis: { crm: { routes, latencyMs: [20, 80] } },
    })
    using _lossy = bed.network.disturb(crm.baseUrl, { what: 'reset_after_executing', share: 0.3 })
    bed.twins.crm.script('POST /contacts/batch', ['executed_then_hang', 'html_ok', 'truncated_body'])
    const records = people(300).map((record, no) => (no % 37 === 5 ? { input: { email: '' } } : record))
    await bed.hf.submitMany(create, records)
    const balance = await bed.drain()
    const invalid = records.filter(({ input }) => input.email === '').length
    expect(balance.states.succeeded).toBe(300 - invalid)
    // A record whose refusal was lost is looked for by an empty e-mail: never found, sent again, and refused.
    expect(balance.states.dead_lettered).toBe(invalid)
    expect(bed.twins.crm.effects).toHaveLength(300 - invalid)
    expect(bed.twins.crm.duplicates()).toEqual([])
  })

  test('rule 6: a lease that one record lost on the way keeps that record out of the call, and no other', async () => {
    const safe = definePipeline<Contact>('safe').step('crm', {
      integration: 'crm',
      request: { method: 'POST', path: '/contacts/batch', body: ({ input }) => input },
      idempotency: { kind: 'safe' },
      batch: { size: 10, shape: 'json-array' },
    })
    const engine = await testEngine({ pipelines: [safe], settings: { leaseMs: 300 } })
    engine.api.reply = ({ body }) => ({
      status: 200,
      body: contactsIn(body).map(() => ({ status: 200 })),
      delayMs: 2000,
    })
    await engine.clock.runUntil(engine.hf.submitMany(safe, people(10)))
    engine.hf.startWorker()
    await engine.clock.advance(500)
    expect(engine.api.requests).toHaveLength(1)
    // Another worker believes that it is dead, while the call is under way.
    const stolen = await engine.ledger.reclaimExpired({
      workerId: 'thief',
      nowMs: engine.clock.wallMs() + 10_000,
      leaseUntilMs: engine.clock.wallMs() + 20_000,
      limit: 1,
    })
    expect(stolen).toHaveLength(1)
    await engine.clock.advance(3000)
    const { states } = await engine.hf.operations.balance()
    expect(states).toMatchObject({ succeeded: 9, processing: 1 })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(10)
    expect(engine.api.requests.map(({ body }) => contactsIn(body).length)).toEqual([10, 1])
    await engine.finish()
  })

  test('graceful shutdown: the call under way ends, what was not sent goes back unsent', async () => {
    const engine = await testEngine({
      pipelines: [create],
      integrations: { crm: { ...crm, limits: { concurrency: 1 } } },
    })
    engine.api.reply = ({ body }) => ({
      status: 200,
      body: contactsIn(body).map(() => ({ status: 201 })),
      delayMs: 5000,
    })
    await engine.clock.runUntil(engine.hf.submitMany(create, people(50)))
    const worker = engine.hf.startWorker()
    await engine.clock.advance(1000)
    await engine.clock.runUntil(worker.stop({ graceMs: 60_000 }))
    expect((await engine.hf.operations.balance()).states).toMatchObject({ succeeded: 20, queued: 30, processing: 0 })
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(50)
    expect(engine.api.duplicates()).toBe(0)
    await engine.finish()
  })
})
