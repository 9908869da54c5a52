/** `npm run trial`, small: the same code that is run with 100,000 items, 200 kills and 3 restarts (docs/testing.md). */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { runGatewayTrial } from '../../tools/trial/gateway-run.ts'
import { runTrial } from '../../tools/trial/run.ts'
import { emailOf, judgeTwin, startWorld } from '../../tools/trial/world.ts'
import { openWorkshop } from '../support/workshop.ts'

const TIMEOUT_MS = 300_000

describe('rule 2, rule 3: four workers, killed again and again', () => {
  test.each([
    { store: 'postgres', items: 1200, kills: 8, restarts: 2 },
    { store: 'sqlite', items: 1200, kills: 8, restarts: 0 },
  ])(
    '$store: $items items, $kills SIGKILLs, $restarts restarts of the database',
    { timeout: TIMEOUT_MS },
    async (trial) => {
      const result = await runTrial({ ...trial, workers: 4, seed: 'small' }, { clock: systemClock })
      expect(result.problems).toEqual([])
      expect(result).toMatchObject({
        passed: true,
        killed: trial.kills,
        balance: { accepted: trial.items, balanced: true, states: { succeeded: trial.items } },
        twin: { lost: [], doubled: [] },
      })
      expect(result.restarted).toHaveLength(trial.restarts)
      // It was a trial: somebody died with work in hand, and the network was bad.
      expect(result.counters.crashes).toBeGreaterThan(0)
      expect(result.twin.faults).toBeGreaterThan(0)
    },
  )
})

describe('rule 1, rule 2, issue 6: gateways under load, killed again and again', () => {
  test.each([
    { store: 'postgres', items: 150, workers: 3, kills: 3, restarts: 1 },
    { store: 'sqlite', items: 240, workers: 2, kills: 5, restarts: 0 },
  ])(
    '$store: $workers gateways, $kills SIGKILLs, $restarts restarts of the database: what was answered 2xx is there, once',
    { timeout: TIMEOUT_MS },
    async (trial) => {
      const result = await runGatewayTrial({ ...trial, seed: 'small' }, { clock: systemClock })
      expect(result.problems).toEqual([])
      // Of six requests one is a stream of five records, and one a call that is passed on.
      const records = (trial.items / 6) * 9
      expect(result).toMatchObject({
        passed: true,
        killed: trial.kills,
        promised: (trial.items / 6) * 10,
        balance: { accepted: records, balanced: true, states: { succeeded: records } },
      })
    },
  )
})

test('the twin is asked, not the books: what it does not have, or has twice, is told', async () => {
  await using twin = await startWorld(seededRandom('judged'), () => {})
  for (const path of ['/contacts', '/contacts', '/enrolments']) await post(`${twin.url}${path}`, emailOf(0))
  const verdict = judgeTwin(twin, 1)
  expect(verdict.lost).toEqual(['accounts 0@example.com', 'profiles 0@example.com'])
  expect(verdict.doubled).toEqual(['contacts 0@example.com: 2 times'])
})

async function post(url: string, email: string): Promise<void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email }),
  })
  expect(answer.status).toBe(201)
}

test('wrong usage is told, with what to do', { timeout: TIMEOUT_MS }, async () => {
  await using workshop = openWorkshop()
  const program = new URL('../../tools/trial.ts', import.meta.url).pathname
  const run = (...words: string[]) => workshop.spawn(process.execPath, [program, ...words]).ended
  expect(await run('--store', 'mysql://db')).toMatchObject({ code: 2, stderr: expect.stringContaining('hint:') })
  const refused = await run('--store', 'sqlite', '--restarts', '1')
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be restarted') })
})
