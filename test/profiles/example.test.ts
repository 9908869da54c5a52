/** The vendor that docs/profiles.md describes: the file is loaded and judged as a user's would be. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { BUILT_IN_PROFILES } from '../../src/profiles/index.ts'
import { judgeSample, judgeSamples } from '../../src/profiles/judge.ts'

const directory = join(import.meta.dirname, '../../examples/a-vendor-of-your-own')
const NOW_MS = Date.parse('2026-11-22T20:00:00Z')

const load = () => loadConfig({ directory, env: { PARCELWING_TOKEN: 'x' }, profiles: BUILT_IN_PROFILES })

test('R022: a vendor takes one data file: every answer in it is decided by its rule', async () => {
  const { profiles } = await load()
  const parcelwing = profiles.find(({ name }) => name === 'parcelwing') ?? expect.fail('it is there')
  const results = judgeSamples(parcelwing, parcelwing.samples ?? {}, NOW_MS)
  expect(
    results.map(({ rule, decidedBy, failure }) => [rule.id, decidedBy, failure?.class, failure?.retryAfterMs]),
  ).toEqual([
    ['label-pending', 'label-pending', 'transient', 3000],
    ['label-pending', 'label-pending', 'transient', 5000],
    ['shipment-exists', 'shipment-exists', 'conflict', undefined],
    ['rejected-in-200', 'rejected-in-200', 'validation', undefined],
    ['depot-night', 'depot-night', 'wait_long', 3 * 3_600_000],
  ])
  expect(results[3]?.failure).toMatchObject({ code: 'BAD_ADDRESS', subject: 'street', status: 200 })
})

test('R022: an integration changes a rule of the profile by its id, and puts its own before', async () => {
  const { integrations } = await load()
  const carrier = integrations[0] ?? expect.fail('it is there')
  const night = { status: 503, body: { problem: { kind: 'CLOSED', text: 'Depot closed until 06:00' } } }
  expect(judgeSample(carrier, night, NOW_MS).failure).toMatchObject({
    class: 'wait_long',
    hint: 'Nothing to do: ships tomorrow.',
    rule: expect.stringMatching(/^carrier:errors\.depot-night, over profile parcelwing: depot-night \(https:/),
  })
  const ended = { status: 403, body: { problem: { kind: 'CONTRACT_ENDED', text: 'Contract ended' } } }
  expect(judgeSample(carrier, ended, NOW_MS).failure).toMatchObject({
    class: 'wait_long',
    rule: 'carrier:errors.our-contract',
  })
})

test('the page shows the file as it is', () => {
  const page = readFileSync(join(directory, '../../docs/profiles.md'), 'utf8')
  const file = readFileSync(join(directory, 'holdfast.yaml'), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block ?? '')
  expect(blocks.length).toBeGreaterThan(3)
  for (const block of blocks) {
    for (const line of block
      .split('\n')
      .map((each) => each.trim())
      .filter((each) => each !== '' && each !== '...')) {
      expect(file).toContain(line)
    }
  }
})
