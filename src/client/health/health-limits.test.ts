import { describe, expect, test } from 'vitest'
import { ask, world } from '../../../test/support/health.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { VirtualClock } from '../../testing/virtual-clock.ts'
import { testIntegration } from '../test-kit.ts'
import type { Permit } from './health.ts'
import type { HealthRegistry } from './health-registry.ts'

describe('limits that several processes share', () => {
  const limited = (limits: Partial<IntegrationSettings['limits']>) =>
    testIntegration('http://crm.example', { limits: { concurrency: 100, ...limits } })

  /** Starts all it may, as a worker does that has more to do than it may; answered after 30 ms. */
  async function startAll(clock: VirtualClock, health: HealthRegistry, integration: IntegrationSettings) {
    const permits: Permit[] = []
    for (;;) {
      const admission = ask(health, { integration })
      if (!admission.admitted) break
      permits.push(admission.permit)
    }
    await clock.advance(30)
    for (const permit of permits) health.report(permit, { type: 'succeeded' })
    return permits.length
  }

  test('R053: several processes start no more than the limit, and all of it', async () => {
    const { clock, worker } = await world()
    const integration = limited({ rate: { limit: 10, perMs: 10_000 } })
    const workers = [worker(), worker()]
    let started = 0
    for (let round = 0; round < 40; round++) {
      for (const { health } of workers) started += await startAll(clock, health, integration)
      await clock.advance(100)
    }
    expect(started).toBe(10)
    expect(ask(workers[0]?.health as HealthRegistry, { integration })).toMatchObject({ admitted: false, by: 'rate' })
  })

  test('the first call of a lane waits for one exchange, those after it for none', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    const integration = limited({ rate: { limit: 100, perMs: 10_000 } })
    const nowMs = clock.wallMs()
    expect(ask(health, { integration })).toMatchObject({ admitted: false, by: 'rate', untilMs: nowMs + 10 })
    await clock.settle()
    await clock.settle()
    for (let index = 0; index < 5; index++) expect(ask(health, { integration }).admitted).toBe(true)
  })

  test('workers that are gone keep no share: after a rolling restart the lane goes on', async () => {
    const { clock, worker } = await world()
    const integration = limited({ rate: { limit: 2, perMs: 5000 } })
    for (let round = 0; round < 3; round++) {
      const { health } = worker()
      let started = 0
      // Each is dropped without a word, as by SIGKILL, as soon as it has started something.
      for (let waitedMs = 0; started === 0; waitedMs += 100) {
        expect(waitedMs).toBeLessThan(8000)
        started = await startAll(clock, health, integration)
        await clock.advance(100)
      }
    }
  })

  test('a restart does not forget the daily quota', async () => {
    const { clock, worker } = await world()
    const integration = limited({ quota: { limit: 3, perMs: 86_400_000 } })
    const one = worker()
    expect(await startAll(clock, one.health, integration)).toBe(0)
    expect(await startAll(clock, one.health, integration)).toBe(1)
    await clock.advance(200)
    expect(await startAll(clock, one.health, integration)).toBe(2)
    await clock.runUntil(one.health.leave())
    await clock.advance(3_600_000)
    const next = worker()
    for (let round = 0; round < 5; round++) {
      expect(await startAll(clock, next.health, integration)).toBe(0)
      await clock.advance(1000)
    }
    const admission = ask(next.health, { integration })
    expect(admission).toMatchObject({ admitted: false, by: 'quota' })
    expect(admission.admitted || admission.untilMs - clock.wallMs()).toBeGreaterThan(20 * 3_600_000)
    await clock.advance(23 * 3_600_000)
    expect(await startAll(clock, next.health, integration)).toBe(0)
    expect(await startAll(clock, next.health, integration)).toBeGreaterThan(0)
  })

  test.for([-3_600_000, 3_600_000])(
    'a clock that jumps by %i ms neither stops a limit nor lifts it',
    async (jumpMs) => {
      const { clock, worker } = await world()
      const integration = limited({ rate: { limit: 4, perMs: 10_000 } })
      const { health } = worker()
      let started = 0
      for (let round = 0; round < 50; round++) {
        if (round === 20) clock.jump(clock.wallMs() + jumpMs)
        started += await startAll(clock, health, integration)
        await clock.advance(70)
      }
      expect(started).toBe(4)
      for (let round = 0; round < 75; round++) {
        started += await startAll(clock, health, integration)
        await clock.advance(70)
      }
      expect(started).toBe(8)
    },
  )

  test('a process that starts on a clock that was set back goes on where the others are', async () => {
    const { clock, worker } = await world()
    const integration = limited({ rate: { limit: 4, perMs: 10_000 } })
    const one = worker()
    for (let round = 0; round < 10; round++) await startAll(clock, one.health, integration)
    await clock.runUntil(one.health.leave())
    clock.jump(clock.wallMs() - 3_600_000)
    const next = worker()
    let started = 0
    for (let round = 0; round < 90; round++) {
      started += await startAll(clock, next.health, integration)
      await clock.advance(70)
    }
    expect(started).toBe(0)
    for (let round = 0; round < 30; round++) {
      started += await startAll(clock, next.health, integration)
      await clock.advance(70)
    }
    expect(started).toBe(4)
  })

  test('a lane that is not in use costs no query, one that is a few a second', async () => {
    const { clock, ledger, worker } = await world()
    let queries = 0
    const counting = {
      ...ledger,
      updateHealth: (...request: Parameters<Ledger['updateHealth']>) => {
        queries += 1
        return ledger.updateHealth(...request)
      },
    }
    const { health } = worker({ ledger: counting })
    const integration = limited({ rate: { limit: 1000, perMs: 10_000 } })
    let started = 0
    for (let round = 0; round < 100; round++) {
      started += Number(ask(health, { integration }).admitted)
      await clock.advance(50)
    }
    expect(started).toBeGreaterThan(95)
    expect(queries).toBeLessThanOrEqual(10)
    await clock.advance(5000)
    queries = 0
    expect(clock.pending()).toBe(0)
    await clock.advance(60_000)
    expect(queries).toBe(0)
  })

  test('while the store cannot be asked, each goes on with the share it has', async () => {
    const { clock, ledger, worker } = await world()
    let away = false
    const shaky = {
      ...ledger,
      updateHealth: (...request: Parameters<Ledger['updateHealth']>) =>
        away ? Promise.reject(new Error('store is away')) : ledger.updateHealth(...request),
    }
    const { health, seen } = worker({ ledger: shaky })
    const integration = limited({ rate: { limit: 10, perMs: 2000 } })
    for (let round = 0; round < 10; round++) await startAll(clock, health, integration)
    away = true
    let started = 0
    for (let round = 0; round < 100; round++) {
      started += await startAll(clock, health, integration)
      await clock.advance(70)
    }
    // Ten seconds: until its lease ends, not while the store may be back, then again.
    expect(started).toBeGreaterThanOrEqual(20)
    expect(started).toBeLessThanOrEqual(40)
    expect(seen.some((event) => event.type === 'engine.trouble' && event.where === 'health.limits')).toBe(true)
  })
})
