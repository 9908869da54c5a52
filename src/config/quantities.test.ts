import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { durationMs, formatDuration } from '../core/duration.ts'
import { DURATION_PATTERN, parseRate, parseSize } from './quantities.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

describe('written quantities', () => {
  it('R056: any duration that can be written means its number times its unit', () => {
    const unit = fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[]))
    fc.assert(
      fc.property(fc.nat(1_000_000), unit, fc.boolean(), (amount, unit, blank) => {
        const text = `${amount}${blank ? ' ' : ''}${unit}`
        expect(DURATION_PATTERN.test(text)).toBe(true)
        expect(durationMs(text)).toBe(amount * UNITS[unit])
      }),
    )
  })

  it('a duration of one unit survives being worded and read again', () => {
    const written = fc.oneof(
      fc.integer({ min: 0, max: 999 }).map((amount) => amount),
      fc.integer({ min: 1, max: 59 }).map((amount) => amount * 1000),
      fc.integer({ min: 1, max: 59 }).map((amount) => amount * 60_000),
      fc.integer({ min: 1, max: 23 }).map((amount) => amount * 3_600_000),
      fc.integer({ min: 1, max: 3650 }).map((amount) => amount * 86_400_000),
    )
    fc.assert(
      fc.property(written, (delayMs) => {
        expect(durationMs(formatDuration(delayMs))).toBe(delayMs)
      }),
    )
  })

  it('no text whatsoever is read as a duration unless durationMs understands it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (DURATION_PATTERN.test(text)) expect(durationMs(text)).toBeGreaterThanOrEqual(0)
      }),
    )
  })

  it.each([
    ['100/10s', 100, 10_000],
    ['5/second', 5, 1000],
    ['5/s', 5, 1000],
    ['250000/day', 250_000, 86_400_000],
    ['60/m', 60, 60_000],
    ['30 / 500ms', 30, 500],
    ['1/1.5s', 1, 1500],
  ])('R051: the rate %s', (text, limit, perMs) => {
    expect(parseRate(text)).toEqual({ limit, perMs })
  })

  it.each(['', '100', '100/', '/10s', '0/10s', '5/0s', '5/week', '-5/s', '5/10', '1e3/s', '5/s/s', '5/minutes'])(
    'the rate %j is refused',
    (text) => {
      expect(() => parseRate(text)).toThrow(expect.objectContaining({ code: 'invalid_rate' }))
    },
  )

  it('any rate that can be written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 1e6 }), (limit, perSeconds) => {
        expect(parseRate(`${limit}/${perSeconds}s`)).toEqual({ limit, perMs: perSeconds * 1000 })
      }),
    )
  })

  it.each([
    ['1MB', 1_000_000],
    ['512KB', 512_000],
    ['4MiB', 4_194_304],
    ['1.5 GiB', 1_610_612_736],
    ['100B', 100],
  ])('the size %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each(['', '1', 'MB', '0MB', '0.1B', '-1MB', '1mb', '1TB', '1e3MB'])('the size %j is refused', (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'invalid_size' }))
  })
})
