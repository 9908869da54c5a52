/** Every built-in profile, by the same questions: adding a vendor needs no test of its own. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { profileSchema } from '../../src/config/profile-schema.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { Failure } from '../../src/core/failure.ts'
import type { Json } from '../../src/core/json.ts'
import { ruleForStatus } from '../../src/policy/classify/default-rules.ts'
import { BUILT_IN_PROFILES } from '../../src/profiles/index.ts'
import { judgeSample, judgeSamples, settingsOfProfile } from '../../src/profiles/judge.ts'
import { BUILT_IN_SAMPLES } from '../../src/profiles/samples.ts'

const NOW_MS = Date.parse('2026-11-22T15:00:00Z')
const LONGEST_WAIT_MS = 31 * 86_400_000

test('every profile has its samples, under a name of its own', () => {
  const names = BUILT_IN_PROFILES.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(Object.keys(BUILT_IN_SAMPLES).sort()).toEqual([...names].sort())
})

describe.each(BUILT_IN_PROFILES.map((profile) => [profile.name, profile] as const))(
  'R022, R023: %s',
  (name, profile) => {
    const samples = BUILT_IN_SAMPLES[name] ?? {}
    const settings = settingsOfProfile(profile)

    test('is what a user could have written: addresses are https, days exist, ids are unique', () => {
      const parsed = profileSchema.safeParse(profile)
      expect(parsed.error?.issues ?? []).toEqual([])
      const sources = profile.rules.map(({ source }) => source.read)
      expect(sources.filter((day) => Date.parse(day) > Date.parse('2027-12-31') || day < '2026-01-01')).toEqual([])
    })

    test('is the same by name and as a value', () => {
      const baseUrl = 'https://crm.test'
      const given = { byName: { baseUrl, profile: name }, asValue: { baseUrl, profile } }
      const options = { env: {}, baseDirectory: '/', profiles: BUILT_IN_PROFILES }
      const { integrations } = resolveConfig({ integrations: given }, options)
      const [byName, asValue] = integrations.map((integration) => ({ ...integration, name: '' }))
      expect(asValue).toEqual(byName)
    })

    test('every rule has a sample, and every sample a rule', () => {
      expect(Object.keys(samples).sort()).toEqual(profile.rules.map(({ id }) => id).sort())
    })

    test('every sample is decided by its rule', () => {
      const results = judgeSamples(profile, samples, NOW_MS)
      const wrong = results.filter(({ rule, decidedBy }) => decidedBy !== rule.id)
      expect(wrong.map(({ rule, sample, decidedBy }) => ({ rule: rule.id, decidedBy, sample }))).toEqual([])
      for (const { rule, failure } of results) {
        if (rule.class === 'success') expect(failure).toBeUndefined()
        else
          expect(failure?.rule, `${rule.id} is told as the one that decided`).toContain(`profile ${name}: ${rule.id} (`)
      }
    })

    test('rules that nobody has verified can do no harm: they neither end well nor repeat a write blindly', () => {
      const unverified = judgeSamples(profile, samples, NOW_MS).filter(
        ({ rule }) => rule.source.certainty === 'unverified',
      )
      const harmful = unverified.filter(({ rule, sample, failure }) => {
        if (rule.class === 'success' || !failure) return true
        const byDefault = ruleForStatus(sample.status)
        const write = judgeSample(settings, { ...sample, method: 'POST' }, NOW_MS).failure ?? failure
        return repeatsBlindly(write) && !(byDefault && repeatsBlindly(byDefault))
      })
      expect(harmful.map(({ rule }) => rule.id)).toEqual([])
    })

    test('R015: what is gone is deleted: no rule makes a failure of DELETE 404 that is only not_found', () => {
      const bodies = Object.values(samples).flatMap((list) => list.filter(({ status }) => status === 404))
      for (const sample of [{ status: 404 }, ...bodies]) {
        expect(judgeSample(settings, { ...sample, method: 'DELETE' }, NOW_MS).failure?.class).not.toBe('not_found')
      }
    })
  },
)

test('hostile bodies: whatever comes from whichever vendor, an answer is judged, within bounds', () => {
  const vendors = BUILT_IN_PROFILES.map((profile) => ({
    settings: settingsOfProfile(profile),
    statuses: [200, 400, 500, ...statusesOf(profile.name)],
  }))
  const answer = fc
    .constantFrom(...vendors)
    .chain(({ settings, statuses }) =>
      fc.record({ settings: fc.constant(settings), status: fc.constantFrom(...statuses) }),
    )
  fc.assert(
    fc.property(answer, bodies(), fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (one, body, headers) => {
      const { failure } = judgeSample(one.settings, { status: one.status, body, headers }, NOW_MS)
      if (failure?.retryAfterMs !== undefined) {
        expect(failure.retryAfterMs).toBeGreaterThanOrEqual(0)
        expect(failure.retryAfterMs).toBeLessThanOrEqual(LONGEST_WAIT_MS)
      }
    }),
    { numRuns: 500 },
  )
})

function statusesOf(name: string): number[] {
  return Object.values(BUILT_IN_SAMPLES[name] ?? {}).flatMap((list) => list.map(({ status }) => status))
}

/** Trees of the members that rules look at. */
function bodies(): fc.Arbitrary<Json> {
  const members = fc.constantFrom(
    'error',
    'errors',
    'code',
    'message',
    'category',
    'ok',
    'data',
    'extensions',
    '__proto__',
  )
  const { tree } = fc.letrec<{ tree: Json; leaf: Json }>((tie) => ({
    leaf: fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
    tree: fc.oneof(
      { depthSize: 'small' },
      tie('leaf'),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(members, tie('tree'), { maxKeys: 5 }) as fc.Arbitrary<Json>,
    ),
  }))
  return tree
}

/** Comes back by itself although it is a write, because it is said to have had no effect. */
function repeatsBlindly({ class: failureClass, certainty }: Pick<Failure, 'class' | 'certainty'>): boolean {
  const comesBack = ['transient', 'rate_limited', 'wait_long', 'unknown', 'conflict', 'malformed_response']
  return comesBack.includes(failureClass) && certainty === 'not_sent'
}
