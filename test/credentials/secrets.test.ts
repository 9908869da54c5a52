/** Rule 7: no secret and no token, configured or obtained, in anything that leaves, also where the API repeats them. */
import { expect, test } from 'vitest'
import type { WrittenAuth } from '../../src/config/schema-auth.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { createCredentialFleet, KEY, ROTATING } from '../support/credential-fleet.ts'

const BASIC: WrittenAuth = { type: 'basic', user: 'crm-user', password: 'pass"word/with&odd=chars' }
const HEADER: WrittenAuth = { type: 'header', name: 'authorization', value: 'Key 0123456789abcdef0123' }
const STATIC: WrittenAuth = { type: 'bearer', token: 'x-plain-token-without-shape' }

function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, member) =>
    member instanceof Error ? { ...member, message: member.message, stack: member.stack, cause: member.cause } : member,
  )
}

test.for([
  ['refresh token', ROTATING],
  ['bearer', STATIC],
  ['basic', BASIC],
  ['header', HEADER],
] as const)(
  '%s: events, errors, items, explanations, dead letters, lanes and views hold none of it',
  async ([, auth]) => {
    await using fleet = await createCredentialFleet(auth, { maxAge: '10m' })
    const member = await fleet.start({ worker: true })
    const { hf } = member
    const told: unknown[] = []
    fleet.api.refuseEverything = true
    await fleet.submit(member, 5)
    await fleet.clock.advance(30_000)
    await fleet.clock.runUntil(hf.operations.resume('crm'))
    const call = hf.client('crm').post('/things', { body: { n: 99 }, deadlineMs: 100 })
    told.push(await fleet.clock.runUntil(call.catch((error: unknown) => error)))
    await fleet.clock.advance(30_000)
    // Older than they may be: the refusals become dead letters.
    await fleet.clock.advance(900_000)
    await fleet.clock.runUntil(hf.operations.resume('crm'))
    await fleet.clock.advance(5000)
    fleet.api.revokeAll()
    await fleet.clock.runUntil(hf.operations.resume('crm'))
    await fleet.clock.advance(5000)

    const { rows } = await fleet.clock.runUntil(hf.operations.items())
    expect(rows).toHaveLength(5)
    for (const { itemId } of rows) {
      told.push(await fleet.clock.runUntil(hf.operations.item(itemId)))
      told.push(await fleet.clock.runUntil(hf.operations.explain(itemId)))
    }
    told.push(await fleet.clock.runUntil(hf.operations.groups()))
    told.push(await fleet.clock.runUntil(hf.operations.lanes()))
    told.push(await fleet.clock.runUntil(hf.operations.credentials()))
    told.push(fleet.ledger && (await fleet.clock.runUntil(fleet.ledger.readHealth(0))))
    told.push(fleet.events)

    const secrets = [
      ...fleet.api.given,
      KEY,
      'first-refresh-token-0001',
      'the-client-secret-0123456789',
      'x-plain-token-without-shape',
      'pass"word/with&odd=chars',
      'pass\\"word',
      encodeURIComponent('pass"word/with&odd=chars'),
      Buffer.from('crm-user:pass"word/with&odd=chars').toString('base64'),
      '0123456789abcdef0123',
    ]
    const all = textOf(told)
    expect(all).toContain('[redacted]')
    expect(
      secrets.filter((secret) => all.includes(secret) || all.includes(JSON.stringify(secret).slice(1, -1))),
    ).toEqual([])
  },
)

test('an API key in the query is in no event, error or record, and reaches the API', async () => {
  await using fleet = await createCredentialFleet({ type: 'query', name: 'api key', value: 'query/secret+0001-of-crm' })
  const member = await fleet.start({ worker: true })
  await fleet.submit(member, 2)
  await fleet.clock.advance(60_000)
  const { rows } = await fleet.clock.runUntil(member.hf.operations.items())
  const items = await Promise.all(rows.map(({ itemId }) => member.hf.operations.item(itemId)))
  const lanes = await fleet.clock.runUntil(member.hf.operations.lanes())
  expect(fleet.api.queries).toContainEqual({ 'api key': 'query/secret+0001-of-crm' })
  expect(textOf(items)).toContain('[redacted]')
  expect(textOf([items, lanes, fleet.events])).not.toMatch(/query(%2F|\/)secret/)
})

test('code that puts an answer into its error, cut off anywhere: what the API repeated in it is hidden there too', async () => {
  await using fleet = await createCredentialFleet({
    type: 'header',
    name: 'authorization',
    value: 'x-plain-token-without-shape',
  })
  const COUNT = 50
  const sdk = definePipeline<{ n: number }>('sdk').step('call', {
    safe: true,
    maxAttempts: 1,
    async run({ input }) {
      const response = await member.hf.fetch('crm')('https://crm.test/things', {
        method: 'POST',
        body: JSON.stringify(input),
      })
      const text = await response.text()
      throw new Error(`${'.'.repeat(input.n * 3)}the API said ${text.repeat(20)}`)
    },
  })
  const member = await fleet.start({ worker: true, pipelines: [sdk] })
  for (let n = 0; n < COUNT; n++) {
    await fleet.clock.runUntil(member.hf.operations.resume('crm'))
    await fleet.clock.runUntil(member.hf.submit(sdk, { n }))
    await fleet.clock.advance(1000)
  }
  const { rows } = await fleet.clock.runUntil(member.hf.operations.items())
  expect(rows.filter(({ state }) => state === 'dead_lettered')).toHaveLength(COUNT)
  const items = await Promise.all(rows.map(({ itemId }) => member.hf.operations.item(itemId)))
  const all = textOf([items, fleet.events])
  expect(all).toContain('[redacted]')
  expect(all).not.toContain('x-plain-t')
})
