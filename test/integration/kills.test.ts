/**
 * Workers that die without warning, stand still, or are asked to end: real processes on one file, real requests to a twin
 * that counts what was done. Nothing may be lost, nothing done twice, and the books balance at every moment.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { messageOf } from '../../src/core/errors.ts'
import { type Random, randomInteger, seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import type { AuditReport } from '../../src/ledger/port.ts'
import type { Twin } from '../../src/testing/twin/twin.ts'
import { jsonOf, openWorkshop, type Workshop } from '../support/workshop.ts'
import { onboard, STEPS, startKillTwin } from './support/kill-pipeline.ts'
import { startWorkerProcess, type WorkerHandle } from './support/worker-handle.ts'
import { openKillEngine, type WorkerOrders } from './support/worker-process.ts'

const SERIES = 8
const KILLS_PER_SERIES = 25
const WORKERS_AT_ONCE = 4
const RUNS_PER_WORKER = 15
const LEASE_MS = 400
const MINUTE_MS = 60_000

interface Scene extends AsyncDisposable {
  readonly workshop: Workshop
  readonly twin: Twin
  /** Submits and looks; does not work. */
  readonly holdfast: Holdfast
  readonly random: Random
  readonly emails: string[]
  submit(count: number): Promise<void>
  /** A process of its own, on the same store. */
  startWorker(more?: Pick<WorkerOrders, 'submit'>): WorkerHandle
}

const compileCacheFolder = mkdtempSync(join(tmpdir(), 'holdfast-test-cache-'))

beforeAll(async () => {
  // The cache is written at the end of a process, which those that are killed do not see.
  await using scene = await openScene('warm up')
  await using worker = scene.startWorker()
  await worker.until(() => worker.count('ready') > 0)
  await worker.terminate()
})
afterAll(() => rmSync(compileCacheFolder, { recursive: true }))

async function openScene(seed: string, concurrency = 10): Promise<Scene> {
  const workshop = openWorkshop()
  const random = seededRandom(seed)
  const twin = await startKillTwin(random)
  const orders = { storePath: workshop.path('holdfast.db'), url: twin.url, leaseMs: LEASE_MS, concurrency }
  const holdfast = await openKillEngine(orders)
  const emails: string[] = []
  return {
    workshop,
    twin,
    holdfast,
    random,
    emails,
    startWorker: (more) => startWorkerProcess({ ...orders, ...more }, compileCacheFolder),
    async submit(count) {
      const fresh = Array.from({ length: count }, (_, index) => `${emails.length + index}@example.com`)
      emails.push(...fresh)
      await holdfast.submitMany(
        onboard,
        fresh.map((email) => ({ input: { email }, options: { key: email } })),
      )
    },
    async [Symbol.asyncDispose]() {
      await holdfast.close()
      await twin.close()
      await workshop[Symbol.asyncDispose]()
    },
  }
}

describe('killed without warning', () => {
  let kills = 0

  test.for(Array.from({ length: SERIES }, (_, index) => index))(
    `R097, R117, R118: series %i of ${KILLS_PER_SERIES} SIGKILLs: none lost, none doubled, balanced after each`,
    { timeout: MINUTE_MS },
    async (series) => {
      await using scene = await openScene(`kills ${series}`)
      let killsLeft = KILLS_PER_SERIES
      async function killAgainAndAgain(): Promise<void> {
        while (killsLeft > 0) {
          killsLeft--
          await scene.submit(RUNS_PER_WORKER)
          await killOne(scene)
          kills++
        }
      }
      /** One that fails ends the others, so that they do not work on in a scene that is gone. */
      const slot = () =>
        killAgainAndAgain().finally(() => {
          killsLeft = 0
        })
      const feeding = feed(scene)
      const slots = Array.from({ length: WORKERS_AT_ONCE }, slot)
      await Promise.allSettled(slots)
      await feeding.stop()
      await Promise.all(slots)
      await expectBalancedByCommand(scene.workshop)

      await using survivor = scene.startWorker()
      await survivor.until(() => survivor.count('ready') > 0)
      await scene.holdfast.drain()
      expect(await survivor.terminate()).toBe(0)
      await expectAllDoneOnce(scene)
      await expectBalancedByCommand(scene.workshop)
    },
  )

  test('that were 200', () => {
    expect(kills).toBe(200)
  })
})

/** Workers that wait for something to do would never be killed. */
function feed({ holdfast, submit }: Scene): { stop(): Promise<void> } {
  const ended = new AbortController()
  async function feedWhenDrained(): Promise<void> {
    while (!ended.signal.aborted) {
      await holdfast.drain({ signal: ended.signal })
      await submit(RUNS_PER_WORKER)
    }
  }
  const feeding = feedWhenDrained().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error
  })
  return {
    stop() {
      ended.abort()
      return feeding
    },
  }
}

/** At a moment drawn from the seed: after so many claims, settlements, or requests that have arrived and are not answered. */
async function killOne({ random, twin, holdfast, startWorker }: Scene): Promise<void> {
  await using worker = startWorker()
  const kind = randomInteger(random, 0, 2)
  const count = randomInteger(random, 1, 20)
  await worker.until(() => worker.count('claimed') > 0)
  if (kind === 0) await worker.until(() => worker.count('claimed') >= count)
  if (kind === 1) await worker.until(() => worker.count('settled') >= count)
  if (kind === 2) {
    const enough = twin.requests.total + count
    await twin.until(() => twin.requests.total >= enough)
  }
  await worker.kill()
  // Before anybody has repaired anything.
  expect(violationsOf(await holdfast.operations.audit())).toEqual([])
}

describe('several processes on one file', () => {
  test(
    'R090: both submit, half of it the same, and both work: each record once',
    async () => {
      await using scene = await openScene('two processes')
      const emails = Array.from({ length: 300 }, (_, index) => `${index}@example.com`)
      await using first = scene.startWorker({ submit: emails.slice(0, 200) })
      await using second = scene.startWorker({ submit: emails.slice(100) })
      for (const worker of [first, second]) await worker.until(() => worker.count('submitted') > 0)
      await scene.holdfast.drain()
      for (const worker of [first, second]) {
        expect(worker.count('settled')).toBeGreaterThan(0)
        expect(await worker.terminate()).toBe(0)
      }
      const submitted = [first, second].flatMap(({ reports }) => reports.filter(({ type }) => type === 'submitted'))
      const accepted = submitted.reduce((sum, report) => sum + (report.type === 'submitted' ? report.accepted : 0), 0)
      expect(accepted).toBe(300)
      scene.emails.push(...emails)
      await expectAllDoneOnce(scene)
    },
    MINUTE_MS,
  )
})

describe('standing still', () => {
  test(
    'rule 6: a worker stopped past its lease sends nothing and changes nothing after it wakes',
    async () => {
      await using scene = await openScene('zombies')
      await using first = scene.startWorker()
      await using second = scene.startWorker()
      for (const worker of [first, second]) await worker.until(() => worker.count('ready') > 0)
      let lost = 0
      for (let round = 0; round < 12; round++) {
        const [zombie, other] = round % 2 === 0 ? [first, second] : [second, first]
        lost += await standStill(scene, zombie, other)
      }
      expect(lost).toBeGreaterThan(12)
      for (const worker of [first, second]) expect(await worker.terminate()).toBe(0)
      await expectAllDoneOnce(scene)
    },
    2 * MINUTE_MS,
  )
})

/** Resolves to the number of leases that the zombie has lost. */
async function standStill(scene: Scene, zombie: WorkerHandle, other: WorkerHandle): Promise<number> {
  const { holdfast, random, twin } = scene
  stopBetweenWrites(scene, other)
  const before = { stops: zombie.count('standing_still'), lost: zombie.count('lease_lost') }
  zombie.standStill({ afterClaims: randomInteger(random, 1, 30), turns: randomInteger(random, 0, 20) })
  await scene.submit(20)
  await zombie.until(() => zombie.count('standing_still') > before.stops)
  other.child.kill('SIGCONT')
  await holdfast.drain()

  const after = { requests: twin.requests.total, items: await stateOf(holdfast) }
  zombie.child.kill('SIGCONT')
  // What it held it knows to be lost, one by one; then nothing is left that it could still do.
  const held = heldBy(zombie)
  await zombie.until(() => heldBy(zombie).every((itemId) => !held.includes(itemId)))
  expect({ requests: twin.requests.total, items: await stateOf(holdfast) }).toEqual(after)
  return zombie.count('lease_lost') - before.lost
}

/** One that stands still in the middle of a write keeps the file to itself, and nobody could work: that is not what this is about. */
function stopBetweenWrites({ workshop }: Scene, { child }: WorkerHandle): void {
  using database = new DatabaseSync(workshop.path('holdfast.db'), { timeout: 0 })
  for (;;) {
    child.kill('SIGSTOP')
    try {
      database.exec('BEGIN IMMEDIATE; ROLLBACK')
      return
    } catch (error) {
      if (!/locked/.test(messageOf(error))) throw error
      child.kill('SIGCONT')
    }
  }
}

/** Claimed, and neither settled nor known to be lost. */
function heldBy({ reports }: WorkerHandle): string[] {
  const held = new Set<string>()
  for (const report of reports) {
    if (report.type === 'claimed') held.add(report.itemId)
    else if (report.type === 'settled' || report.type === 'lease_lost') held.delete(report.itemId)
  }
  return [...held]
}

async function stateOf(holdfast: Holdfast): Promise<unknown> {
  const { rows } = await holdfast.operations.items({}, { limit: 1000 })
  return rows.map(({ itemId, state, counters, updatedAtMs }) => ({ itemId, state, counters, updatedAtMs }))
}

describe('asked to end', () => {
  test(
    'R117: `holdfast worker` on SIGTERM: what runs ends, the rest stays queued, nothing is left in its hands; exit code 0',
    async () => {
      await using scene = await openScene('sigterm')
      scene.workshop.write('holdfast.config.ts', configOf(scene))
      await scene.submit(300)
      const worker = scene.workshop.start('worker')
      await scene.twin.until(() => scene.twin.effects.length >= 100)
      worker.child.kill('SIGTERM')
      const ended = await worker.ended
      expect(ended).toMatchObject({ code: 0, signal: null })
      const balance = await scene.holdfast.operations.balance()
      expect(balance.states).toMatchObject({ processing: 0, dead_lettered: 0 })
      expect(balance.states.succeeded).toBeGreaterThan(0)
      expect(balance.states.succeeded).toBeLessThan(900)

      expect((await scene.workshop.holdfast('worker', '--until-idle')).code).toBe(0)
      await expectAllDoneOnce(scene)
      await expectBalancedByCommand(scene.workshop)
    },
    MINUTE_MS,
  )
})

function configOf({ twin }: Scene): string {
  const support = new URL('./support/kill-pipeline.ts', import.meta.url).href
  return `import { integrations, onboard } from '${support}'
export default { integrations: integrations('${twin.url}'), pipelines: [onboard], worker: { lease: '2s', poll: '50ms' } }
`
}

async function expectAllDoneOnce({ twin, holdfast, emails }: Scene): Promise<void> {
  const report = await holdfast.operations.audit()
  expect(violationsOf(report)).toEqual([])
  expect(report.balance).toMatchObject({
    accepted: emails.length * STEPS.length,
    states: { succeeded: emails.length * STEPS.length },
    needsPerson: 0,
  })
  expect(twin.duplicates()).toEqual([])
  for (const collection of ['contacts', 'enrolments']) {
    const there = twin.store.collection(collection).all()
    expect(there.map((record) => record['email']).sort()).toEqual([...emails].sort())
  }
  const profiles = twin.store.collection('profiles').all()
  expect(profiles.map(({ id }) => id).sort()).toEqual([...emails].sort())
}

async function expectBalancedByCommand(workshop: Workshop): Promise<void> {
  const ended = await workshop.holdfast('audit', '--store', 'sqlite:holdfast.db')
  expect(violationsOf(jsonOf<AuditReport>(ended))).toEqual([])
  expect(ended.code).toBe(0)
}

function violationsOf(report: AuditReport): unknown[] {
  const broken: unknown[] = report.checks.filter(({ violations }) => violations > 0)
  return report.balanced ? broken : [...broken, report.balance]
}
