import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastError } from '../core/errors.ts'
import type { Ledger } from '../ledger/port.ts'
import { openSqliteLedger, sharedMemoryPath } from '../ledger/sqlite/index.ts'
import { createProcessClock } from '../testing/simulator/process-clock.ts'
import { createProcessGate } from '../testing/simulator/process-gate.ts'
import { createVirtualClock, type VirtualClock } from '../testing/virtual-clock.ts'
import { createSingleFlight, type SingleFlightParts } from './single-flight.ts'

const opened: { readonly ledger: Ledger; readonly clock: VirtualClock }[] = []
afterEach(async () => {
  for (const { ledger, clock } of opened.splice(0)) await clock.runUntil(ledger.close())
})

let stores = 0
/** Processes with a ledger each, on one store. */
function world() {
  const clock = createVirtualClock()
  const path = sharedMemoryPath(`flights ${stores++}`)
  let processes = 0
  async function process(overrides: (ledger: Ledger) => Partial<SingleFlightParts> = () => ({})) {
    const ledger = await openSqliteLedger({ path, clock })
    opened.push({ ledger, clock })
    processes += 1
    return createSingleFlight({ ledger, clock, workerId: `process-${processes}`, ...overrides(ledger) })
  }
  return { clock, process }
}

/** A token endpoint that takes 300 ms, and notices when it is used twice at the same time. */
function endpoint(clock: VirtualClock) {
  const seen = { calls: 0, atOnce: 0, mostAtOnce: 0 }
  async function refresh(): Promise<{ token: string }> {
    seen.calls += 1
    seen.atOnce += 1
    seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.atOnce)
    const token = `token-${seen.calls}`
    await clock.sleep(300)
    seen.atOnce -= 1
    return { token }
  }
  return { seen, refresh }
}

const lease = (clock: VirtualClock) => ({ sinceMs: clock.wallMs(), leaseMs: 5000 })

describe('single flight across processes', () => {
  test('all who come while it runs get the one result, in all processes', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const flights = [await process(), await process(), await process()]
    const results = flights.flatMap((flight) => [
      flight.run('oauth crm', lease(clock), refresh),
      flight.run('oauth crm', lease(clock), refresh),
    ])
    expect(await clock.runUntil(Promise.all(results))).toEqual(Array(6).fill({ token: 'token-1' }))
    expect(seen.calls).toBe(1)
  })

  test('a result from after the question is taken; an older one is not', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const [one, other] = [await process(), await process()]
    const sinceMs = clock.wallMs()
    await clock.runUntil(one.run('k', { sinceMs, leaseMs: 5000 }, refresh))
    // Its token is from before the refresh: what was refreshed meanwhile will do.
    expect(await clock.runUntil(other.run('k', { sinceMs, leaseMs: 5000 }, refresh))).toEqual({ token: 'token-1' })
    await clock.advance(1000)
    expect(await clock.runUntil(other.run('k', lease(clock), refresh))).toEqual({ token: 'token-2' })
    await clock.advance(1)
    expect(await clock.runUntil(one.run('k', lease(clock), refresh))).toEqual({ token: 'token-3' })
    expect(seen).toMatchObject({ calls: 3, mostAtOnce: 1 })
  })

  test('keys are apart', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const flight = await process()
    await clock.runUntil(Promise.all(['a', 'b'].map((key) => flight.run(key, lease(clock), refresh))))
    expect(seen).toMatchObject({ calls: 2, mostAtOnce: 2 })
  })

  test('when its holder dies, another runs it once the lease is over', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const gate = createProcessGate(() => dyingClock.stop())
    const dyingClock = createProcessClock(clock, { aheadMs: 0 }, gate)
    const [one, other] = [await process(() => ({ clock: dyingClock })), await process()]
    const startedMs = clock.wallMs()
    void one.run('k', { ...lease(clock), leaseMs: 60_000 }, () => new Promise<never>(() => undefined))
    await clock.advance(10)
    gate.die()
    expect(await clock.runUntil(other.run('k', lease(clock), refresh))).toEqual({ token: 'token-1' })
    expect(clock.wallMs() - startedMs).toBeGreaterThanOrEqual(60_000)
    expect(clock.wallMs() - startedMs).toBeLessThan(61_000)
    expect(seen.calls).toBe(1)
  })

  test('a failure reaches all who waited, without its words; the next attempt runs anew', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const [one, other] = [await process(), await process()]
    const cause = new HoldfastError({ code: 'invalid_grant', class: 'authentication', message: 'refresh_token=s3cret' })
    let tries = 0
    const failing = async () => {
      tries += 1
      await clock.sleep(100)
      throw cause
    }
    const work = [one.run('k', lease(clock), failing), other.run('k', lease(clock), failing)]
    const ends = await clock.runUntil(Promise.allSettled(work))
    expect(tries).toBe(1)
    const reasons = ends.map((end) => (end.status === 'rejected' ? end.reason : undefined))
    expect(reasons).toContain(cause)
    const elsewhere = reasons.find((reason) => reason !== cause)
    expect(elsewhere).toMatchObject({ code: 'single_flight_failed', details: { key: 'k', code: 'invalid_grant' } })
    expect(JSON.stringify(elsewhere)).not.toContain('s3cret')
    await clock.advance(10)
    expect(await clock.runUntil(other.run('k', lease(clock), refresh))).toEqual({ token: 'token-1' })
    expect(seen.calls).toBe(1)
  })

  test('an action that outlasts its lease is told to stop; its late result is not handed on', async () => {
    const { clock, process } = world()
    const { refresh } = endpoint(clock)
    const one = await process()
    let told: unknown
    const slow = async (signal: AbortSignal) => {
      signal.addEventListener('abort', () => {
        told = signal.reason
      })
      await clock.sleep(20_000)
      return { token: 'late' }
    }
    await expect(clock.runUntil(one.run('k', lease(clock), slow))).rejects.toMatchObject({
      code: 'single_flight_too_long',
    })
    expect(told).toMatchObject({ code: 'single_flight_too_long' })
    await clock.advance(30_000)
    expect(await clock.runUntil(one.run('k', lease(clock), refresh))).toEqual({ token: 'token-1' })
  })

  test('one caller who gives up leaves the others alone', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    const [one, other] = [await process(), await process()]
    const impatient = new AbortController()
    const given = [
      one.run('k', { ...lease(clock), signal: impatient.signal }, refresh),
      one.run('k', lease(clock), refresh),
      other.run('k', { ...lease(clock), signal: impatient.signal }, refresh),
    ]
    const settled = Promise.allSettled(given)
    await clock.advance(100)
    impatient.abort(new Error('no time'))
    const ends = await clock.runUntil(settled)
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
    expect(seen.calls).toBe(1)
    await expect(
      other.run('k', { ...lease(clock), signal: AbortSignal.abort(new Error('too late')) }, refresh),
    ).rejects.toThrow('too late')
  })

  test('a store that is away when the result is there is asked again', async () => {
    const { clock, process } = world()
    const { seen, refresh } = endpoint(clock)
    let writes = 0
    const one = await process((ledger) => ({
      ledger: {
        readHealth: ledger.readHealth,
        updateHealth: async (...request) => {
          writes += 1
          // The first takes the lease; then one is refused, and one is made and not heard of.
          if (writes === 2) throw new Error('refused')
          const receipts = await ledger.updateHealth(...request)
          if (writes === 3) throw new Error('not heard')
          return receipts
        },
      },
    }))
    const other = await process()
    const options = lease(clock)
    expect(await clock.runUntil(one.run('k', options, refresh))).toEqual({ token: 'token-1' })
    expect(await clock.runUntil(other.run('k', options, refresh))).toEqual({ token: 'token-1' })
    expect(seen.calls).toBe(1)
  })
})
