/**
 * R058, R108: many tenants share an API, one of them floods it. The others are done long before the flood is, on either store, as
 * counted in calls and in claims; the time that any of it takes is nobody's promise.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { ClaimRequest, Ledger } from '../../src/ledger/port.ts'
import { openPostgresLedger } from '../../src/ledger/postgres/index.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { type ScriptedApi, scriptedApi } from '../support/scripted-api.ts'
import { openWorkshop, type Workshop } from '../support/workshop.ts'

const TENANTS = 500
const ITEMS_OF_EACH = 3
const ITEMS_OF_OTHERS = (TENANTS - 1) * ITEMS_OF_EACH
const FLOOD = 20_000
const PLACES = 100
const LANE_CONCURRENCY = 10
const TIMEOUT_MS = 180_000

const send = definePipeline<{ tenant: string; n: number }>('send').step('post', {
  integration: 'api',
  request: { method: 'POST', path: '/things', body: ({ input }) => input },
})

describe('500 tenants, one of which floods', () => {
  describe('in a file', () => {
    let workshop: Workshop
    beforeAll(() => {
      workshop = openWorkshop()
    })
    afterAll(() => workshop?.[Symbol.asyncDispose]())

    staysFair(() => openSqliteLedger({ path: workshop.path('holdfast.db'), clock: systemClock }))
  })

  describe('on a PostgreSQL server', () => {
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server?.remove())

    staysFair(() => openPostgresLedger({ url: server.url, clock: systemClock }))
  })
})

function staysFair(open: () => Promise<Ledger>): void {
  test('all others are served at once, and done long before the flood is', { timeout: TIMEOUT_MS }, async () => {
    const { hf, api, claims } = countingEngine(await open())
    const others = Array.from({ length: TENANTS - 1 }, (_, index) => `tenant-${index}`)
    await submit(hf, 'flood', FLOOD)
    await Promise.all(others.map((tenant) => submit(hf, tenant, ITEMS_OF_EACH)))

    const firstCall = new Map<string, number>()
    const othersDone = Promise.withResolvers<{ calls: number; claims: number }>()
    let callsOfOthers = 0
    api.reply = ({ body }) => {
      const { tenant } = body as { tenant: string }
      if (!firstCall.has(tenant)) firstCall.set(tenant, api.requests.length)
      if (tenant !== 'flood') callsOfOthers++
      if (callsOfOthers === ITEMS_OF_OTHERS) {
        othersDone.resolve({ calls: api.requests.length, claims: claims.length })
      }
      return { status: 200, body: {} }
    }
    await using worker = hf.startWorker({ concurrency: PLACES })
    const done = await othersDone.promise
    // Each lane gets a place before any gets two; a claim that was under way may have come between.
    expect(Math.max(...firstCall.values())).toBeLessThanOrEqual(TENANTS + 2 * PLACES)
    // 1,497 of them are theirs. Without turns the flood would have had 10 in each 100 at the least, and be first.
    expect(done.calls).toBeLessThanOrEqual(1.5 * ITEMS_OF_OTHERS)
    expect(firstCall.size).toBe(TENANTS)
    // 15 claims of 100 would be enough; some ask lanes that have just run dry.
    expect(done.claims).toBeLessThanOrEqual((4 * ITEMS_OF_OTHERS) / PLACES)
    expect(Math.max(...claims.map(({ channels }) => channels.length))).toBeLessThanOrEqual(PLACES)
    await worker.stop()
    const report = await hf.operations.audit()
    expect(report.checks.filter(({ violations }) => violations > 0)).toEqual([])
    expect(report).toMatchObject({ balanced: true, balance: { accepted: FLOOD + ITEMS_OF_OTHERS } })
    await hf.close()
  })
}

function countingEngine(ledger: Ledger): { hf: Holdfast; api: ScriptedApi; claims: ClaimRequest[] } {
  const claims: ClaimRequest[] = []
  const api = scriptedApi(systemClock)
  const config = resolveConfig(
    {
      integrations: { api: { baseUrl: 'https://api.test', limits: { concurrency: LANE_CONCURRENCY } } },
      pipelines: [send],
    },
    { env: {}, baseDirectory: '/' },
  )
  const counting: Ledger = {
    ...ledger,
    claim(request) {
      claims.push(request)
      return ledger.claim(request)
    },
  }
  const hf = createEngine({
    clock: systemClock,
    random: seededRandom('fair'),
    ledger: counting,
    transport: api,
    integrations: config.integrations,
    pipelines: [send],
  })
  return { hf, api, claims }
}

async function submit(hf: Holdfast, tenant: string, count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, n) => ({ input: { tenant, n }, options: { tenant } }))
  for (let from = 0; from < count; from += 1000) await hf.submitMany(send, records.slice(from, from + 1000))
}
