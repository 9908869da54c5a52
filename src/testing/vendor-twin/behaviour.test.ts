/** What a vendor twin does with what it is asked, one vendor for each. */
import { describe, expect, test } from 'vitest'
import type { HoldfastError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import { definePipeline } from '../../engine/pipelines/pipeline.ts'
import { createTestbed } from '../testbed/testbed.ts'
import { startTwin } from '../twin/twin.ts'
import { createVirtualClock } from '../virtual-clock.ts'
import { createVendorTwin } from './create.ts'
import type { VendorProfile, VendorTwinOptions } from './options.ts'

/** A twin behind a socket, called by fetch: what is on the wire, and nothing of Holdfast's. */
async function serve(vendor: VendorProfile, options: VendorTwinOptions = {}) {
  const clock = createVirtualClock({ startMs: Date.UTC(2026, 10, 22, 12) })
  const twin = await startTwin({ ...createVendorTwin(vendor, options), clock, random: seededRandom('behaviour') })
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(twin.url + path, {
      method,
      headers: { authorization: 'Bearer x', 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }
  return { twin, clock, call, [Symbol.asyncDispose]: () => twin.close() }
}

const ADA = { properties: { email: 'ada@example.com' } }
const CONTACTS = '/crm/v3/objects/contacts'

describe('records', () => {
  test('R023: what is there already is refused in the words of the vendor, with the id of what is there', async () => {
    await using hubspot = await serve('hubspot')
    const made = await hubspot.call('POST', CONTACTS, ADA)
    const again = await hubspot.call('POST', CONTACTS, ADA)
    expect(made.body).toMatchObject({ id: expect.stringMatching(/^\d+$/), ...ADA, archived: false })
    expect(again).toMatchObject({ status: 409, body: { category: 'CONFLICT' } })
    expect(again.body.message).toBe(`Contact already exists. Existing ID: ${made.body.id}`)
    expect(hubspot.twin.effects).toHaveLength(1)
  })

  test('searches find them, reads of others are not found', async () => {
    await using hubspot = await serve('hubspot')
    const { body } = await hubspot.call('POST', CONTACTS, ADA)
    const filters = [{ propertyName: 'email', operator: 'EQ', value: 'ada@example.com' }]
    const found = await hubspot.call('POST', `${CONTACTS}/search`, { filterGroups: [{ filters }] })
    expect(found.body.results).toMatchObject([{ id: body.id }])
    expect((await hubspot.call('GET', `${CONTACTS}/${body.id}`)).body).toMatchObject(ADA)
    expect((await hubspot.call('GET', `${CONTACTS}/999`)).status).toBe(404)
    expect((await hubspot.call('DELETE', `${CONTACTS}/999`)).status).toBe(404)
  })

  test('a safe write that changes nothing is no effect, however often it comes', async () => {
    await using salesforce = await serve('salesforce')
    const path = '/services/data/v62.0/sobjects/Contact/Email__c/ada@example.com'
    for (let time = 0; time < 3; time++) await salesforce.call('PATCH', path, { Name: 'Ada' })
    expect([salesforce.twin.effects.length, salesforce.twin.duplicates()]).toEqual([1, []])
  })

  test('two creations of the same are a duplicate, and are told of', async () => {
    await using notion = await serve('notion')
    for (let time = 0; time < 2; time++) await notion.call('POST', '/v1/pages', { title: 'x' })
    expect((await notion.call('GET', '/_twin/duplicates')).body).toMatchObject([{ effects: [{}, {}] }])
    expect((await notion.call('GET', '/_twin/requests')).body).toMatchObject({ total: 2 })
  })
})

describe('R086: idempotency keys', () => {
  const key = { 'idempotency-key': 'k1' }

  test('Stripe: a repeat is replayed, another request refused, in flight told; forgotten after a day', async () => {
    await using stripe = await serve('stripe')
    const first = await stripe.call('POST', '/v1/customers', { email: 'a@b.c' }, key)
    const again = await stripe.call('POST', '/v1/customers', { email: 'a@b.c' }, key)
    expect(first.body).toMatchObject({ id: expect.stringMatching(/^cus_/), object: 'customer' })
    expect([again.body, again.headers.get('idempotent-replayed')]).toEqual([first.body, 'true'])
    const other = await stripe.call('POST', '/v1/customers', { email: 'x@y.z' }, key)
    expect(other).toMatchObject({ status: 400, body: { error: { type: 'idempotency_error' } } })
    expect(stripe.twin.effects).toHaveLength(1)
    await stripe.clock.advance(25 * 3_600_000)
    await stripe.call('POST', '/v1/customers', { email: 'x@y.z' }, key)
    expect(stripe.twin.effects).toHaveLength(2)
  })

  test('Stripe: while the first is under way', async () => {
    await using stripe = await serve('stripe', { work: '5s' })
    const first = stripe.call('POST', '/v1/customers', {}, key)
    await stripe.twin.until(() => stripe.twin.requests.total === 1)
    const second = await stripe.call('POST', '/v1/customers', {}, key)
    expect(second).toMatchObject({ status: 409, body: { error: { code: 'idempotency_key_in_use' } } })
    await stripe.clock.advance(5000)
    expect((await first).status).toBe(200)
  })
})

describe('R049: limits', () => {
  test('HubSpot: counted in its headers, refused by the name of the limit that was hit', async () => {
    await using hubspot = await serve('hubspot', { limits: { burst: '3/10s' } })
    const left: (string | null)[] = []
    for (let time = 0; time < 3; time++) {
      left.push((await hubspot.call('GET', CONTACTS)).headers.get('x-hubspot-ratelimit-remaining'))
    }
    const refused = await hubspot.call('GET', CONTACTS)
    expect(left).toEqual(['2', '1', '0'])
    expect(refused).toMatchObject({ status: 429, body: { policyName: 'TEN_SECONDLY_ROLLING' } })
    expect(refused.headers.get('x-hubspot-ratelimit-interval-milliseconds')).toBe('10000')
    await hubspot.clock.advance(10_000)
    expect((await hubspot.call('GET', CONTACTS)).status).toBe(200)
  })

  test.each([
    ['github', '/user', { requests: '1/1h' }, 403, 'x-ratelimit-reset', '1795352400'],
    ['slack', '/chat.postMessage', { method: '1/1m' }, 429, 'retry-after', '60'],
    ['salesforce', '/services/data/v62.0/limits', { daily: '1/24h' }, 403, 'sforce-limit-info', 'api-usage=1/1'],
    ['shopify', '/admin/api/2026-01/orders.json', { bucket: '1/2s' }, 429, 'x-shopify-shop-api-call-limit', '1/1'],
  ] as const)('%s says it in its own way', async (name, path, limits, status, header, value) => {
    await using vendor = await serve(name, { limits })
    await vendor.call('GET', path)
    const refused = await vendor.call('GET', path)
    expect([refused.status, refused.headers.get(header)]).toEqual([status, value])
  })
})

describe('failures', () => {
  test('by chance: a share of the calls, done or not', async () => {
    await using stripe = await serve('stripe', {
      limits: false,
      fail: { 'server-error': { share: 0.3, executed: true }, 'object-locked': 0.2 },
    })
    const statuses = new Map<number, number>()
    for (let place = 0; place < 100; place++) {
      const { status } = await stripe.call('POST', '/v1/customers', { place })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    expect(statuses.get(500)).toBeGreaterThan(15)
    expect(statuses.get(429)).toBeGreaterThan(8)
    // The five hundreds happened, the locks did not.
    expect(stripe.twin.effects).toHaveLength(100 - (statuses.get(429) ?? 0))
  })

  test('R121: single records of a batch; the client reads which', async () => {
    const step = definePipeline<{ email: string }>('sync').step('contact', {
      integration: 'crm',
      request: { method: 'POST', path: `${CONTACTS}/batch/create`, body: ({ input }) => ({ properties: input }) },
      batch: { size: 10, linger: '1s' },
    })
    const auth = { type: 'bearer', token: 'x' } as const
    const crm = createVendorTwin('hubspot', { failRecords: { 'invalid-data': 0.1 }, effectKey: 'properties.email' })
    await using bed = await createTestbed({
      integrations: { crm: { profile: 'hubspot', auth } },
      pipelines: [step],
      apis: { crm },
    })
    const people = Array.from({ length: 100 }, (_, place) => ({ input: { email: `p${place}@example.com` } }))
    await bed.hf.submitMany(step, people)
    const { states } = await bed.drain()
    expect(states.dead_lettered).toBeGreaterThan(2)
    expect([states.succeeded, bed.twins.crm.duplicates()]).toEqual([bed.twins.crm.effects.length, []])
    expect(bed.twins.crm.requests.total).toBeLessThan(40)
  })

  test('what nobody knows is refused at once, with the nearest name', () => {
    const wrong = (options: VendorTwinOptions, vendor = 'hubspot') => {
      try {
        createVendorTwin(vendor, options)
      } catch (error) {
        return error as HoldfastError
      }
      return expect.fail('it is refused')
    }
    expect(wrong({ fail: { lockd: 0.1 } })).toMatchObject({
      code: 'unknown_failure',
      message: expect.stringContaining('"locked"'),
    })
    expect(wrong({ fail: { locked: 5 } })).toMatchObject({ code: 'invalid_share' })
    expect(wrong({}, 'hubspott')).toMatchObject({ code: 'profile_not_found' })
  })
})

test('a profile of your own: its answers, and plain ones in its shape', async () => {
  const source = { url: 'https://docs.example.com', read: '2026-11-22', certainty: 'vendor' } as const
  await using mine = await serve({
    name: 'mine',
    title: 'Mine',
    docs: [source.url],
    auth: { kinds: ['bearer'] },
    errorPaths: { code: ['problem.kind'], message: ['problem.text'] },
    rules: [{ id: 'busy', status: 503, class: 'transient', hint: 'Wait.', source }],
    samples: { busy: [{ status: 503, body: { problem: { kind: 'BUSY' } } }] },
    endpoints: { 'POST /things': { idempotency: { natural: 'name' } } },
  })
  const busy = await mine.call('POST', '/things', { name: 'a' }, { 'x-twin-answer': 'busy' })
  expect(busy).toMatchObject({ status: 503, body: { problem: { kind: 'BUSY' } } })
  await mine.call('POST', '/things', { name: 'a' })
  const again = await mine.call('POST', '/things', { name: 'a', more: true })
  expect(again).toMatchObject({ status: 409, body: { problem: { kind: 'already_exists' } } })
  expect((await mine.call('GET', '/things', undefined, { authorization: '' })).status).toBe(401)
})
