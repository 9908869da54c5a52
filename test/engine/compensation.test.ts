/** Runs that are undone when a step fails for good (R029). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideUndo } from '../../src/engine/operations/undo-plan.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { ItemSummary } from '../../src/ledger/port.ts'
import { createTestbed } from '../../src/testing/testbed/testbed.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { refusal, route } from '../../src/testing/twin/route.ts'
import { testEngine } from '../support/engine.ts'

interface Lead {
  readonly email: string
}

/** Creates a contact, then a deal for it, then enrols it; what was created can be deleted. */
const onboard = definePipeline<Lead>('onboard', { onFailure: 'compensate' })
  .step('contact', {
    integration: 'crm',
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    parse: ({ data }) => data as { id: string },
    reconcile: {
      request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
      match: ({ data }) => (data as { results: { id: string }[] }).results[0],
    },
    compensate: {
      request: { method: 'DELETE', path: '/contacts/{id}', params: ({ output }) => ({ id: output.id }) },
    },
  })
  .step('note', { run: () => 'nothing to undo' })
  .step('deal', {
    after: ['contact'],
    integration: 'crm',
    request: { method: 'POST', path: '/deals', body: ({ outputs }) => ({ contact: outputs.contact.id }) },
    parse: ({ data }) => data as { id: string },
    compensate: {
      request: { method: 'DELETE', path: '/deals/{id}', params: ({ output }) => ({ id: output.id }) },
    },
  })
  .step('enrol', {
    after: ['deal', 'note'],
    integration: 'crm',
    request: { method: 'POST', path: '/enrolments', body: ({ input }) => input },
  })
  .step('mail', { after: ['enrol'], run: () => 'sent' })

const crm = { baseUrl: 'https://crm.test', limits: { concurrency: 1 } } as const
const refused = route('POST', '/enrolments', { apply: () => refusal(422, 'not_wanted', 'no such sequence') })
const routes = [...resource('/contacts'), ...resource('/deals'), refused]

describe('a pipeline that compensates', () => {
  test('R029: what succeeded is undone, newest first, each once, as work that can be seen', async () => {
    await using bed = await createTestbed({ integrations: { crm }, pipelines: [onboard], apis: { crm: { routes } } })
    const { runId } = await bed.hf.submit(onboard, { email: 'ada' }, { batch: 'spring', labels: { list: 'a' } })
    const balance = await bed.drain()
    expect(balance).toMatchObject({
      accepted: 7,
      states: { succeeded: 5, discarded: 1, cancelled: 1 },
      needsPerson: 0,
    })
    const calls = bed.twins.crm.effects.map(({ route: name }) => name)
    expect(calls).toEqual(['POST /contacts', 'POST /deals', 'DELETE /deals/{id}', 'DELETE /contacts/{id}'])
    expect(bed.twins.crm.store.collection('contacts').all()).toEqual([])
    const { rows } = await bed.hf.operations.items({ pipeline: 'onboard:undo' })
    expect(rows.map((row) => [row.step, row.key, row.batch, row.labels, row.state])).toEqual(
      expect.arrayContaining([
        ['deal', runId, 'spring', { list: 'a' }, 'succeeded'],
        ['contact', runId, 'spring', { list: 'a' }, 'succeeded'],
      ]),
    )
    const told = await bed.hf.operations.explain(`${runId}.contact`)
    expect(told?.lines.map(({ text }) => text).join('\n')).toContain(
      'This step was undone, because the run failed for good',
    )
    const failed = await bed.hf.operations.explain(`${runId}.enrol`)
    expect(failed?.headline).toContain('undone by run')
    expect(failed?.next).toContain('Submit the record again')
    expect(failed?.lines.map(({ text }) => text).join('\n')).toContain('not_wanted')
  })

  test('R029, rule 5: a process that is lost right after the failure leaves the undoing to the next one', async () => {
    await using bed = await createTestbed({ integrations: { crm }, pipelines: [onboard], apis: { crm: { routes } } })
    bed.hf.events.on('item.settled', ({ state }) => {
      if (state === 'dead_lettered') bed.kill()
    })
    await bed.hf.submit(onboard, { email: 'ada' })
    await bed.advance('1m')
    expect((await bed.balance()).states).toMatchObject({ dead_lettered: 1, waiting: 1, cancelled: 0 })
    await bed.restart()
    await bed.advance('1m')
    await bed.drain()
    expect(bed.twins.crm.effects.map(({ route: name }) => name).slice(-2)).toEqual([
      'DELETE /deals/{id}',
      'DELETE /contacts/{id}',
    ])
    await bed.advance('10m')
    expect(bed.twins.crm.effects).toHaveLength(4)
  })

  test('R029, rule 3: what may have happened is cleared up first, and then undone too', async () => {
    const blind = definePipeline<Lead>('blind', { onFailure: 'compensate' })
      .step('pay', {
        integration: 'crm',
        request: { method: 'POST', path: '/payments', body: ({ input }) => input },
        parse: ({ data }) => data as { id: string },
        compensate: {
          request: { method: 'POST', path: '/refunds', body: ({ output }) => ({ payment: output.id }) },
          idempotency: { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 86_400_000 },
        },
      })
      .step('fail', {
        run: () => {
          throw Object.assign(new Error('never'), { code: 'NEVER' })
        },
        safe: true,
        maxAttempts: 1,
      })
    const engine = await testEngine({ pipelines: [blind] })
    engine.api.reply = ({ path }) =>
      path === '/payments' ? { lost: 'after_execution' } : { status: 201, body: { id: 'refund' } }
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(blind, { email: 'ada' })
    const waiting = await engine.clock.runUntil(engine.hf.drain())
    expect(waiting.states).toMatchObject({ unknown_outcome: 1, dead_lettered: 1 })
    expect(engine.api.requests.map(({ path }) => path)).toEqual(['/payments'])
    await engine.hf.operations.resolve(`${runId}.pay`, { happened: true, output: { id: 'p-1' } }, 'ada')
    await engine.clock.advance(60_000)
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.api.requests.map(({ path, body }) => [path, body])).toEqual([
      ['/payments', { email: 'ada' }],
      ['/refunds', { payment: 'p-1' }],
    ])
    expect(engine.api.requests[1]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
    await engine.finish()
  })

  test('R029: an undoing that fails is a dead letter of its own, and goes on after its replay', async () => {
    let broken = true
    const undone: string[] = []
    const local = definePipeline<Lead>('local', { onFailure: 'compensate' })
      .step('first', { run: () => 'f', compensate: { run: ({ output }) => void undone.push(output), safe: true } })
      .step('second', {
        after: ['first'],
        run: ({ outputs }) => `${outputs.first}s`,
        compensate: {
          run: ({ output, input, signal }) => {
            if (broken) throw new TypeError(`cannot undo ${input.email}`)
            if (!signal.aborted) undone.push(output)
          },
          safe: true,
        },
      })
      .step('third', {
        after: ['second'],
        maxAttempts: 1,
        safe: true,
        run: () => {
          throw new Error('no')
        },
      })
    const engine = await testEngine({ pipelines: [local] })
    engine.hf.startWorker()
    await engine.hf.submit(local, { email: 'ada' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(undone).toEqual([])
    const { rows } = await engine.hf.operations.items({ pipeline: 'local:undo' })
    expect(rows.map(({ step, state }) => [step, state]).sort()).toEqual([
      ['first', 'waiting'],
      ['second', 'dead_lettered'],
    ])
    broken = false
    await engine.hf.operations.replay({ selection: { filter: { pipeline: 'local:undo' } }, by: 'test' })
    await engine.clock.runUntil(engine.hf.drain())
    expect(undone).toEqual(['fs', 'f'])
    await engine.finish()
  })

  test.for([
    ['a pipeline that does not ask for it', 'keep', false],
    ['an optional step', 'compensate', true],
  ] as const)('nothing is undone for %s', async ([_what, onFailure, optional]) => {
    const undone: string[] = []
    const kept = definePipeline('kept', { onFailure })
      .step('first', { run: () => 'f', compensate: { run: ({ output }) => void undone.push(output) } })
      .step('second', {
        after: ['first'],
        optional,
        maxAttempts: 1,
        safe: true,
        run: () => {
          throw new Error('no')
        },
      })
    const engine = await testEngine({ pipelines: [kept] })
    engine.hf.startWorker()
    await engine.hf.submit(kept, {})
    await engine.clock.runUntil(engine.hf.drain())
    await engine.clock.advance(120_000)
    expect(undone).toEqual([])
    expect((await engine.hf.operations.balance()).states).toMatchObject({ succeeded: 1, dead_lettered: 1 })
    await engine.finish()
  })

  test('who asks for it must say how', async () => {
    const mute = definePipeline('mute', { onFailure: 'compensate' }).step('only', { run: () => 1 })
    await expect(testEngine({ pipelines: [mute] })).rejects.toMatchObject({ code: 'invalid_pipeline' })
  })

  test('R029: siblings that still run are waited for, those that wait are stopped; all that was done is undone', async () => {
    const undone: string[] = []
    const undo = { run: ({ output }: { output: string }) => void undone.push(output), safe: true }
    const wide = definePipeline('wide', { onFailure: 'compensate' })
      .step('slow', {
        integration: 'crm',
        request: { method: 'PUT', path: '/slow' },
        parse: () => 'slow',
        compensate: { request: { method: 'DELETE', path: '/slow' } },
      })
      .step('quick', { run: () => 'quick', compensate: undo })
      .step('bad', {
        after: ['quick'],
        maxAttempts: 1,
        safe: true,
        run: () => {
          throw new Error('no')
        },
      })
      .step('later', { after: ['slow'], run: () => undone.push('never'), compensate: { run: () => {} } })
    const engine = await testEngine({ pipelines: [wide], reply: () => ({ status: 200, body: {}, delayMs: 5000 }) })
    engine.hf.startWorker()
    await engine.hf.submit(wide, {})
    await engine.clock.advance(4000)
    expect(undone).toEqual([])
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(undone).toEqual(['quick'])
    expect(engine.api.requests.map(({ method }) => method)).toEqual(['PUT', 'DELETE'])
    expect(balance.states).toMatchObject({ succeeded: 4, discarded: 1, cancelled: 1 })
    await engine.finish()
  })

  test('R135: where nothing was done there is nothing to undo: the dead letter can be corrected and replayed', async () => {
    const engine = await testEngine({ pipelines: [onboard] })
    let refuses = true
    engine.api.reply = () => (refuses ? { status: 422 } : { status: 201, body: { id: '7' } })
    engine.hf.startWorker()
    const { runId } = await engine.hf.submit(onboard, { email: 'ada' })
    const balance = await engine.clock.runUntil(engine.hf.drain())
    expect(balance.states).toMatchObject({ dead_lettered: 1, waiting: 3, cancelled: 0 })
    refuses = false
    await engine.hf.operations.replay({ selection: { itemIds: [`${runId}.contact`] }, by: 'test' })
    expect((await engine.clock.runUntil(engine.hf.drain())).states.succeeded).toBe(5)
    await engine.finish()
  })

  test.for([
    ['queued: it is undone all the same', false, { succeeded: 2, discarded: 1, cancelled: 0 }, ['f']],
    ['taken up: the run goes on, and is not undone', true, { succeeded: 2, discarded: 0, cancelled: 1 }, []],
  ] as const)(
    'R029: replayed in the very moment of its undoing, and %s',
    async ([_what, isTaken, states, expected]) => {
      const undone: string[] = []
      let broken = true
      const raced = definePipeline('raced', { onFailure: 'compensate' })
        .step('first', { run: () => 'f', compensate: { run: ({ output }) => void undone.push(output) } })
        .step('second', {
          after: ['first'],
          maxAttempts: 1,
          safe: true,
          run: () => {
            if (broken) throw new Error('no')
          },
        })
      const engine = await testEngine({ pipelines: [raced] })
      const worker = engine.hf.startWorker()
      engine.hf.events.on('run.accepted', ({ pipeline }) => {
        if (pipeline !== 'raced:undo') return
        broken = false
        void worker.stop()
        const nowMs = engine.clock.wallMs()
        void engine.ledger.replay([{ itemId: `${runId}.second`, by: 'ada', dueAtMs: nowMs }], nowMs)
        const channels = [{ lane: 'code/raced.second', endpoint: 'run second', limit: 1, laneConcurrency: 1 }]
        if (isTaken) void engine.ledger.claim({ workerId: 'other', nowMs, leaseUntilMs: nowMs + 1000, channels })
      })
      const { runId } = await engine.hf.submit(raced, {})
      await engine.clock.advance(60_000)
      engine.hf.startWorker()
      const balance = await engine.clock.runUntil(engine.hf.drain())
      expect(balance.states).toMatchObject(states)
      expect(undone).toEqual(expected)
      await engine.finish()
    },
  )

  test('R029: an undoing that was forgotten with its run is not done again', async () => {
    await using bed = await createTestbed({ integrations: { crm }, pipelines: [onboard], apis: { crm: { routes } } })
    await bed.hf.submit(onboard, { email: 'ada' })
    await bed.drain()
    await bed.advance('2h')
    await bed.hf.operations.retain(3_600_000)
    await bed.restart()
    await bed.advance('1h')
    expect(bed.twins.crm.effects).toHaveLength(4)
  })
})

describe('what is to be undone', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const graph = fc
    .array(fc.nat(63), { minLength: 6, maxLength: 6 })
    .map(
      (bits) =>
        new Map(names.map((name, at) => [name, names.slice(0, at).filter((_, no) => ((bits[at] ?? 0) >> no) & 1)])),
    )
  const state = fc.constantFrom('succeeded', 'dead_lettered', 'cancelled', 'waiting', 'processing', 'unknown_outcome')

  test('R029: only what is known to have succeeded, nothing twice, and nothing before what was built on it', () => {
    fc.assert(
      fc.property(
        graph,
        fc.array(state, { minLength: 6, maxLength: 6 }),
        fc.subarray(names),
        (needs, states, undoable) => {
          const items = names.map((step, at) => ({ step, itemId: `run.${step}`, state: states[at], optional: false }))
          const decision = decideUndo({ items: items as unknown as ItemSummary[], needs, undoable: new Set(undoable) })
          if (!states.includes('dead_lettered')) expect(decision.kind).toBe('nothing')
          if (decision.kind !== 'undo') return
          expect(states.some((each) => ['waiting', 'processing', 'unknown_outcome'].includes(each))).toBe(false)
          const steps = decision.steps.map(({ step }) => step)
          expect(new Set(steps).size).toBe(steps.length)
          expect([...steps].sort()).toEqual(
            names.filter((name, at) => states[at] === 'succeeded' && undoable.includes(name)),
          )
          for (const { step, after } of decision.steps) {
            for (const later of steps.filter((name) => needs.get(name)?.includes(step))) expect(after).toContain(later)
            for (const later of after) expect(steps.indexOf(later)).toBeLessThan(steps.indexOf(step))
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})
