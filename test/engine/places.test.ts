/** Decision 026: how much a worker asks for, where jobs end faster than claims are answered. */
import { expect, it } from 'vitest'
import type { Catalog, StepPlan } from '../../src/engine/pipelines/catalog.ts'
import { createPlaces, type Placeable } from '../../src/engine/places.ts'
import type { ClaimedItem } from '../../src/ledger/port.ts'
import { createVirtualClock } from '../../src/testing/virtual-clock.ts'

const CONCURRENCY = 100
const ITEM = { lane: 'work/default', endpoint: 'work', pipeline: 'work', step: 'work', from: 'queued' } as ClaimedItem
const CATALOG = { plan: () => ({ kind: 'code', repeatable: true }) as StepPlan } as unknown as Catalog

function claims(count: number): Placeable[] {
  return Array.from({ length: count }, () => ({ item: ITEM, held: undefined }))
}

/** A worker whose first hundred calls took 10 ms, as a claim does: it may have 500 items. */
async function workshop() {
  const clock = createVirtualClock()
  const running: Placeable[] = []
  const nothing = (): void => {}
  const run = (claim: Placeable): void => void running.push(claim)
  const parts = { concurrency: CONCURRENCY, clock, catalog: CATALOG, run, runTogether: nothing, started: nothing }
  const places = createPlaces({ ...parts, ended: nothing })
  const end = async (count: number): Promise<void> => {
    for (const claim of running.splice(0, count)) places.ended(claim)
    await clock.advance(0)
  }
  expect(places.room()).toBe(CONCURRENCY)
  places.admit(claims(CONCURRENCY))
  await clock.advance(10)
  await end(CONCURRENCY)
  places.answered(clock.monotonicMs() - 10)
  return { places, end, running }
}

it('it asks for half of all: something is left to run while the store is at work on the claim', async () => {
  const { places, running } = await workshop()
  expect(places.room()).toBe(250)
  places.admit(claims(250))
  expect(running).toHaveLength(CONCURRENCY)
  expect(places.room()).toBe(250)
})

it('it asks for no crumbs while there is something to run, and for what is free when there is nothing', async () => {
  const { places, end } = await workshop()
  places.admit(claims(500))
  expect(places.room()).toBe(0)
  await end(100)
  expect(places.room()).toBe(0)
  await end(24)
  expect(places.room()).toBe(0)
  await end(1)
  expect(places.room()).toBe(125)
  places.admit(claims(125))
  for (let ended = 0; ended < 4; ended += 1) await end(100)
  expect(places.room()).toBe(250)
})
