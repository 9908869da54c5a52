import { describe, expect, onTestFinished, test } from 'vitest'
import { createEventBus, type HoldfastEvent } from '../../core/events.ts'
import type { Failure, FailureClass } from '../../core/failure.ts'
import type { Ledger } from '../../ledger/port.ts'
import { openSqliteLedger } from '../../ledger/sqlite/index.ts'
import { countOf, quantileOf } from '../../policy/timeouts/latency-sketch.ts'
import { createVirtualClock } from '../../testing/virtual-clock.ts'
import type { OutboundCall } from '../call/call.ts'
import { testEndpoint, testIntegration } from '../test-kit.ts'
import type { TransportResult } from '../wire/transport.ts'
import { type CountedDay, FLUSH_EVERY_MS, type SharedStatistics, shareStatistics } from './endpoint-statistics.ts'

const DAY_MS = 86_400_000
const NOON_MS = Date.UTC(2026, 10, 22, 12)
const crm = testIntegration('http://crm.example')

function callTo(endpoint: string, totalMs?: number): OutboundCall {
  const settings = testEndpoint(endpoint)
  const timeouts = { ...settings.timeouts, ...(totalMs !== undefined && { totalMs }) }
  return { integration: crm, endpoint: { ...settings, timeouts }, method: endpoint.split(' ')[0] } as OutboundCall
}

const answer = { status: 200, headers: {}, body: new Uint8Array(0), stream: undefined }
const failed = (failureClass: FailureClass) => ({ class: failureClass }) as Failure

function succeed(statistics: SharedStatistics, latencyMs: number, endpoint = 'GET /people'): void {
  statistics.count(callTo(endpoint), { ok: true, answer, headersMs: latencyMs / 2 }, undefined, latencyMs)
}

function cutOff(statistics: SharedStatistics, code: string, totalMs?: number): void {
  const phase =
    code === 'timeout_body' ? 'reading_body' : code === 'timeout_connect' ? 'connect' : 'waiting_for_headers'
  const sent: TransportResult = { ok: false, fault: { code, phase, message: '' } }
  statistics.count(callTo('GET /people', totalMs), sent, failed('transient'), 1000)
}

async function world() {
  const clock = createVirtualClock({ startMs: NOON_MS })
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  onTestFinished(() => ledger.close())
  const seen: HoldfastEvent[] = []
  const events = createEventBus((error) => {
    throw error
  })
  events.on('*', (event) => seen.push(event))
  const process = (overrides: Partial<Ledger> = {}) =>
    shareStatistics({ ledger: { ...ledger, ...overrides }, clock, events })
  const read = (statistics: SharedStatistics): Promise<CountedDay[]> => clock.runUntil(statistics.read())
  return { clock, ledger, process, read, seen }
}

describe('R165: calls per endpoint', () => {
  test('several processes add up, whatever order they write in', async () => {
    const { clock, process, read } = await world()
    const processes = [process(), process(), process()]
    for (let minute = 0; minute < 4; minute++) {
      for (const [index, statistics] of processes.entries()) {
        for (let count = 0; count < 10; count++) succeed(statistics, 100 * (index + 1))
      }
      await clock.advance(FLUSH_EVERY_MS)
    }
    const [day, ...others] = await read(process())
    expect(others).toEqual([])
    expect(day).toMatchObject({ integration: 'crm', endpoint: 'GET /people', dayMs: Date.UTC(2026, 10, 22) })
    expect(day?.tally.calls).toBe(120)
    const { total, headers } = (day as CountedDay).tally
    expect([0.3, 0.6, 0.9].map((share) => Math.round((quantileOf(total, share) as number) / 100))).toEqual([1, 2, 3])
    expect(Math.round((quantileOf(headers, 0.9) as number) / 10)).toBe(15)
  })

  test('a restart forgets nothing', async () => {
    const { clock, process, read } = await world()
    const first = process()
    succeed(first, 100)
    await clock.runUntil(first.close())
    const second = process()
    succeed(second, 100)
    expect((await read(second))[0]?.tally.calls).toBe(2)
  })

  test('seven days are kept, in as many records', async () => {
    const { clock, ledger, process, read } = await world()
    const statistics = process()
    for (let day = 0; day < 20; day++) {
      succeed(statistics, 100)
      await clock.advance(DAY_MS)
    }
    // The day that has just begun is one of the seven.
    const days = await read(statistics)
    expect(days.map(({ dayMs, tally }) => [dayMs, tally.calls])).toEqual(
      [14, 15, 16, 17, 18, 19].map((day) => [Date.UTC(2026, 10, 22 + day), 1]),
    )
    const { records } = await ledger.readHealth(0)
    expect(records.length).toBe(7)
  })

  test('a process without calls asks and writes nothing; one with many writes once a minute', async () => {
    const { clock, process, ledger } = await world()
    let writes = 0
    const statistics = process({
      updateHealth: (...request) => {
        writes += 1
        return ledger.updateHealth(...request)
      },
    })
    await clock.advance(10 * FLUSH_EVERY_MS)
    expect([writes, clock.pending()]).toEqual([0, 0])
    for (let second = 0; second < 120; second++) {
      for (const endpoint of ['GET /people', 'POST /people', 'GET /deals']) succeed(statistics, 10, endpoint)
      await clock.advance(1000)
    }
    expect(writes).toBe(2)
  })

  test('while the store cannot be written, counts are kept, and told of later', async () => {
    const { clock, process, ledger, read, seen } = await world()
    let away = true
    const statistics = process({
      updateHealth: (...request) => (away ? Promise.reject(new Error('away')) : ledger.updateHealth(...request)),
    })
    succeed(statistics, 100)
    await clock.advance(FLUSH_EVERY_MS)
    succeed(statistics, 100)
    await clock.advance(FLUSH_EVERY_MS)
    expect(seen.filter((event) => event.type === 'engine.trouble')).toMatchObject([
      { where: 'statistics.flush', message: 'away' },
      { where: 'statistics.flush' },
    ])
    away = false
    await clock.advance(FLUSH_EVERY_MS)
    expect((await read(process()))[0]?.tally.calls).toBe(2)
  })

  test('a damaged record is replaced, and stops nothing', async () => {
    const { clock, ledger, process, read } = await world()
    const key = `latency:${Math.floor(NOON_MS / DAY_MS) % 7}:crm:GET /people`
    await clock.runUntil(ledger.updateHealth([{ key, fromRevision: 0, state: { day: 'x' } }], NOON_MS))
    const statistics = process()
    expect(await read(statistics)).toEqual([])
    succeed(statistics, 100)
    expect((await read(statistics))[0]?.tally.calls).toBe(1)
  })
})

describe('R152: what counts', () => {
  test('latencies of calls that the API worked on; refusals count as failures alone', async () => {
    const { process, read } = await world()
    const statistics = process()
    const classes = ['transient', 'rate_limited', 'wait_long', 'authentication', 'not_found', 'validation'] as const
    for (const failureClass of classes) {
      statistics.count(callTo('GET /people'), { ok: true, answer, headersMs: 5 }, failed(failureClass), 10)
    }
    succeed(statistics, 10)
    const { calls, failures, total, headers } = ((await read(statistics))[0] as CountedDay).tally
    expect([calls, failures, countOf(total), countOf(headers)]).toEqual([7, 6, 3, 3])
  })

  test('what a timeout cut off, by timeout', async () => {
    const { process, read } = await world()
    const statistics = process()
    for (const code of ['timeout_connect', 'timeout_headers', 'timeout_body', 'timeout_total', 'ECONNRESET']) {
      cutOff(statistics, code)
    }
    expect((await read(statistics))[0]?.tally).toMatchObject({
      calls: 5,
      failures: 5,
      cutOff: { connect: 1, headers: 1, body: 1, total: 1 },
      unanswered: 2,
    })
  })

  test('not what its caller cut off, nor what was never sent', async () => {
    const { process, read } = await world()
    const statistics = process()
    cutOff(statistics, 'timeout_total', 50)
    const cancelled = { code: 'cancelled', phase: 'waiting_for_headers', message: '' } as const
    statistics.count(callTo('GET /people'), { ok: false, fault: cancelled }, failed('cancelled'), 10)
    const unsent = { code: 'UND_ERR_CLOSED', phase: 'before_send', message: '' } as const
    statistics.count(callTo('GET /people'), { ok: false, fault: unsent }, failed('transient'), 10)
    expect((await read(statistics))[0]?.tally).toMatchObject({ calls: 1, cutOff: { total: 0 }, unanswered: 0 })
  })
})
