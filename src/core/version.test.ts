import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isOlderVersion, shownVersion, storedVersion } from './version.ts'

function isOlder(left: unknown, right: unknown): boolean {
  return isOlderVersion(storedVersion(left), storedVersion(right))
}

describe('versions (R116)', () => {
  it.each([
    [9, 10],
    ['9', '10'],
    ['007', 8],
    [1.5, 1.25 + 0.5],
    [1, 1.5],
    ['99999999999999999998', '99999999999999999999'],
    [0, 1_767_225_600_123],
    ['2026-01-31T09:30:00Z', '2026-01-31T09:30:00.000000001Z'],
    ['2026-01-31T10:30:00+01:00', '2026-01-31T09:30:01Z'],
    ['2026-01-31', '2026-01-31T00:00:01Z'],
    ['2025-12-31t23:59:59z', new Date(Date.UTC(2026, 0, 1))],
  ])('%s is older than %s, and not the other way round', (older, newer) => {
    expect(isOlder(older, newer)).toBe(true)
    expect(isOlder(newer, older)).toBe(false)
  })

  it('says the same of equal versions, however they are written', () => {
    expect(storedVersion('2026-01-31T10:30:00.500+01:00')).toBe(storedVersion('2026-01-31T09:30:00.5Z'))
    expect(storedVersion('042.50')).toBe(storedVersion(42.5))
    expect(storedVersion('42.0')).toBe(storedVersion(42))
  })

  it('says of versions of different kinds that neither is older', () => {
    expect(isOlder(7, '2026-01-31')).toBe(false)
    expect(isOlder('2026-01-31', 7)).toBe(false)
  })

  it.each([
    undefined,
    null,
    '',
    'v7',
    true,
    {},
    -1,
    1e21,
    1e-9,
    Number.NaN,
    2 ** 53,
    '1e3',
    ' 7',
    '2026-02-31',
    '2026-02-31T09:30:00+01:00',
    '2026-13-01',
    '2026-01-31T09:30:00',
    '2026-01-31T25:00:00Z',
    new Date(Number.NaN),
    '9'.repeat(101),
  ])('refuses %j, with what to do', (value) => {
    expect(() => storedVersion(value)).toThrow(
      expect.objectContaining({ code: 'version_invalid', hint: expect.stringContaining('supersede.version') }),
    )
  })

  it('property: numbers and times compare as what they are, byte by byte', () => {
    const whole = fc.maxSafeNat()
    fc.assert(fc.property(whole, whole, (left, right) => isOlder(left, right) === left < right))
    fc.assert(fc.property(whole, whole, (left, right) => isOlder(String(left), right) === left < right))
    const big = fc.bigInt({ min: 0n, max: 10n ** 99n })
    fc.assert(fc.property(big, big, (left, right) => isOlder(`${left}`, `${right}`) === left < right))
    const time = fc.date({ min: new Date(Date.UTC(1, 0, 1)), max: new Date(Date.UTC(9999, 0, 1)), noInvalidDate: true })
    fc.assert(fc.property(time, time, (left, right) => isOlder(left.toISOString(), right) === left < right))
  })

  it.each([
    ['042.50', '42.5'],
    [0, '0'],
    ['2026-01-31T10:30:00.500+01:00', '2026-01-31T09:30:00.5Z'],
    ['2026-01-31', '2026-01-31T00:00:00Z'],
  ])('shows %s as %s', (given, shown) => {
    expect(shownVersion(storedVersion(given))).toBe(shown)
  })
})
