import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureClaims } from '../../bench/support/claim-depth.ts'
import { type OpenQueue, payloads } from '../../bench/support/durable-queue.ts'
import { openGraphileQueue } from '../../bench/support/graphile-queue.ts'
import { openHoldfastQueue } from '../../bench/support/holdfast-queue.ts'
import { openPgBossQueue, openPollingPgBossQueue } from '../../bench/support/pg-boss-queue.ts'
import { createDatabase } from '../../bench/support/postgres-place.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

// Tried again at once; graphile-worker waits for seconds between tries, which no test should.
const CONTENDERS: readonly [name: string, open: OpenQueue, failures: number][] = [
  ['Holdfast', openHoldfastQueue, 2],
  ['pg-boss', openPgBossQueue, 2],
  ['pg-boss without notifications', openPollingPgBossQueue, 0],
  ['graphile-worker', openGraphileQueue, 0],
]

describe('the contenders of the PostgreSQL cases do the work that is measured', () => {
  it.each(CONTENDERS)('%s does a backlog, and what comes meanwhile', async (_name, open, failures) => {
    await using place = await createDatabase(server.url)
    await using queue = await open({ place: place.url, concurrency: 7, failures })
    await queue.addMany(payloads(20))
    expect(await queue.countDone()).toBe(0)
    queue.start()
    await Promise.all(payloads(15).map((payload) => queue.add(payload)))
    await queue.finished()
    expect(await queue.countDone()).toBe(35)
  })

  it('claims and settles what it says', async () => {
    await using place = await createDatabase(server.url)
    const measured = await measureClaims(place, 1000, 200)
    expect(measured.operations).toBe(200)
    const [left] = await place.query<{ due: number }>(
      'SELECT count(*)::int AS due FROM holdfast.items WHERE due_at_ms IS NOT NULL',
    )
    // Twice a hundred before the measurement.
    expect(left?.due).toBe(600)
  })
})
