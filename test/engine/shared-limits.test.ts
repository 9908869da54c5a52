/**
 * R053: several processes on one store keep one limit exactly, as the API sees it, and use it; the store is asked a few times a second,
 * not for every call.
 */
import { expect, test } from 'vitest'
import { createFleet, type Fleet, fullestWindow, send } from '../support/fleet.ts'

async function submit(fleet: Fleet, count: number): Promise<void> {
  const { hf } = await fleet.start({ worker: false })
  const records = Array.from({ length: count }, (_, n) => ({ input: { n }, options: { key: `${n}` } }))
  await fleet.clock.runUntil(hf.submitMany(send, records))
}

/** Of the limit, how much arrived in this time. */
function utilisation(fleet: Fleet, limit: number, perMs: number, [fromMs, toMs]: readonly [number, number]): number {
  const arrived = fleet.arrivalsMs.filter((atMs) => atMs >= fromMs && atMs < toMs).length
  return arrived / ((limit * (toMs - fromMs)) / perMs)
}

test('four workers at 100/10s: never more than 100 in any 10 s, and at least 90 % of it', async () => {
  await using fleet = await createFleet({ seed: 'four', limits: { rate: '100/10s' } })
  await submit(fleet, 2000)
  for (let index = 0; index < 4; index++) await fleet.start()
  await fleet.clock.advance(124_000)
  console.log(fullestWindow(fleet.arrivalsMs, 10_000), utilisation(fleet, 100, 10_000, [5000, 109_000]), fleet.queries)
  expect(fullestWindow(fleet.arrivalsMs, 10_000)).toBeLessThanOrEqual(100)
  // Ten windows as they are counted, whatever their place.
  expect(utilisation(fleet, 100, 10_000, [5000, 109_000])).toBeGreaterThanOrEqual(0.9)
})

test('one of four is killed, later a fifth starts: the same', async () => {
  await using fleet = await createFleet({ seed: 'killed', limits: { rate: '100/10s' } })
  await submit(fleet, 2000)
  const members = []
  for (let index = 0; index < 4; index++) members.push(await fleet.start())
  await fleet.clock.advance(23_456)
  members[2]?.kill()
  await fleet.clock.advance(11_000)
  await fleet.start()
  await fleet.clock.advance(90_000)
  console.log(fullestWindow(fleet.arrivalsMs, 10_000), utilisation(fleet, 100, 10_000, [15_000, 77_400]), fleet.queries)
  expect(fullestWindow(fleet.arrivalsMs, 10_000)).toBeLessThanOrEqual(100)
  expect(utilisation(fleet, 100, 10_000, [15_000, 77_400])).toBeGreaterThanOrEqual(0.9)
})

test.for([
  ['2/5s', 2, 5000],
  ['1/18s', 1, 18_000],
  ['1/1s', 1, 1000],
  ['50/2s', 50, 2000],
  ['1000/s', 1000, 1000],
] as const)('%s, small or large: kept and used by four', async ([rate, limit, perMs]) => {
  await using fleet = await createFleet({ seed: rate, limits: { rate } })
  const countedMs = perMs * 1.04
  await submit(fleet, Math.ceil(limit * 11))
  for (let index = 0; index < 4; index++) await fleet.start()
  await fleet.clock.advance(countedMs * 9)
  console.log(
    rate,
    fullestWindow(fleet.arrivalsMs, perMs),
    utilisation(fleet, limit, perMs, [countedMs / 2, countedMs * 8.5]),
    fleet.queries,
  )
  expect(fullestWindow(fleet.arrivalsMs, perMs)).toBeLessThanOrEqual(limit)
  expect(utilisation(fleet, limit, perMs, [countedMs / 2, countedMs * 8.5])).toBeGreaterThanOrEqual(0.9)
})
