/** Issue 6: what is held of one person is erased by a command; what happened, and the balance, stay. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { type TestEngine, testEngine } from '../support/engine.ts'

const ADA = 'ada@example.com'
const GRACE = 'grace@example.com'
const BY = 'test'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-erasure-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

interface Lead {
  readonly email: string
  readonly bad?: boolean
}

const onboard = definePipeline<Lead>('onboard', { subject: ({ email }) => email })
  .step('crm', {
    integration: 'crm',
    operation: ({ input }) => `${input.email} ${input.bad === true}`,
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    parse: ({ data }) => data,
  })
  .step('welcome', { after: ['crm'], safe: true, run: ({ input }) => `welcome ${input.email}` })

/** An API that says in its answers whom they are about. */
const talkative: TestEngine['api']['reply'] = ({ body }) => {
  const { email, bad } = body as Lead
  if (!bad) return { status: 200, body: { id: `id of ${email}` } }
  return { status: 422, body: { error: { code: 'bad', message: `${email} is not welcome`, field: email } } }
}

async function engineOnFile(pipelines: readonly unknown[] = [onboard]): Promise<TestEngine> {
  return testEngine({ pipelines, path: join(folder, 'ledger.db'), reply: talkative })
}

function onDisk(text: string): boolean {
  return readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(text))
}

async function workOff({ hf, clock }: TestEngine): Promise<void> {
  hf.startWorker()
  await clock.runUntil(hf.drain())
}

describe('erasing what is held of one subject', () => {
  test('of one tenant alone, the runs of others are untouched', async () => {
    const engine = await engineOnFile()
    const { hf, clock } = engine
    const runOf = async (tenant: string) => (await hf.submit(onboard, { email: ADA }, { tenant })).runId
    const [ours, theirs] = [await runOf('acme'), await runOf('globex')]
    await workOff(engine)
    const operations = hf.operations.as({ by: 'cli:joan', from: 'desk' })
    const request = { subject: ADA, tenant: 'acme', by: BY }
    expect(await clock.runUntil(operations.erase({ ...request, dryRun: true }))).toMatchObject({ erased: [ours] })
    expect(await clock.runUntil(operations.erase(request))).toMatchObject({ runs: 1, erased: [ours] })
    expect(JSON.stringify(await hf.operations.item(`${theirs}.crm`))).toContain(ADA)
    expect(JSON.stringify(await hf.operations.item(`${ours}.crm`))).not.toContain(ADA)
    expect((await operations.actions({ what: 'erase' })).rows).toMatchObject([{ details: { tenant: 'acme' } }])
    const byRun = operations.erase({ runIds: [theirs], tenant: 'acme', by: BY })
    await expect(byRun).rejects.toMatchObject({ code: 'run_not_found' })
    await engine.finish()
  })

  test('what people typed into jobs goes too; of a patch that is still needed it is said which job keeps it', async () => {
    const before = await engineOnFile()
    await before.hf.submit(onboard, { email: ADA, bad: true })
    const { runId } = await before.hf.submit(onboard, { email: GRACE, bad: true })
    await workOff(before)
    await before.finish()
    // A process without a worker: nobody works on its jobs.
    const engine = await engineOnFile()
    const { clock } = engine
    const { operations } = engine.hf
    const waiting = { itemIds: [`${runId}.crm`] }
    const patched = await operations.startJob({
      what: 'replay',
      selection: waiting,
      by: BY,
      patch: { referredBy: ADA.toUpperCase() },
    })
    const { rows } = await operations.items({ states: ['dead_lettered'] })
    const ofAda = rows.filter((item) => item.runId !== runId).map(({ itemId }) => itemId)
    const discarding = await operations.startJob({
      what: 'discard',
      selection: { itemIds: ofAda },
      by: BY,
      reason: `as ${ADA} asked`,
    })
    await clock.runUntil(operations.finishJob(discarding.id))
    const plan = await clock.runUntil(operations.erase({ subject: ADA, dryRun: true, by: BY }))
    expect(plan).toMatchObject({ runs: 1, jobs: [patched.id] })
    expect(await operations.job(discarding.id)).toMatchObject({ reason: `as ${ADA} asked` })
    expect(await clock.runUntil(operations.erase({ subject: ADA, by: BY }))).toMatchObject({ jobs: [patched.id] })
    expect(await operations.job(discarding.id)).toMatchObject({ reason: 'erased', counts: { succeeded: 1 } })
    await operations.cancelJob(patched.id, 'it names somebody who is erased', BY)
    expect(await clock.runUntil(operations.erase({ subject: ADA, by: BY }))).toMatchObject({ runs: 0, jobs: [] })
    for (const text of [ADA, ADA.toUpperCase()]) expect(onDisk(text), text).toBe(false)
    await engine.finish()
  })

  test('a name that stands in anything takes no words out of what people typed', async () => {
    const engine = await engineOnFile()
    const { hf, clock } = engine
    const { runId } = await hf.submit(onboard, { email: ADA, bad: true }, { key: '7' })
    await workOff(engine)
    const reason = 'all 7 of the import of 7 July'
    const { operations } = hf
    const job = await operations.startJob({ what: 'discard', selection: { itemIds: [`${runId}.crm`] }, by: BY, reason })
    await clock.runUntil(operations.finishJob(job.id))
    expect(await clock.runUntil(operations.erase({ runIds: [runId], by: BY }))).toMatchObject({ runs: 1 })
    expect(await operations.job(job.id)).toMatchObject({ reason })
    await engine.finish()
  })

  test('plan, then run: nothing of it is in the files, history and balance stay, others are untouched', async () => {
    const engine = await engineOnFile()
    const { hf, clock } = engine
    const { runId } = await hf.submit(onboard, { email: ADA }, { key: `lead:${ADA}`, labels: { of: ADA, team: 'a' } })
    await hf.submit(onboard, { email: ADA, bad: true })
    await hf.submit(onboard, { email: GRACE })
    await workOff(engine)
    const operations = hf.operations.as({ by: 'cli:joan', from: 'desk' })
    const typed = `as ${ADA} asked`
    await clock.runUntil(operations.discard({ filter: {} }, typed, BY))
    expect(onDisk(ADA)).toBe(true)

    const before = await hf.operations.balance()
    const [first, other] = [await hf.operations.run(runId), await hf.operations.items({ key: GRACE })]
    const plan = await clock.runUntil(operations.erase({ subject: ' ADA@example.com', dryRun: true, by: BY }))
    expect(plan).toMatchObject({ runs: 2, items: 4, refused: [], dryRun: true, scrubbed: false })
    expect(onDisk(ADA)).toBe(true)
    const report = await clock.runUntil(operations.erase({ subject: ' ADA@example.com', by: BY }))
    expect(report).toMatchObject({ runs: 2, items: 4, refused: [], dryRun: false, scrubbed: true })
    expect(report.erased.toSorted()).toEqual(plan.erased.toSorted())

    for (const text of [ADA, 'id of ada', `welcome ${ADA}`]) expect(onDisk(text), text).toBe(false)
    expect(onDisk(GRACE)).toBe(true)
    expect(await hf.operations.balance()).toEqual(before)
    expect(await hf.operations.items({ key: GRACE })).toEqual(other)
    const erased = await hf.operations.run(runId)
    expect(erased).toMatchObject({ input: { erased: true }, key: `erased:${runId}`, labels: { team: 'a' } })
    expect(erased?.items.map(({ state, endedAtMs }) => [state, endedAtMs])).toEqual(
      first?.items.map(({ state, endedAtMs }) => [state, endedAtMs]),
    )
    const failed = (await hf.operations.items({ states: ['discarded'], step: 'crm' })).rows[0]
    const item = await hf.operations.item(failed?.itemId ?? '')
    expect(item).toMatchObject({
      input: { erased: true },
      attempts: [{ outcome: 'failed', status: 422, failure: { class: 'validation', message: 'erased' } }],
    })
    expect(JSON.stringify(await hf.operations.explain(item?.itemId ?? ''))).not.toContain(ADA)
    await engine.finish()
  })

  test('the trail says that something was erased, when and by whom; not whose it was', async () => {
    const engine = await engineOnFile()
    const { hf, clock } = engine
    await hf.submit(onboard, { email: ADA, bad: true }, { key: ADA })
    await workOff(engine)
    const operations = hf.operations.as({ by: 'cli:joan', from: 'desk' })
    await clock.runUntil(operations.discard({ filter: { key: ADA } }, `asked by ${ADA}`, BY))
    await clock.runUntil(operations.erase({ subject: ADA, by: BY }))
    const { rows } = await hf.operations.actions()
    expect(rows.map(({ what, by, outcome }) => [what, by, outcome])).toEqual([
      ['erase', 'cli:joan', 'done'],
      ['discard', 'cli:joan', 'done'],
    ])
    expect(rows[0]).toMatchObject({
      target: expect.stringMatching(/^subject [0-9a-f]{16}$/),
      details: { runs: 1, erased: 1 },
    })
    expect(rows[1]).toMatchObject({ reason: 'erased', details: { erased: true } })
    expect(JSON.stringify(rows)).not.toContain(ADA)
    await engine.finish()
  })

  test('what has not ended is left and named; or ended first, where that is said', async () => {
    const engine = await engineOnFile()
    const { hf, clock } = engine
    const dead = await hf.submit(onboard, { email: ADA, bad: true })
    await workOff(engine)
    await hf.operations.suspend('crm', 'so that it waits')
    const waiting = await hf.submit(onboard, { email: ADA })
    const asked = { subject: ADA, by: BY }
    const left = await clock.runUntil(hf.operations.erase(asked))
    expect(left.erased).toEqual([])
    expect(left.refused.map(({ runId }) => runId).sort()).toEqual([dead.runId, waiting.runId].sort())
    expect((await hf.operations.run(dead.runId))?.input).toEqual({ email: ADA, bad: true })

    const plan = await clock.runUntil(hf.operations.erase({ ...asked, notEnded: 'cancel', dryRun: true }))
    expect([plan.erased.length, plan.refused]).toEqual([2, []])
    const done = await clock.runUntil(hf.operations.erase({ ...asked, notEnded: 'cancel' }))
    expect([done.erased.length, done.refused]).toEqual([2, []])
    expect(onDisk(ADA)).toBe(false)
    expect((await hf.operations.balance()).states).toMatchObject({ discarded: 2, cancelled: 2, queued: 0 })
    await engine.finish()
  })

  test('what a worker has in its hands ends first; the same command again erases it', async () => {
    const engine = await engineOnFile()
    const { hf, clock, api } = engine
    api.reply = () => ({ status: 200, body: { id: ADA }, delayMs: 5000 })
    await hf.submit(onboard, { email: ADA })
    hf.startWorker()
    await clock.advance(1000)
    const order = { subject: ADA, notEnded: 'cancel', by: BY } as const
    const first = await clock.runUntil(hf.operations.erase(order))
    expect(first.refused).toMatchObject([{ why: expect.stringContaining('is being worked on') }])
    await clock.runUntil(hf.drain())
    expect((await clock.runUntil(hf.operations.erase(order))).refused).toEqual([])
    expect(onDisk(ADA)).toBe(false)
    await engine.finish()
  })

  test('a record that comes again afterwards is new', async () => {
    const engine = await engineOnFile()
    const { hf, clock, api } = engine
    await hf.submit(onboard, { email: ADA }, { key: 'lead-1' })
    await workOff(engine)
    await clock.runUntil(hf.operations.erase({ subject: ADA, by: BY }))
    expect(await hf.submit(onboard, { email: ADA }, { key: 'lead-1' })).toMatchObject({ duplicate: false })
    await clock.runUntil(hf.drain())
    expect(api.requests).toHaveLength(2)
    await engine.finish()
  })
})

describe('whose data a record holds', () => {
  test('by run, by key, by what the caller says, and by an expression of a declarative pipeline', async () => {
    const written = {
      integrations: { crm: { baseUrl: 'https://crm.test' } },
      pipelines: {
        leads: {
          subject: '{{ input.person.email }}',
          steps: { crm: { integration: 'crm', request: { method: 'POST', path: '/c', body: '{{ input }}' } } },
        },
      },
    } as const
    const { pipelines } = resolveConfig(written, { env: {}, baseDirectory: '/' })
    const engine = await engineOnFile([...pipelines, onboard])
    const { hf, clock } = engine
    await hf.submit('leads', { person: { email: ADA } })
    await hf.submit('leads', { person: {} })
    await hf.submit('leads', { n: 1 }, { key: ADA })
    const request = { integration: 'crm', method: 'POST', path: '/one', body: { email: ADA } } as const
    const { runId } = await hf.submitRequest(request, { subject: ADA })
    await workOff(engine)
    const byRun = await clock.runUntil(hf.operations.erase({ runIds: [runId], by: BY }))
    expect(byRun.erased).toEqual([runId])
    const bySubject = await clock.runUntil(hf.operations.erase({ subject: ADA, by: BY }))
    expect(bySubject.erased).toHaveLength(2)
    expect(onDisk(ADA)).toBe(false)
    expect(await hf.operations.balance()).toMatchObject({ accepted: 4, states: { succeeded: 4 } })
    await engine.finish()
  })

  test('what undid a run goes with it', async () => {
    const compensating = definePipeline<Lead>('both', { onFailure: 'compensate' })
      .step('first', {
        integration: 'crm',
        request: { method: 'POST', path: '/contacts', body: ({ input }) => ({ email: input.email }) },
        compensate: {
          request: { method: 'DELETE', path: '/contacts' },
          idempotency: { kind: 'natural', field: 'email' },
        },
      })
      .step('second', {
        integration: 'crm',
        after: ['first'],
        request: { method: 'POST', path: '/refusing', body: ({ input }) => ({ email: input.email, bad: true }) },
      })
    const engine = await engineOnFile([compensating])
    const { hf, clock, api } = engine
    api.reply = (request) => (request.method === 'DELETE' ? { status: 204 } : talkative(request, 1))
    const { runId } = await hf.submit(compensating, { email: ADA })
    await workOff(engine)
    expect(api.requests.map(({ method }) => method)).toEqual(['POST', 'POST', 'DELETE'])
    const report = await clock.runUntil(hf.operations.erase({ runIds: [runId], by: BY }))
    expect(report).toMatchObject({ runs: 2, refused: [] })
    expect(onDisk(ADA)).toBe(false)
    await engine.finish()
  })

  test('neither a subject nor a run, or a run that is not there, is refused', async () => {
    const engine = await engineOnFile()
    for (const request of [{}, { subject: ' ' }, { runIds: [] }]) {
      await expect(engine.hf.operations.erase({ ...request, by: BY })).rejects.toMatchObject({
        code: 'erasure_of_nothing',
      })
    }
    const { hf, clock } = engine
    await expect(hf.operations.erase({ runIds: ['none'], by: BY })).rejects.toMatchObject({ code: 'run_not_found' })
    const nobody = await clock.runUntil(hf.operations.erase({ subject: 'nobody@example.com', by: BY }))
    expect(nobody).toMatchObject({ runs: 0, erased: [] })
    await engine.finish()
  })

  test('a subject that fails refuses the record: it could not be found again', async () => {
    const broken = definePipeline<Lead>('broken', {
      subject: () => {
        throw new Error('no such field')
      },
    }).step('only', { safe: true, run: () => 1 })
    const engine = await engineOnFile([broken])
    await expect(engine.hf.submit(broken, { email: ADA })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('no such field'),
    })
    await engine.finish()
  })
})
