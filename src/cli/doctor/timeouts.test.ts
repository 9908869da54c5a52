/** `holdfast doctor --timeouts` as a person meets it: a real process, on a store with calls of the last days. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { jsonOf, openWorkshop, type Workshop } from '../../../test/support/workshop.ts'
import type { OutboundCall } from '../../client/call/call.ts'
import { type SharedStatistics, shareStatistics } from '../../client/health/endpoint-statistics.ts'
import { createEventBus } from '../../core/events.ts'
import type { TimeoutSuggestions } from '../../engine/api.ts'
import { openSqliteLedger } from '../../ledger/sqlite/index.ts'
import { systemClock } from '../../system/system-clock.ts'

let workshop: Workshop
beforeEach(() => {
  workshop = openWorkshop()
  const endpoints = { 'GET /slow': { timeouts: { headers: '1500ms' } } }
  const crm = { baseUrl: 'https://crm.test', endpoints }
  workshop.write('holdfast.json', JSON.stringify({ integrations: { crm } }))
})
afterEach(() => workshop[Symbol.asyncDispose]())

async function withCalls(count: (statistics: SharedStatistics) => void): Promise<void> {
  const ledger = await openSqliteLedger({ path: workshop.path('holdfast.db'), clock: systemClock })
  const events = createEventBus((error) => {
    throw error
  })
  const statistics = shareStatistics({ ledger, clock: systemClock, events })
  count(statistics)
  await statistics.close()
  await ledger.close()
}

function callTo(endpoint: string): OutboundCall {
  return { integration: { name: 'crm' }, endpoint: { endpoint } } as OutboundCall
}

const answer = { status: 200, headers: {}, body: new Uint8Array(0), stream: undefined }

function observe(statistics: SharedStatistics): void {
  for (let index = 0; index < 2000; index++) {
    const latencyMs = index % 50 === 0 ? 1800 : 200
    statistics.count(
      callTo('GET /people'),
      { ok: true, answer, headersMs: latencyMs, connectMs: 20 },
      undefined,
      latencyMs,
    )
    const fault = { code: 'timeout_headers', phase: 'waiting_for_headers', message: '' } as const
    if (index % 20 === 0) statistics.count(callTo('GET /slow'), { ok: false, fault }, undefined, 1500)
    else statistics.count(callTo('GET /slow'), { ok: true, answer, headersMs: 1400 }, undefined, 1400)
    if (index < 7) statistics.count(callTo('GET /rare'), { ok: true, answer, headersMs: 5 }, undefined, 5)
  }
}

test('R152: a table, why, and what to write; the same as JSON', async () => {
  await withCalls(observe)
  const text = await workshop.holdfast('doctor', '--timeouts', '--no-json')
  expect([text.code, text.stderr]).toEqual([0, ''])
  expect(text.stdout).toMatch(/crm: GET \/people +fetch +total +2,000 +0 +1\.[78]s +1m +5s/)
  expect(text.stdout).toMatch(/crm: GET \/rare .* after 993 more/)
  expect(text.stdout).toContain('GET /slow, headers: 5.0 % of 2,000 calls in 1 day were cut off at 1.5s')
  const [, yaml = ''] = text.stdout.split('To write into the configuration:\n')
  expect(parse(yaml)).toEqual({
    integrations: {
      crm: {
        endpoints: {
          'GET /people': { timeouts: { headers: '5s', total: '5s' } },
          'GET /slow': { timeouts: { headers: '4s' } },
        },
      },
    },
  })

  const { timeouts } = jsonOf<{ timeouts: TimeoutSuggestions }>(await workshop.holdfast('doctor', '--timeouts'))
  expect(timeouts.config).toEqual(parse(yaml))
  expect(timeouts.connect).toMatchObject([{ integration: 'crm', advice: { verdict: 'fits', calls: 2000 } }])
}, 60_000)

test('R152: the doctor asks for attention where calls are cut off, not where a timeout is only long', async () => {
  await withCalls(observe)
  const doctor = await workshop.holdfast('doctor', '--no-json')
  expect(doctor.code).toBe(3)
  expect(doctor.stdout).toMatch(/attention timeouts: crm: GET \/slow, headers: 5\.0 %.*\n +holdfast doctor --timeouts/)
}, 60_000)

test('R153: without calls there is nothing to say', async () => {
  await withCalls(() => {})
  expect((await workshop.holdfast('doctor', '--timeouts', '--no-json')).stdout).toBe(
    'No calls were seen on the last seven days.\n',
  )
  expect((await workshop.holdfast('doctor', '--no-json')).stdout).toContain('too few calls were seen')
}, 60_000)
