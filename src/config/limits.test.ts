import { describe, expect, test } from 'vitest'
import { resolveConfig } from './resolve.ts'

const resolve = (limits: unknown) =>
  resolveConfig(
    { integrations: { crm: { baseUrl: 'https://crm.example', limits } } },
    { env: {}, baseDirectory: '/tmp' },
  ).integrations[0]?.limits

describe('limits', () => {
  test('concurrency is a number, or is found out', () => {
    expect(resolve({})).toMatchObject({ concurrency: 5 })
    expect(resolve({ concurrency: 12 })).toEqual({ concurrency: 12 })
    expect(resolve({ concurrency: { adaptive: true } })).toEqual({ concurrency: 50, adaptive: { min: 1 } })
    expect(resolve({ concurrency: { adaptive: true, min: 2, max: 9 } })).toEqual({
      concurrency: 9,
      adaptive: { min: 2 },
    })
    expect(resolve({ concurrency: { adaptive: true, min: 80 } })).toMatchObject({ concurrency: 80 })
  })

  test('R051: a quota that is shared out goes by the calendar; what the shares leave is for the rest', () => {
    expect(resolve({ quota: '250000/day' })?.quota).toEqual({ limit: 250_000, perMs: 86_400_000 })
    expect(resolve({ quota: '250000/day', shares: { onboarding: 0.6 } })).toMatchObject({
      quota: { limit: 250_000, perMs: 86_400_000, calendarMs: 86_400_000 },
      shares: { byPipeline: { onboarding: 0.6 }, reserve: 0.4 },
    })
    expect(resolve({ quota: '10/day', shares: { a: 0.1, b: 0.2, c: 0.7 } })?.shares?.reserve).toBeCloseTo(0)
  })

  test('R050: from when on calls are spread', () => {
    expect(resolve({ slowBelow: { share: 0.3 } })?.slowBelow).toEqual({ share: 0.3, calls: 10 })
    expect(resolve({ slowBelow: { calls: 0 } })?.slowBelow).toEqual({ share: 0.1, calls: 0 })
  })

  test.each<[unknown, RegExp]>([
    [{ concurrency: { adaptive: true, min: 9, max: 2 } }, /min \(9\) is more than max \(2\)/],
    [{ concurrency: 0 }, /1/],
    [{ shares: { a: 0.5 } }, /expected a `quota` to share out/],
    [{ quota: '10/day', reserve: 0.5 }, /expected `shares` beside it/],
    [{ quota: '10/day', shares: { a: 0.7, b: 0.4 } }, /110 % of the quota/],
    [{ quota: '10/day', shares: { a: 0.7 }, reserve: 0.4 }, /110 % of the quota/],
    [{ quota: '10/day', shares: { a: 60 } }, /integrations\.crm\.limits/],
  ])('%j is refused', (limits, words) => {
    expect(() => resolve(limits)).toThrow(words)
  })
})
