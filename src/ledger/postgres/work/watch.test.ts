/** Hints between processes: they say where, if whoever hears them knows the place. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../../test/support/postgres.ts'
import { claim, ENDPOINT, expectAudited, LANE, newItem, newRun, START_MS } from '../../conformance/support.ts'
import type { NewRun, Where } from '../../port.ts'
import { openPostgresLedger } from '../index.ts'

let server: PostgresServer
let schemas = 0

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
})
afterAll(() => server?.remove())

/** One that hears, and knows where it has claimed; one that submits. */
async function scene() {
  const options = { url: server.url, schema: `watch_${++schemas}`, clock: impatientClock() }
  const [hearing, submitting] = [await openPostgresLedger(options), await openPostgresLedger(options)]
  let heard = Promise.withResolvers<Where>()
  const watching = hearing.watch((where) => heard.resolve(where))
  // It listens from now on, and what was before may be anywhere.
  expect(await heard.promise).toBeUndefined()
  async function hear(runs: readonly NewRun[]): Promise<Where> {
    heard = Promise.withResolvers()
    await submitting.submit(runs)
    return heard.promise
  }
  await hear([newRun()])
  await claim(hearing)
  return {
    hear,
    async end() {
      watching[Symbol.dispose]()
      await expectAudited(hearing)
      for (const ledger of [hearing, submitting]) await ledger.close()
    },
  }
}

it('of what was submitted it is told in which channels it waits', async () => {
  const { hear, end } = await scene()
  expect(await hear([newRun()])).toEqual([{ lane: LANE, endpoint: ENDPOINT }])
  const { key: _, inputFingerprint: __, ...alike } = newRun()
  expect(await hear([alike])).toEqual([{ lane: LANE, endpoint: ENDPOINT }])
  await end()
})

it('of a channel that it has not met before, and of what is due later, it hears that it may be anywhere', async () => {
  const { hear, end } = await scene()
  expect(await hear([newRun({ items: [newItem({ lane: 'elsewhere' })] })])).toBeUndefined()
  expect(await hear([newRun({ items: [newItem({ dueAtMs: START_MS + 60_000 })] })])).toBeUndefined()
  await end()
})
