/** Each SDK as the documentation sets it up, against a twin of its API that fails. */
import { describe, expect, test } from 'vitest'
import type { FaultInput } from '../../src/testing/faults/fault.ts'
import { holdfastErrorIn, openTwinBench, thrownBy } from './support/bench.ts'
import { SDKS } from './support/catalogue.ts'

const status = (code: number, headers: Record<string, string> = {}): FaultInput => ({
  kind: 'status',
  status: code,
  headers,
  // The SDK of Stripe takes a body without `error` for a result, whatever the status.
  body: { error: { type: 'api_error', message: 'not now' } },
})
const QUICK = { headers: '300ms', body: '2s', total: '2s' } as const

/** Nothing has happened, or it makes no difference: the next try is good. */
const OVERCOME: Record<string, FaultInput> = {
  '429 with Retry-After': status(429, { 'retry-after': '1' }),
  '500': status(500),
  '503': status(503),
  'reset before reading': 'reset_before_reading',
  'reset before executing': 'reset_before_executing',
  'executed, then lost': 'executed_then_reset',
  'hang past the timeout': 'hang',
  'headers cut off': 'cut_headers',
  'a body cut short': 'truncated_body',
}

describe.each(SDKS)('$api', ({ api, routes, client, readRoute, writeRoute, keyed, errors }) => {
  test.each(Object.entries(OVERCOME))('a read meets %s, and succeeds', async (_name, fault) => {
    await using bench = await openTwinBench(api, routes, { timeouts: QUICK })
    const { read } = client(bench)
    const expected = await read()
    expect(expected).toBeDefined()
    bench.twin.script(readRoute, [fault])
    expect(await read()).toEqual(expected)
    expect(bench.twin.requests.total).toBe(3)
    expect(bench.detected).toEqual([])
  })

  test('a slow answer arrives whole', async () => {
    await using bench = await openTwinBench(api, routes)
    const { read } = client(bench)
    const expected = await read()
    bench.twin.script(readRoute, [{ kind: 'slow_drip', chunkBytes: 3, every: '5ms' }])
    expect(await read()).toEqual(expected)
  })

  test('rule 3: a write whose answer was lost happens once', async () => {
    await using bench = await openTwinBench(api, routes)
    bench.twin.script(writeRoute, ['executed_then_reset'])
    const written = client(bench).write()
    if (keyed) {
      expect(await written).toBeDefined()
    } else {
      const error = await thrownBy(written)
      expect(error.constructor.name).toBe(errors.network)
      expect(holdfastErrorIn(error)).toMatchObject({ code: 'ECONNRESET', certainty: 'maybe_applied' })
    }
    expect(bench.twin.effects).toHaveLength(1)
    expect(bench.twin.requests.total).toBe(keyed ? 2 : 1)
  })

  test('a write that was refused with 429 is made once there is room', async () => {
    await using bench = await openTwinBench(api, routes)
    bench.twin.script(writeRoute, [status(429, { 'retry-after': '1' })])
    expect(await client(bench).write()).toBeDefined()
    expect(bench.twin.effects).toHaveLength(1)
  })

  test('an outage ends as the error of the SDK, after our tries and no more', async () => {
    await using bench = await openTwinBench(api, routes)
    bench.twin.disturb({ fault: status(503) })
    const { read } = client(bench)
    const error = await thrownBy(read())
    expect(error.constructor.name).toBe(errors.answer)
    expect(error['status'] ?? error['statusCode']).toBe(503)
    expect(bench.twin.requests.total).toBe(3)
    expect(bench.detected).toEqual([])
  })

  test('so does a network that is gone: with what we know inside', async () => {
    await using bench = await openTwinBench(api, routes)
    await bench.twin.outage({ mode: 'refused' })
    const error = await thrownBy(client(bench).read())
    expect(error.constructor.name).toBe(errors.network)
    expect(holdfastErrorIn(error)).toMatchObject({ code: 'ECONNREFUSED', certainty: 'not_sent', class: 'transient' })
  })

  test('R027: an HTML page with 200 is an error, never a result', async () => {
    await using bench = await openTwinBench(api, routes)
    bench.twin.disturb({ fault: 'html_ok' })
    const { read, write } = client(bench)
    await thrownBy(read())
    const readTries = bench.twin.requests.total
    await thrownBy(write())
    // Some SDKs do not say that they want JSON: theirs is the error then, and ours to make no more of it.
    expect([1, 3]).toContain(readTries)
    expect(bench.twin.requests.byRoute.get(writeRoute)).toBe(keyed ? 3 : 1)
  })
})
