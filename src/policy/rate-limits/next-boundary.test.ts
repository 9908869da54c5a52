import { expect, test } from 'vitest'
import { nextBoundaryMs } from './next-boundary.ts'

const at = (text: string) => Date.parse(text)

test.each([
  ['next_minute', '2026-11-22T10:00:30Z', undefined, '2026-11-22T10:01:00Z'],
  ['next_minute', '2026-11-22T10:00:00Z', undefined, '2026-11-22T10:01:00Z'],
  ['next_hour', '2026-11-22T10:59:59Z', undefined, '2026-11-22T11:00:00Z'],
  ['next_month', '2026-12-22T10:00:00Z', undefined, '2027-01-01T00:00:00Z'],
  ['midnight', '2026-11-22T10:00:00Z', undefined, '2026-11-23T00:00:00Z'],
  ['midnight', '2026-11-22T10:00:00Z', 'America/Los_Angeles', '2026-11-23T08:00:00Z'],
  ['midnight', '2026-11-22T07:59:59Z', 'America/Los_Angeles', '2026-11-22T08:00:00Z'],
  // Days of 25 and of 23 hours.
  ['midnight', '2026-11-01T06:00:00Z', 'America/Los_Angeles', '2026-11-01T07:00:00Z'],
  ['midnight', '2026-11-01T08:00:00Z', 'America/Los_Angeles', '2026-11-02T08:00:00Z'],
  ['midnight', '2026-03-08T09:00:00Z', 'America/Los_Angeles', '2026-03-09T07:00:00Z'],
] as const)('%s after %s in %s is %s', (boundary, now, zone, then) => {
  expect(new Date(nextBoundaryMs(boundary, at(now), zone)).toISOString()).toBe(new Date(at(then)).toISOString())
})
