import { describe, expect, test } from 'vitest'
import type { ConfigInput } from '../../config/define.ts'
import { definePipeline } from '../../engine/pipelines/pipeline.ts'
import { resource } from '../twin/resource.ts'
import { createTestbed } from './testbed.ts'

const integrations = {
  crm: { baseUrl: 'https://api.crm.test/v3', limits: { concurrency: 20 } },
} satisfies ConfigInput['integrations']
const contacts = resource('/contacts', { required: ['email'], effectKey: 'email' })

/** A POST that doubles when repeated, and can be looked for. */
const signUp = definePipeline<{ email: string }>('sign-up').step('crm', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: ({ data }) => (data as { results: { id: string }[] }).results[0]?.id,
  },
})
const parts = { integrations, pipelines: [signUp], apis: { crm: { routes: contacts, latencyMs: [20, 80] as const } } }
const people = (count: number) => Array.from({ length: count }, (_, no) => ({ input: { email: `p${no}@example.com` } }))

describe('a testbed', () => {
  test('an hour of outage, and lost answers, cost nothing: each record is there once', async () => {
    await using bed = await createTestbed(parts)
    bed.twins.crm.script('POST /contacts', ['executed_then_reset', 'executed_then_hang', 'html_ok'])
    await bed.twins.crm.outage({ startsIn: '100ms', lasts: '1h' })
    await bed.hf.submitMany(signUp, people(100))
    const balance = await bed.drain()
    expect(balance.states).toMatchObject({ succeeded: 100 })
    expect(bed.twins.crm.duplicates()).toEqual([])
    expect(bed.twins.crm.effects).toHaveLength(100)
    expect(bed.clock.monotonicMs()).toBeGreaterThan(3_600_000)
    expect(bed.events.some(({ type }) => type === 'item.settled')).toBe(true)
    await bed.close()
  })

  test('the same seed gives the same run', async () => {
    const run = async (seed: string) => {
      await using bed = await createTestbed({ ...parts, seed })
      using _lossy = bed.network.disturb(integrations.crm.baseUrl, { what: 'reset_after_executing', share: 0.3 })
      await bed.hf.submitMany(signUp, people(20))
      await bed.drain()
      return [bed.clock.monotonicMs(), bed.twins.crm.effects.map(({ key, atMs }) => [key, atMs])]
    }
    expect(await run('a')).toEqual(await run('a'))
    expect(await run('a')).not.toEqual(await run('b'))
  })

  test('a process that is lost between its effect and the record of it; the next one finds the effect', async () => {
    let left = 3
    const oneByOne = { crm: { ...integrations.crm, limits: { concurrency: 1 } } }
    await using bed = await createTestbed({
      ...parts,
      integrations: oneByOne,
      apis: { crm: { ...parts.apis.crm, onEffect: () => left-- > 0 && bed.kill() } },
    })
    await bed.hf.submitMany(signUp, people(5))
    for (let killed = 0; killed < 3; killed++) {
      await bed.advance('1m')
      expect(() => bed.hf).toThrow('was killed')
      expect(await bed.balance()).toMatchObject({ accepted: 5, balanced: true })
      await bed.restart()
    }
    expect((await bed.drain()).states).toMatchObject({ succeeded: 5 })
    expect(bed.twins.crm.effects).toHaveLength(5)
    expect(bed.twins.crm.duplicates()).toEqual([])
  })

  test('calls that wait for time are made within run', async () => {
    await using bed = await createTestbed(parts)
    bed.twins.crm.script('GET /contacts', [{ kind: 'status', status: 503 }])
    const answer = await bed.run(bed.hf.client('crm').get('/contacts'))
    expect(answer.data).toEqual({ results: [] })
    expect(bed.clock.monotonicMs()).toBeGreaterThan(20)
  })

  test('what never ends is told, not waited for', async () => {
    await using bed = await createTestbed(parts)
    const outage = await bed.twins.crm.outage()
    await bed.hf.submitMany(signUp, people(20))
    await expect(bed.drain('30m')).rejects.toMatchObject({ code: 'testbed_not_drained' })
    expect(bed.clock.monotonicMs()).toBe(30 * 60_000)
    expect((await bed.balance()).states.retrying).toBe(20)
    await outage.end()
    expect((await bed.drain()).states.succeeded).toBe(20)
  })

  test('variables of the configuration are given, an API without an integration is refused', async () => {
    const auth = { type: 'bearer', token: '${CRM_TOKEN}' } as const
    const crm = { baseUrl: '${CRM_URL}', auth }
    await using bed = await createTestbed({
      integrations: { crm },
      apis: { crm: { routes: contacts } },
      env: { CRM_URL: 'https://crm.test', CRM_TOKEN: 'secret' },
    })
    expect((await bed.run(bed.hf.client('crm').get('/contacts'))).status).toBe(200)
    const misspelt = { integrations, apis: { crn: { routes: contacts } } }
    await expect(createTestbed(misspelt)).rejects.toThrow('did you mean "crm"?')
  })
})
