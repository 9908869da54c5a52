import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast, JobOrder } from '../../src/engine/api.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { AnyPipeline } from '../../src/engine/pipelines/pipeline.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { Ledger } from '../../src/ledger/port.ts'
import { CRM, type TestEngine, type TestEngineOptions, testEngine } from '../support/engine.ts'

const onboard = definePipeline<{ email: string; company?: string }>('onboard').step('crm', {
  integration: 'crm',
  request: {
    method: 'PUT',
    path: '/contacts/{email}',
    params: ({ input }) => ({ email: input.email }),
    body: ({ input }) => input,
  },
})

const REFUSED = {
  status: 422,
  body: { error: { code: 'field_required', message: 'company is required', field: 'company' } },
}

interface Prepared extends TestEngine {
  readonly itemIds: string[]
}

/** Dead letters of an API that insists on a company; no worker is running afterwards. */
async function withDeadLetters(count: number, options: TestEngineOptions = {}): Promise<Prepared> {
  const engine = await testEngine({ pipelines: [onboard], ...options })
  engine.api.reply = (request) => ((request.body as { company?: string }).company ? { status: 200, body: {} } : REFUSED)
  const worker = engine.hf.startWorker()
  const records = Array.from({ length: count }, (_, index) => ({ input: { email: `lead-${index}@example.com` } }))
  const receipts = await engine.clock.runUntil(engine.hf.submitMany(onboard, records))
  await engine.clock.runUntil(engine.hf.drain())
  await engine.clock.runUntil(worker.stop())
  await engine.clock.advance(1)
  engine.api.requests.length = 0
  return { ...engine, itemIds: receipts.map((receipt) => (receipt.ok ? `${receipt.runId}.crm` : '')) }
}

function order(parts: Partial<JobOrder> = {}): JobOrder {
  return { what: 'replay', selection: { filter: {} }, by: 'cli:ada', ...parts }
}

const CORRECTED = order({ patch: { company: 'Acme' } })

async function untilEnded({ clock, hf }: Pick<TestEngine, 'clock' | 'hf'>, jobId: string) {
  async function look() {
    for (;;) {
      const job = await hf.operations.job(jobId)
      if (!job || job.endedAtMs !== undefined) return job
      await clock.sleep(100)
    }
  }
  return clock.runUntil(look())
}

/** As a process that is killed has it: after the third call of a method is carried out, nothing is heard any more. */
function dyingAfter(ledger: Ledger, last: keyof Ledger, calls: number): Ledger {
  let left = calls
  const never = new Promise<never>(() => undefined)
  return new Proxy(ledger, {
    get(target, name: keyof Ledger) {
      const method = target[name]
      if (typeof method !== 'function' || name === 'watch') return method
      return async (...request: never[]) => {
        if (left === 0) return never
        const result = await (method as (...request: never[]) => unknown)(...request)
        if (name === last) left -= 1
        return left === 0 ? never : result
      }
    },
  })
}

/** Another process on the same store. */
function another({ clock, api }: TestEngine, name: string, ledger: Ledger): Holdfast {
  const config = resolveConfig({ integrations: CRM, pipelines: [onboard] }, { env: {}, baseDirectory: '/' })
  return createEngine({
    clock,
    ledger,
    random: seededRandom(name),
    transport: api,
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
  })
}

describe('jobs', () => {
  test('R135, R136: a replayed group is put back corrected, and each of its items is verified', async () => {
    const engine = await withDeadLetters(40)
    const job = await engine.hf.operations.startJob(CORRECTED)
    expect(job).toMatchObject({ phase: 'running', counts: { total: 40, waiting: 40 }, patched: true })
    engine.hf.startWorker()
    const ended = await untilEnded(engine, job.id)
    expect(ended).toMatchObject({ phase: 'done', counts: { total: 40, succeeded: 40, waiting: 0, failed: 0 } })
    expect(engine.api.requests).toHaveLength(40)
    const item = await engine.hf.operations.item(engine.itemIds[0] ?? '')
    expect(item).toMatchObject({ state: 'succeeded', counters: { replays: 1 } })
    expect(item?.operations).toMatchObject([{ what: 'replay', by: 'cli:ada' }])
    await engine.finish()
  })

  test('D13: few at first, more as they succeed: an API that has just come back does not meet all at once', async () => {
    const engine = await withDeadLetters(300)
    let underWay = 0
    const seen: number[] = []
    engine.hf.events.on('job.progressed', (event) => {
      underWay = Math.max(underWay, event.underWay)
      seen.push(event.succeeded)
    })
    const job = await engine.hf.operations.startJob(CORRECTED)
    engine.hf.startWorker()
    await untilEnded(engine, job.id)
    const steps = seen.slice(1).map((succeeded, index) => succeeded - (seen[index] ?? 0))
    expect(steps[0]).toBeLessThanOrEqual(10)
    expect(Math.max(...steps)).toBeGreaterThan(20)
    expect(steps.reduce((sum, step) => sum + step, seen[0] ?? 0)).toBe(300)
    await engine.finish()
  })

  test('a wrong fix ends with its canary, and nothing after it is touched', async () => {
    const engine = await withDeadLetters(20)
    const job = await engine.hf.operations.startJob(order({ canary: 3, patch: { nickname: 'x' } }))
    engine.hf.startWorker()
    const ended = await untilEnded(engine, job.id)
    expect(ended).toMatchObject({ phase: 'stopped', counts: { failed: 3, waiting: 17 } })
    expect(ended?.stopped?.why).toContain('company')
    expect(engine.api.requests).toHaveLength(3)
    await engine.finish()
  })

  test('a canary that succeeds lets the rest go on', async () => {
    const engine = await withDeadLetters(20)
    const job = await engine.hf.operations.startJob({ ...CORRECTED, canary: 3 })
    engine.hf.startWorker()
    expect(await untilEnded(engine, job.id)).toMatchObject({ phase: 'done', counts: { succeeded: 20 } })
    await engine.finish()
  })

  test('what fails again is counted, and is not tried for ever', async () => {
    const engine = await withDeadLetters(25)
    const job = await engine.hf.operations.startJob(order())
    engine.hf.startWorker()
    expect(await untilEnded(engine, job.id)).toMatchObject({ phase: 'done', counts: { failed: 25, succeeded: 0 } })
    expect(engine.api.requests).toHaveLength(25)
    await engine.finish()
  })

  test('cancelled: what has not had its turn stays as it is, and it is said how many', async () => {
    const engine = await withDeadLetters(200)
    const job = await engine.hf.operations.startJob(CORRECTED)
    engine.hf.startWorker()
    await engine.clock.advance(700)
    const cancelled = await engine.clock.runUntil(engine.hf.operations.cancelJob(job.id, 'wrong company', 'cli:bob'))
    expect(cancelled?.ended).toEqual({ why: 'wrong company', by: 'cli:bob' })
    await engine.clock.runUntil(engine.hf.drain())
    const after = await engine.hf.operations.job(job.id)
    expect(after?.phase).toBe('cancelled')
    const { waiting = 0, succeeded = 0 } = after?.counts ?? {}
    expect(succeeded).toBeGreaterThan(0)
    expect(waiting).toBeGreaterThan(100)
    expect(waiting + succeeded).toBe(200)
    expect((await engine.hf.operations.balance()).states).toMatchObject({ succeeded, dead_lettered: waiting })
    await expect(engine.hf.operations.cancelJob(job.id, 'again', 'cli:bob')).rejects.toMatchObject({
      code: 'job_ended',
    })
    await engine.finish()
  })

  test.each(['replay', 'jobItems', 'updateJob'] as const)(
    'another process goes on where one was lost after %s, and puts nothing back twice',
    async (method) => {
      const engine = await withDeadLetters(100, { settings: { jobLookMs: Number.POSITIVE_INFINITY } })
      const job = await another(engine, 'asking', engine.ledger).operations.startJob(CORRECTED)
      // Nobody stops this one: it is gone in the middle of what it did, and its leases must end.
      another(engine, 'lost', dyingAfter(engine.ledger, method, 3)).startWorker()
      await engine.clock.advance(5000)
      expect((await engine.hf.operations.job(job.id))?.counts.waiting).toBeGreaterThan(0)
      another(engine, 'heir', engine.ledger).startWorker()
      expect(await untilEnded(engine, job.id)).toMatchObject({ phase: 'done', counts: { succeeded: 100 } })
      const items = await engine.hf.operations.jobItems(job.id, { limit: 200 })
      expect(new Set(items.map(({ replays }) => replays))).toEqual(new Set([1]))
      await engine.finish()
    },
  )

  test('items that somebody else has put right meanwhile are refused, with the reason', async () => {
    const engine = await withDeadLetters(3)
    const job = await engine.hf.operations.startJob(CORRECTED)
    const [first = ''] = engine.itemIds
    await engine.hf.operations.discard({ itemIds: [first] }, 'not wanted', 'cli:bob')
    engine.hf.startWorker()
    expect(await untilEnded(engine, job.id)).toMatchObject({ counts: { succeeded: 2, refused: 1 } })
    const items = await engine.hf.operations.jobItems(job.id)
    expect(items.find(({ itemId }) => itemId === first)?.refused).toContain('discarded')
    await engine.finish()
  })

  test('discard and cancel are jobs too', async () => {
    const engine = await withDeadLetters(12)
    const { operations } = engine.hf
    const discarding = await operations.startJob(order({ what: 'discard', reason: 'test records' }))
    const queued = await engine.hf.submitMany(onboard, [{ input: { email: 'a@b.c' } }, { input: { email: 'd@e.f' } }])
    expect(queued).toHaveLength(2)
    const cancelling = await operations.startJob(order({ what: 'cancel', reason: 'wrong list' }))
    engine.hf.startWorker({ lanes: ['nowhere/default'] })
    expect(await untilEnded(engine, discarding.id)).toMatchObject({ phase: 'done', counts: { succeeded: 12 } })
    expect(await untilEnded(engine, cancelling.id)).toMatchObject({ phase: 'done', counts: { succeeded: 2 } })
    expect((await operations.balance()).states).toMatchObject({ discarded: 12, cancelled: 2 })
    await expect(operations.startJob(order({ what: 'discard' }))).rejects.toMatchObject({ code: 'reason_missing' })
    await engine.finish()
  })

  test('issue 6: one that sends nothing is finished without a worker, and without touching other jobs', async () => {
    const engine = await withDeadLetters(1200, { settings: { jobLookMs: Number.POSITIVE_INFINITY } })
    const { operations } = another(engine, 'command', engine.ledger)
    const [first = '', ...others] = engine.itemIds
    const replaying = await operations.startJob(order({ selection: { itemIds: [first] } }))
    const selection = { itemIds: others }
    const discarding = await operations.startJob(order({ what: 'discard', reason: 'test records', selection }))
    await engine.clock.runUntil(operations.finishJob(discarding.id))
    expect(await operations.job(discarding.id)).toMatchObject({ phase: 'done', counts: { succeeded: 1199 } })
    expect(await operations.job(replaying.id)).toMatchObject({ phase: 'running', counts: { waiting: 1 } })
    await engine.finish()
  })

  test('issue 6: interrupted half way, it is a job like any other: a worker goes on with it', async () => {
    const engine = await withDeadLetters(1200, { settings: { jobLookMs: Number.POSITIVE_INFINITY } })
    const { operations } = another(engine, 'command', engine.ledger)
    const { id } = await operations.startJob(order({ what: 'discard', reason: 'test records' }))
    const interrupted = new AbortController()
    const finishing = operations.finishJob(id, interrupted.signal).catch((error: unknown) => error)
    await engine.clock.advance(300)
    interrupted.abort(new Error('Ctrl-C'))
    expect(await engine.clock.runUntil(finishing)).toMatchObject({ message: 'Ctrl-C' })
    const { waiting } = (await operations.job(id))?.counts ?? {}
    expect(waiting).toBeGreaterThan(0)
    expect(waiting).toBeLessThan(1200)
    another(engine, 'heir', engine.ledger).startWorker()
    expect(await untilEnded(engine, id)).toMatchObject({ phase: 'done', counts: { succeeded: 1200 } })
    await engine.finish()
  })

  test.each([
    ['done', {}, 'done'],
    ['stopped by its canary', { canary: 2, patch: { company: '', note: 'of Ada' } }, 'stopped'],
    ['cancelled', {}, 'cancelled'],
  ] as const)('rule 7: the patch of a job goes when it is %s: nobody needs it any more', async (_name, more, phase) => {
    const engine = await withDeadLetters(30)
    const { operations } = engine.hf
    const { id } = await operations.startJob(order({ patch: { company: 'of Ada' }, ...more }))
    const stored = async () => JSON.stringify((await engine.ledger.jobs({ id }, { limit: 1 })).rows)
    expect(await stored()).toContain('of Ada')
    if (phase === 'cancelled') await operations.cancelJob(id, 'not today', 'cli:bob')
    engine.hf.startWorker()
    expect(await untilEnded(engine, id)).toMatchObject({ phase, patched: true })
    expect(await stored()).not.toContain('of Ada')
    await engine.finish()
  })

  test('drain waits for what a job still has to put back', async () => {
    const engine = await withDeadLetters(60)
    await engine.hf.operations.startJob(CORRECTED)
    engine.hf.startWorker()
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states.succeeded).toBe(60)
    await engine.finish()
  })

  test('who began and who cancelled it is on the trail of actions', async () => {
    const engine = await withDeadLetters(2)
    const ada = engine.hf.operations.as({ by: 'token:ada', from: '10.0.0.7' })
    const job = await ada.startJob(CORRECTED)
    await ada.cancelJob(job.id, 'not today', 'token:ada')
    const { rows } = await engine.hf.operations.actions()
    expect(rows).toMatchObject([
      { what: 'cancel_job', target: job.id, reason: 'not today', by: 'token:ada', from: '10.0.0.7', outcome: 'done' },
      { what: 'replay_job', target: 'filter', details: { job: job.id, items: 2, patched: true }, outcome: 'done' },
    ])
    await engine.finish()
  })
})

describe('the plan of a job', () => {
  test('says how many, by group, what would be left alone and why, and how long it takes at the rate of the lane', async () => {
    const integrations = { crm: { ...CRM.crm, limits: { rate: '10/1s', concurrency: 10 } } } as const
    const engine = await withDeadLetters(30, { integrations })
    const [first = ''] = engine.itemIds
    await engine.hf.operations.discard({ itemIds: [first] }, 'not wanted', 'cli:bob')
    const plan = await engine.hf.operations.planJob({
      ...CORRECTED,
      selection: { itemIds: [...engine.itemIds, 'nobody.crm'] },
    })
    expect(plan).toMatchObject({ selected: 31, ready: 29 })
    expect(plan.refused.map(({ why, count }) => [why, count])).toEqual([
      ['it is discarded, not a dead letter', 1],
      ['there is no such item', 1],
    ])
    expect(plan.groups).toMatchObject([{ count: 29, summary: expect.stringContaining('company') }])
    expect(plan.lanes[0]).toMatchObject({ lane: 'crm/default', count: 29 })
    expect(plan.lanes[0]?.perSecond).toBeLessThanOrEqual(10)
    expect(plan.estimatedMs).toBeGreaterThanOrEqual(2900)
    expect(plan.samples[0]).toMatchObject({ after: { company: 'Acme' } })
    expect((await engine.hf.operations.balance()).states.dead_lettered).toBe(29)
    await engine.finish()
  })
})
