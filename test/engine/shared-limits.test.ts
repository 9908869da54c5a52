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
  await fleet.clock.advance(120_000)
  expect(fullestWindow(fleet.arrivalsMs, 10_000)).toBeLessThanOrEqual(100)
  expect(utilisation(fleet, 100, 10_000, [0, 60_000])).toBeGreaterThanOrEqual(0.9)
  expect(utilisation(fleet, 100, 10_000, [60_000, 120_000])).toBeGreaterThanOrEqual(0.9)
  // What limits cost, per process and second, however many calls they let through.
  expect((fleet.queries.get('updateHealth') ?? 0) / 4 / 120).toBeLessThan(3)
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
  expect(fullestWindow(fleet.arrivalsMs, 10_000)).toBeLessThanOrEqual(100)
  expect(utilisation(fleet, 100, 10_000, [15_000, 75_000])).toBeGreaterThanOrEqual(0.9)
})

test.for([
  ['2/5s', 2, 5000],
  ['1/18s', 1, 18_000],
  ['1/1s', 1, 1000],
  ['50/2s', 50, 2000],
  ['200/s', 200, 1000],
] as const)('%s, small or large: kept and used by four', async ([rate, limit, perMs]) => {
  await using fleet = await createFleet({ seed: rate, limits: { rate } })
  await submit(fleet, limit * 25)
  for (let index = 0; index < 4; index++) await fleet.start()
  await fleet.clock.advance(perMs * 20)
  expect(fullestWindow(fleet.arrivalsMs, perMs)).toBeLessThanOrEqual(limit)
  expect(utilisation(fleet, limit, perMs, [0, perMs * 20])).toBeGreaterThanOrEqual(0.9)
})

test('a quota is shared too, and outlives every process that used it', async () => {
  const longMs = 300_000
  await using fleet = await createFleet({ seed: 'quota', limits: { quota: '300/5m' } })
  await submit(fleet, 700)
  const first = [await fleet.start(), await fleet.start()]
  await fleet.clock.advance(2000)
  expect(fleet.arrivalsMs.length).toBeGreaterThan(200)
  for (const { kill } of first) kill()
  await fleet.clock.advance(60_000)
  await fleet.start()
  await fleet.start()
  await fleet.clock.advance(180_000)
  expect(fleet.arrivalsMs.length).toBeLessThanOrEqual(300)
  // Of what the killed ones held, only what they may have used is lost until the window is over.
  expect(fleet.arrivalsMs.length).toBeGreaterThan(200)
  await fleet.clock.advance(longMs)
  expect(fullestWindow(fleet.arrivalsMs, longMs)).toBeLessThanOrEqual(300)
  expect(fleet.arrivalsMs.length).toBeGreaterThanOrEqual(500)
})

test('callers who wait in their processes wait for slots as well, and none of them starves', async () => {
  await using fleet = await createFleet({ seed: 'inline', limits: { rate: '10/2s' } })
  const done: number[] = [0, 0, 0]
  const work = done.map(async (_, index) => {
    const { hf } = await fleet.start({ worker: false })
    const calls = Array.from({ length: 60 }, async (_, n) => {
      await hf.client('crm').post('/things', { body: { n }, deadlineMs: 120_000 })
      done[index] = (done[index] ?? 0) + 1
    })
    await Promise.all(calls)
  })
  const all = Promise.all(work)
  await fleet.clock.advance(20_000)
  const halfway = [...done]
  await fleet.clock.runUntil(all)
  expect(done).toEqual([60, 60, 60])
  expect(fullestWindow(fleet.arrivalsMs, 2000)).toBeLessThanOrEqual(10)
  expect(Math.min(...halfway)).toBeGreaterThanOrEqual(Math.floor(Math.max(...halfway) / 2))
  expect(fleet.arrivalsMs.at(-1)).toBeLessThan((180 / 10) * 2000 * 1.15)
})
