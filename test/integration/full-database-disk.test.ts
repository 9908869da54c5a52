/** The disk of the database is full: whoever submits is told, nothing that was acknowledged is lost, and with room again all goes on. */
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type HoldfastError, isHoldfastError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { definePipeline, holdfast } from '../../src/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin, type Twin } from '../../src/testing/twin/twin.ts'
import { asNobody, canMountForOthers, onTinyDisk } from '../support/tiny-disk.ts'
import { openWorkshop, type RunningProcess } from '../support/workshop.ts'

const PROGRAM = fileURLToPath(new URL('../support/tiny-server.ts', import.meta.url))
const TIMEOUT_MS = 150_000
const BATCH = 20
const FILLING_BYTES = 30_000

const send = definePipeline<{ n: number; filling: string }>('send').step('post', {
  integration: 'twin',
  request: { method: 'POST', path: '/things', body: ({ input }) => ({ n: input.n }) },
  idempotency: { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 },
})

interface Scene extends AsyncDisposable {
  readonly disk: RunningProcess
  readonly twin: Twin
  readonly hf: Holdfast
}

async function openScene(part: 'tables' | 'log', size: string, ballastMebibytes: number): Promise<Scene> {
  const workshop = openWorkshop()
  mkdirSync(workshop.path('disk'))
  const disk = onTinyDisk(workshop, size, [
    'chmod 777 .. .',
    asNobody(`node ${PROGRAM} ${part} ${workshop.path('disk')} ${ballastMebibytes}`),
  ])
  await disk.says('postgres://')
  const store = disk.stdout().trim()
  const twin = await startTwin({
    clock: systemClock,
    random: systemRandom,
    routes: [route('POST', '/things', { effectKey: 'n', idempotency: true })],
  })
  const hf = await holdfast({ store, integrations: { twin: { baseUrl: twin.url } }, pipelines: [send] })
  return {
    disk,
    twin,
    hf,
    async [Symbol.asyncDispose]() {
      await hf.close()
      await twin.close()
      disk.child.kill('SIGTERM')
      await disk.ended
      await workshop[Symbol.asyncDispose]()
    },
  }
}

async function submitBatch(hf: Holdfast, from: number): Promise<void> {
  const records = Array.from({ length: BATCH }, (_, index) => {
    const n = from + index
    return { input: { n, filling: fillingOf(n) }, options: { key: `${n}` } }
  })
  for (const receipt of await hf.submitMany(send, records)) if (!receipt.ok) throw receipt.error
}

/** Does not compress; of the same record always the same. */
function fillingOf(n: number): string {
  return Buffer.from(seededRandom(n).bytes(FILLING_BYTES)).toString('base64')
}

/** A mount of one's own, and a user in it who is not root, are needed. Elsewhere these tests cannot be run. */
describe.skipIf(!canMountForOthers())('a database whose disk is full', () => {
  test(
    'where the tables are: submits fail with what to do; with room again, everything goes on',
    async () => {
      await using scene = await openScene('tables', '60m', 30)
      const { acknowledged, refusal } = await submitUntilRefused(scene)
      expect(refusal).toMatchObject({
        code: 'store_full',
        certainty: 'not_sent',
        message: expect.stringContaining('has no space left'),
        hint: expect.stringContaining('Free some disk space'),
      })
      expect((await scene.hf.operations.balance()).accepted).toBe(acknowledged)
      expect((await scene.hf.operations.audit()).balanced).toBe(true)
      await makeRoom(scene.disk)
      await expectToGoOn(scene, acknowledged)
    },
    TIMEOUT_MS,
  )

  test(
    'where its log is: the server goes down, and who waits for it is not told; with room, everything goes on',
    async () => {
      await using scene = await openScene('log', '150m', 100)
      const { hf, disk } = scene
      let isDown = false
      const madeRoom = disk.says('the server is down').then(() => {
        isDown = true
        return makeRoom(disk)
      })
      hf.startWorker()
      let acknowledged = 0
      while (!isDown) {
        try {
          await submitBatch(hf, acknowledged)
          acknowledged += BATCH
        } catch (refusal) {
          // By the server's last words, where it was this very write that felled it.
          expect(refusal).toMatchObject({ code: 'store_full', message: expect.stringContaining('has no space left') })
        }
      }
      await madeRoom
      await expectToGoOn(scene, acknowledged)
    },
    TIMEOUT_MS,
  )
})

/** While a worker works on it. */
async function submitUntilRefused({ hf }: Scene): Promise<{ acknowledged: number; refusal: HoldfastError }> {
  hf.startWorker()
  for (let acknowledged = 0; ; acknowledged += BATCH) {
    try {
      await submitBatch(hf, acknowledged)
    } catch (refusal) {
      expect(acknowledged).toBeGreaterThan(BATCH)
      expect(isHoldfastError(refusal)).toBe(true)
      return { acknowledged, refusal: refusal as HoldfastError }
    }
  }
}

async function makeRoom(disk: RunningProcess): Promise<void> {
  disk.child.kill('SIGUSR1')
  await disk.says('there is room')
}

/** The records that were refused are submitted again, and some more. */
async function expectToGoOn({ hf, twin }: Scene, acknowledged: number): Promise<void> {
  for (let more = 0; more < 3; more++) await submitBatch(hf, acknowledged + more * BATCH)
  const count = acknowledged + 3 * BATCH
  expect(await hf.drain()).toMatchObject({ accepted: count, states: { succeeded: count } })
  const report = await hf.operations.audit()
  expect(report.checks.filter(({ violations }) => violations > 0)).toEqual([])
  expect(report.balanced).toBe(true)
  expect(twin.duplicates()).toEqual([])
  expect(twin.effects.map(({ key }) => Number(key)).sort((a, b) => a - b)).toEqual([...Array(count).keys()])
}
