/** Every built-in vendor as a twin, asked by a real client with its profile, on virtual time. */
import { describe, expect, test } from 'vitest'
import type { Profile } from '../../config/profile.ts'
import type { WrittenIntegration } from '../../config/schema.ts'
import type { HoldfastError } from '../../core/errors.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { judgeSample, settingsOfProfile } from '../../profiles/judge.ts'
import { BUILT_IN_SAMPLES } from '../../profiles/samples.ts'
import { createTestbed } from '../testbed/testbed.ts'
import { createVendorTwin } from './create.ts'
import type { VendorTwinOptions } from './options.ts'

const bearer = { type: 'bearer', token: 'a-token' } as const

function profileOf(name: string): Profile {
  return BUILT_IN_PROFILES.find((candidate) => candidate.name === name) ?? expect.fail(name)
}

/** One integration with this profile, and its twin. */
async function start(name: string, options: VendorTwinOptions = {}, more: Partial<WrittenIntegration> = {}) {
  const baseUrl = profileOf(name).baseUrl ?? 'https://api.example.com'
  const bed = await createTestbed({
    integrations: { it: { profile: name, baseUrl, auth: bearer, ...more } },
    apis: { it: { ...createVendorTwin(name, options), latencyMs: [30, 150] } },
  })
  return { bed, client: bed.hf.client('it'), twin: bed.twins.it }
}

function failureOf(call: Promise<unknown>): Promise<HoldfastError | undefined> {
  return call.then(
    () => undefined,
    (error: HoldfastError) => error,
  )
}

const NAMES = BUILT_IN_PROFILES.map(({ name }) => name)

describe.each(NAMES)('the twin of %s', (name) => {
  const profile = profileOf(name)
  const all = profile.rules.flatMap(({ id }) =>
    (BUILT_IN_SAMPLES[name]?.[id] ?? []).map((sample, place) => ({ id, sample, answer: `${id}#${place + 1}` })),
  )

  test('R022: every recorded answer arrives, and is understood as its rule says', async () => {
    // An integration for each: what one answer does to its lane must not touch the next.
    const settings = settingsOfProfile(profile)
    const base = profile.baseUrl ? new URL(profile.baseUrl).pathname.replace(/\/$/, '') : ''
    const integration = { profile: name, auth: bearer, retry: { maxAttempts: 1 } }
    await using bed = await createTestbed({
      integrations: Object.fromEntries(
        all.map((_, place) => [`it${place}`, { ...integration, baseUrl: `https://it${place}.example.com${base}` }]),
      ),
      apis: Object.fromEntries(all.map((_, place) => [`it${place}`, createVendorTwin(name)])),
    })
    for (const [place, { id, sample, answer }] of all.entries()) {
      const { method = 'POST', path = '/' } = sample
      const params = Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map((match) => [match[1] as string, 'x']))
      const call = bed.hf.client(`it${place}`).request(method, path, {
        params,
        headers: { 'x-twin-answer': answer },
        ...(method !== 'GET' && { body: {} }),
      })
      const failure = await bed.run(failureOf(call))
      const expected = judgeSample(settings, sample, bed.clock.wallMs()).failure
      const told = failure && [failure.class, failure.code]
      expect(told, answer).toEqual(expected && [expected.class, expected.code ?? failure?.code])
      // Throttled calls wait and ask again, as long as they may.
      expect([...(bed.twins[`it${place}`]?.requests.byOutcome.keys() ?? [])], answer).toEqual([`answer_${id}`])
    }
  })

  test('what works, works: made, read, listed, changed, deleted', async () => {
    const { bed, client, twin } = await start(name)
    await using _ = bed
    const made = await bed.run(client.post('/things', { body: { name: 'one' } }))
    const [id] = twin.store
      .collection('/things')
      .all()
      .map((record) => record.id)
    expect(made.status).toBeLessThan(300)
    expect((await bed.run(client.get(`/things/${id}`))).status).toBe(200)
    expect(JSON.stringify((await bed.run(client.get('/things'))).data)).toContain(id)
    await bed.run(client.patch(`/things/${id}`, { body: { name: 'two' } }))
    await bed.run(client.delete(`/things/${id}`))
    expect(twin.effects).toHaveLength(3)
    expect(twin.duplicates()).toEqual([])
  })

  test('R030: a call without credentials is refused as the vendor does', async () => {
    const { bed, client, twin } = await start(name, {}, { auth: { type: 'none' } })
    await using _ = bed
    const failure = await bed.run(failureOf(client.post('/things', { body: { name: 'one' } })))
    if (profile.auth === undefined) expect(failure).toBeUndefined()
    else expect([failure?.class, twin.effects.length]).toEqual(['authentication', 0])
  })

  test('R049, R050: its limits hold, and a client with its profile is hardly ever refused', async () => {
    // Nobody tells when Apollo's day began: as long as it is spent, one call an hour finds out. That is not what is measured here.
    const limits = name === 'apollo' ? ({ day: '60000/24h', hour: '20000/1h' } as const) : {}
    const { bed, client, twin } = await start(
      name,
      { limits },
      { limits: { concurrency: { adaptive: true, max: 20 } } },
    )
    await using _ = bed
    const calls = Array.from({ length: 1000 }, () => failureOf(client.get('/things', { deadlineMs: 1e9 })))
    const failures = (await bed.run(Promise.all(calls))).filter((failure) => failure !== undefined)
    const refused = twin.requests.byOutcome.get('rate_limited') ?? 0
    expect(failures.map(({ message }) => message)).toEqual([])
    expect(refused / twin.requests.total).toBeLessThanOrEqual(0.01)
  })
})
