import { describe, expect, test } from 'vitest'
import { allowanceOf, ask, fail, permitFor, sync, world } from '../../../test/support/health.ts'
import { testIntegration } from '../test-kit.ts'

describe('breakers', () => {
  test('R062-R070: trips, refuses without the network, probes once, closes, ramps', async () => {
    const { clock, worker } = await world()
    const { health, seen } = worker()
    fail(health, 5)
    expect(ask(health)).toMatchObject({ admitted: false, by: 'breaker', untilMs: clock.wallMs() + 30_000 })
    expect(allowanceOf(health, 10)).toMatchObject({ limit: 0, by: 'breaker', retryAtMs: clock.wallMs() + 30_000 })
    // R072: another endpoint of the same API goes on.
    expect(ask(health, { endpoint: 'GET /deals' }).admitted).toBe(true)
    await clock.advance(30_000)
    expect(allowanceOf(health, 10)).toMatchObject({ limit: 1 })
    const first = permitFor(health)
    expect(ask(health)).toMatchObject({ admitted: false, by: 'breaker' })
    health.report(first, { type: 'succeeded' })
    health.report(permitFor(health), { type: 'succeeded' })
    // Ramping: a tenth of 50.
    expect(allowanceOf(health, 100).limit).toBe(5)
    const running = Array.from({ length: 5 }, () => permitFor(health))
    expect(ask(health)).toMatchObject({ admitted: false, by: 'breaker' })
    for (const permit of running) health.report(permit, { type: 'succeeded' })
    await clock.advance(10_000)
    await sync(clock, health)
    expect(seen.filter((event) => event.type === 'breaker.changed').map((event) => event.to)).toEqual([
      'open',
      'half_open',
      'ramping',
      'closed',
    ])
  })

  test("D15: one tenant's failures open its own breaker, not the others'", async () => {
    const { worker } = await world()
    const { health } = worker()
    for (const tenant of ['beta', 'gamma', 'delta']) {
      for (let round = 0; round < 4; round++) health.report(permitFor(health, { tenant }), { type: 'succeeded' })
    }
    fail(health, 5, { tenant: 'acme' })
    expect(ask(health, { tenant: 'acme' })).toMatchObject({ admitted: false, by: 'breaker' })
    expect(ask(health, { tenant: 'beta' }).admitted).toBe(true)
    expect(
      health
        .breakers()
        .filter((view) => view.phase === 'open')
        .map((view) => view.key),
    ).toEqual(['crm:GET /people@acme'])
  })

  test('a permit is counted once, however often it is reported', async () => {
    const { worker } = await world()
    const { health } = worker()
    const permit = permitFor(health)
    for (let round = 0; round < 10; round++) health.report(permit, { type: 'failed', code: 'x' })
    expect(ask(health).admitted).toBe(true)
    expect(health.breakers().find((view) => view.key === 'crm:GET /people')).toMatchObject({ failures: 1, calls: 1 })
  })

  test('a probe that is never reported frees its place when its lease is over', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    fail(health, 5)
    await clock.advance(30_000)
    permitFor(health)
    expect(ask(health).admitted).toBe(false)
    await clock.advance(90_000)
    expect(ask(health).admitted).toBe(true)
  })
})

describe('several processes', () => {
  test('an open breaker is known to the others after one exchange; so is its closing', async () => {
    const { clock, worker } = await world()
    const [one, other] = [worker(), worker()]
    await sync(clock, one.health, other.health)
    fail(one.health, 5)
    // Urgent: written without anybody asking.
    await clock.settle()
    await clock.settle()
    await sync(clock, other.health)
    expect(ask(other.health)).toMatchObject({ admitted: false, by: 'breaker' })
    expect(other.seen.some((event) => event.type === 'breaker.changed' && event.to === 'open')).toBe(true)

    await clock.advance(30_000)
    const probe = permitFor(one.health)
    await sync(clock, one.health, other.health)
    expect(ask(other.health)).toMatchObject({
      admitted: false,
      by: 'breaker',
      reason: expect.stringContaining('probe'),
    })
    one.health.report(probe, { type: 'succeeded' })
    one.health.report(permitFor(one.health), { type: 'succeeded' })
    await sync(clock, one.health, other.health)
    expect(other.health.breakers().find((view) => view.key === 'crm:GET /people')?.phase).toBe('ramping')
  })

  test('C8: probes of two processes at the same time both count, and nothing is wedged', async () => {
    const { clock, worker } = await world()
    const [one, other] = [worker(), worker()]
    fail(one.health, 5)
    await sync(clock, one.health, other.health)
    await clock.advance(30_000)
    const probes = [permitFor(one.health), permitFor(other.health)] as const
    await sync(clock, one.health, other.health, one.health)
    one.health.report(probes[0], { type: 'succeeded' })
    other.health.report(probes[1], { type: 'succeeded' })
    for (let round = 0; round < 6; round++) {
      await sync(clock, one.health, other.health)
      for (const { health } of [one, other]) {
        const admission = ask(health)
        if (admission.admitted) health.report(admission.permit, { type: 'succeeded' })
      }
      await clock.advance(2000)
    }
    await sync(clock, one.health, other.health)
    for (const { health } of [one, other]) {
      expect(health.breakers().find((view) => view.key === 'crm:GET /people')?.phase).toMatch(/ramping|closed/)
    }
  })

  test('D15: a process that served only the default tenant obeys a breaker of that tenant that others opened (simulator, seed 21)', async () => {
    const { clock, worker } = await world()
    const [one, other] = [worker(), worker()]
    for (const tenant of ['beta', 'gamma', 'delta']) {
      for (let round = 0; round < 4; round++)
        one.health.report(permitFor(one.health, { tenant }), { type: 'succeeded' })
    }
    other.health.report(permitFor(other.health), { type: 'succeeded' })
    fail(one.health, 5)
    await sync(clock, one.health, other.health)
    const open = one.health.breakers().filter((view) => view.phase === 'open')
    expect(open.map((view) => view.key)).toEqual(['crm:GET /people@default'])
    expect(ask(other.health)).toMatchObject({ admitted: false, by: 'breaker' })
    expect(allowanceOf(other.health, 10)).toMatchObject({ limit: 0, by: 'breaker' })

    // And it sends no second probe beside that of the process that opened it.
    await clock.advance(30_000)
    permitFor(one.health)
    await sync(clock, one.health, other.health)
    expect(ask(other.health)).toMatchObject({ by: 'breaker', reason: expect.stringContaining('a probe is under way') })
  })

  test('R067: a process keeps its own probe when another began to probe a moment later (simulator, seed 207)', async () => {
    const { clock, worker } = await world()
    const [one, other] = [worker(), worker()]
    fail(one.health, 5)
    await sync(clock, one.health, other.health)
    await clock.advance(30_000)
    const earlier = permitFor(one.health)
    await clock.advance(5)
    // It has not heard of the first probe.
    const later = permitFor(other.health)
    await sync(clock, other.health, one.health)
    other.health.report(later, { type: 'succeeded' })
    await sync(clock, other.health, one.health)
    expect(ask(one.health)).toMatchObject({ by: 'breaker', reason: expect.stringContaining('a probe is under way') })
    // Its result counts: two good probes close it.
    one.health.report(earlier, { type: 'succeeded' })
    expect(one.health.breakers().find((view) => view.key === 'crm:GET /people')?.phase).toBe('ramping')
  })

  test("a process that starts finds the open breaker; an operator's process resets it for all", async () => {
    const { clock, worker } = await world()
    const one = worker()
    fail(one.health, 5)
    await sync(clock, one.health)
    const operator = worker()
    expect(await clock.runUntil(operator.health.resetBreaker('crm:GET /people'))).toBe(true)
    expect(await clock.runUntil(operator.health.resetBreaker('no such'))).toBe(false)
    await sync(clock, one.health)
    expect(ask(one.health).admitted).toBe(true)
  })

  test('quiet processes write nothing: no record is corrected to and fro', async () => {
    const { clock, ledger, worker } = await world()
    const [one, other] = [worker(), worker()]
    fail(one.health, 2)
    fail(other.health, 1)
    for (let round = 0; round < 3; round++) await sync(clock, one.health, other.health)
    const { revision } = await clock.runUntil(ledger.readHealth(0))
    for (let round = 0; round < 5; round++) await sync(clock, one.health, other.health)
    expect((await clock.runUntil(ledger.readHealth(0))).revision).toBe(revision)
  })
})

describe('lanes', () => {
  test("C5: a gate closed here holds at once; the ledger's is taken over, and its opening too", async () => {
    const { clock, ledger, worker } = await world()
    const [one, other] = [worker(), worker()]
    const untilMs = clock.wallMs() + 60_000
    one.health.closeGate('crm/default', untilMs, 'Retry-After 60')
    one.health.closeGate('crm/default', untilMs - 1000, 'an older word')
    expect(ask(one.health)).toMatchObject({ admitted: false, by: 'gate', untilMs })
    // Not yet in the ledger: its silence does not open it.
    await sync(clock, one.health)
    expect(ask(one.health)).toMatchObject({ by: 'gate' })
    await clock.runUntil(ledger.closeGates([{ lane: 'crm/default', untilMs, reason: 'Retry-After 60' }]))
    await sync(clock, one.health, other.health)
    expect(ask(other.health)).toMatchObject({ admitted: false, by: 'gate', untilMs })
    await clock.runUntil(ledger.openGates(['crm/default']))
    for (let round = 0; round < 3; round++) {
      await clock.advance(1000)
      await sync(clock, one.health, other.health)
    }
    expect(ask(one.health).admitted).toBe(true)
    expect(ask(other.health).admitted).toBe(true)
    expect(one.seen.filter((event) => event.type === 'gate.closed')).toHaveLength(1)
  })

  test('R111, D21: the gate is asked first, then the breaker, then the budget; whoever is refused has used nothing', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    const retryBudget = { ratio: 0, minimumPerSecond: 0, burst: 2 }
    const integration = testIntegration('http://crm.example', { retryBudget })
    const retry = { integration, attempt: 2 }
    fail(health, 5, { integration })
    health.closeGate('crm/default', clock.wallMs() + 60_000, '429')
    // From 30 s on the breaker would begin a probe; behind the gate it is not asked.
    for (const afterMs of [0, 45_000]) {
      await clock.advance(afterMs)
      expect(ask(health, retry)).toMatchObject({ admitted: false, by: 'gate' })
      expect(health.breakers().find(({ key }) => key === 'crm:GET /people')).toMatchObject({ phase: 'open' })
    }
    await clock.advance(15_000)
    const probe = permitFor(health, retry)
    for (let round = 0; round < 20; round++) {
      expect(ask(health, retry)).toMatchObject({ admitted: false, by: 'breaker' })
    }
    health.report(probe, { type: 'failed', code: 'http_503' })
    // Of two retries the probe was one; none of all those that were refused was the other.
    await clock.runUntil(health.resetBreaker('crm:GET /people'))
    expect(ask(health, retry)).toMatchObject({ admitted: true })
    expect(ask(health, retry)).toMatchObject({ admitted: false, by: 'retry_budget' })
  })

  test('a gate opens by time alone', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    health.closeGate('crm/default', clock.wallMs() + 5000, 'x')
    await clock.advance(5000)
    expect(ask(health).admitted).toBe(true)
  })

  test('a suspended lane gives nothing until it is resumed', async () => {
    const { clock, ledger, worker } = await world()
    const { health } = worker()
    await clock.runUntil(ledger.suspendLanes([{ lane: 'crm/default', reason: '401', atMs: clock.wallMs() }]))
    await sync(clock, health)
    expect(allowanceOf(health, 10)).toMatchObject({ limit: 0, by: 'suspended' })
    await clock.runUntil(ledger.resumeLanes(['crm/default']))
    await sync(clock, health)
    expect(allowanceOf(health, 10).limit).toBe(10)
  })

  test('trap 1: concurrency holds, and the next in line is called when a place is free', async () => {
    const { worker } = await world()
    const { health } = worker()
    const integration = testIntegration('http://crm.example', { limits: { concurrency: 2 } })
    const permits = [permitFor(health, { integration }), permitFor(health, { integration })]
    expect(ask(health, { integration })).toMatchObject({ admitted: false, by: 'concurrency' })
    const called: string[] = []
    health.whenFree('crm/default', () => called.push('second'), false)
    const leave = health.whenFree('crm/default', () => called.push('third'), false)
    health.whenFree('crm/default', () => called.push('first'), true)
    leave()
    for (const permit of permits) health.report(permit, { type: 'neutral' })
    expect(called).toEqual(['first', 'second'])
    expect(allowanceOf(health, 10, integration).limit).toBe(2)
  })

  test('trap 2: retries are paid from the budget that first tries earn', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    const retryBudget = { ratio: 0.5, minimumPerSecond: 0, burst: 2 }
    const integration = testIntegration('http://crm.example', { retryBudget })
    const attempt = (number: number) => ask(health, { integration, attempt: number })
    expect([attempt(2).admitted, attempt(2).admitted, attempt(2).admitted]).toEqual([true, true, false])
    expect(attempt(2)).toMatchObject({ by: 'retry_budget', untilMs: expect.any(Number) })
    attempt(1)
    attempt(1)
    expect([attempt(2).admitted, attempt(2).admitted]).toEqual([true, false])
    expect(clock.pending()).toBe(0)
  })

  test('what is idle is forgotten; an open breaker and a closed gate are not', async () => {
    const { clock, worker } = await world()
    const { health } = worker()
    for (let index = 0; index < 200; index++) {
      health.report(permitFor(health, { tenant: `tenant-${index}` }), { type: 'succeeded' })
    }
    health.closeGate('crm/default', clock.wallMs() + 100 * 3_600_000, 'migration')
    fail(health, 5, {
      endpoint: 'GET /broken',
      integration: testIntegration('http://other.example', { name: 'other' }),
    })
    await sync(clock, health)
    expect(health.size.breakers).toBeGreaterThan(200)
    await clock.advance(2 * 3_600_000)
    await sync(clock, health)
    expect(health.size.lanes).toBe(1)
    expect(health.size.breakers).toBeLessThanOrEqual(2)
    expect(ask(health)).toMatchObject({ admitted: false, by: 'gate' })
  })
})

test('a store in trouble is told, and stops nothing', async () => {
  const { clock, ledger, worker } = await world()
  let broken = true
  const shaky = {
    ...ledger,
    lanes: () => (broken ? Promise.reject(new Error('store is busy')) : ledger.lanes()),
  }
  const { health, seen } = worker({ ledger: shaky })
  fail(health, 5)
  await sync(clock, health)
  expect(seen.find((event) => event.type === 'engine.trouble')).toMatchObject({
    where: 'health.sync',
    message: 'store is busy',
  })
  expect(ask(health)).toMatchObject({ admitted: false, by: 'breaker' })
  broken = false
  await sync(clock, health)
  const { records } = await clock.runUntil(ledger.readHealth(0))
  expect(records.map((record) => record.key)).toContain('breaker:crm:GET /people')
})

test('a damaged or foreign record in the store is passed over', async () => {
  const { clock, ledger, worker } = await world()
  const damaged = ['breaker:crm:GET /people', 'limiter:crm/default', 'something:else'].flatMap((key) => [
    { key, fromRevision: 0, state: { phase: 7, workers: [1] } },
  ])
  await clock.runUntil(ledger.updateHealth(damaged, clock.wallMs()))
  const { health, seen } = worker()
  await sync(clock, health)
  expect(ask(health).admitted).toBe(true)
  expect(seen).toEqual([])
})
