/** What drawn scenarios are carried out with: pipelines, twins, the clients who submit, and the operator. In a world without checks. */
import { describe, expect, test } from 'vitest'
import { OPERATION_KINDS } from './draw/operations.ts'
import { STEP_KINDS } from './draw/pipelines.ts'
import type { Fact } from './fact.ts'
import { helpOut, planOperations } from './operator.ts'
import type { OperationPlan, RecordPlan, Scenario, StepKind, StepPlan, TroublePlan } from './scenario.ts'
import { planSubmissions, type Submitter } from './submitter.ts'
import { planTroubles } from './troubles.ts'
import { createWorld, type World } from './world.ts'

const MINUTE_MS = 60_000

interface Story {
  readonly world: World
  readonly facts: readonly Fact[]
  readonly submitter: Submitter
  states(): Promise<Record<string, number>>
  outcomes(): readonly string[]
  effectKeys(): readonly string[]
}

async function play(parts: Partial<Scenario>, use: (story: Story) => Promise<void>): Promise<void> {
  const scenario: Scenario = {
    seed: 'acting',
    busyMs: 10 * MINUTE_MS,
    machines: [{ name: 'm1', skewMs: 0, workers: 1, concurrency: 20, settings: { pollMs: 1000, leaseMs: 10_000 } }],
    apis: [{ name: 'crm', integration: integration(), latencyMs: [10, 50] }],
    pipelines: [],
    submissions: [],
    troubles: [],
    operations: [],
    ...parts,
  }
  const facts: Fact[] = []
  await using world = createWorld(scenario, (fact) => void facts.push(fact))
  await world.start()
  planTroubles(world)
  const submitter = planSubmissions(world)
  planOperations(world)
  await use({
    world,
    facts,
    submitter,
    async states() {
      const { states } = await world.view().ledger.balance({})
      return Object.fromEntries(Object.entries(states).filter(([, count]) => count > 0))
    },
    outcomes: () => facts.flatMap((fact) => (fact.kind === 'operation' ? [fact.outcome] : [])),
    effectKeys: () => facts.flatMap((fact) => (fact.kind === 'effect' ? [fact.key] : [])),
  })
  expect(world.failures).toEqual([])
}

function integration() {
  return {
    baseUrl: 'https://crm.test',
    retry: { maxAttempts: 3, base: '100ms', cap: '1s' },
    timeouts: { headers: '2s', total: '4s' },
    breaker: { consecutiveFailures: 1000, failureRate: 1 },
    endpoints: {
      'POST /keyed': { idempotency: { key: 'idempotency-key' } },
      'POST /unique': { idempotency: { natural: 'operation' } },
    },
  } as const
}

function pipeline(...steps: (Partial<StepPlan> & { readonly kind: StepKind })[]): Partial<Scenario> {
  const all = steps.map((step) => ({ name: step.kind, api: 'crm', after: [], optional: false, ...step }))
  return { pipelines: [{ name: 'onboard', steps: all }] }
}

function handIn(records: readonly Partial<RecordPlan>[], atMs = 0): Partial<Scenario> {
  const complete = records.map((record, index) => {
    const id = record.id ?? `r${index + 1}`
    return { id, entity: id, ...record }
  })
  return { submissions: [{ atMs, machine: 'm1', pipeline: 'onboard', records: complete }] }
}

function operation(what: OperationPlan['what'], atMs: number, more: Partial<OperationPlan> = {}): OperationPlan {
  return { atMs, machine: 'm1', what, pick: 0, most: 100, ...more }
}

const COMPANY = { size: 5, lingerMs: 50, atomic: false }

describe('steps of simulated pipelines', () => {
  test('each kind has its effect once, under the name of its item or its entity', async () => {
    const steps = STEP_KINDS.map((kind) => ({ kind, workMs: 10, ...(kind.startsWith('batch') && { batch: COMPANY }) }))
    await play({ ...pipeline(...steps), ...handIn([{ entity: 'e1' }, { entity: 'e2' }]) }, async (story) => {
      await story.world.clock.advance(MINUTE_MS)
      expect(await story.states()).toEqual({ succeeded: 2 * STEP_KINDS.length })
      const runs = story.facts.flatMap((fact) => (fact.kind === 'acknowledged' ? [fact.runId] : []))
      const withEffect = STEP_KINDS.filter((kind) => !['read', 'code_safe', 'post_operation'].includes(kind))
      const named = runs.flatMap((runId) => withEffect.map((kind) => `${runId}.${kind}`))
      expect(story.effectKeys().toSorted()).toEqual([...named, 'op:e1', 'op:e2'].toSorted())
      const repeatable = story.facts.flatMap((fact) => (fact.kind === 'effect' && fact.repeatable ? [fact.route] : []))
      expect(new Set(repeatable)).toEqual(new Set(['PUT /things/{id}', 'DELETE /things/{id}', 'POST /batch-things']))
    })
  })

  test.each([false, true])(
    'R121, R127: records share calls, and each ends alone (all or nothing: %s)',
    async (atomic) => {
      const steps = (['batch_put', 'batch_unsafe', 'batch_reconciled'] as const).map((kind) => ({
        kind,
        batch: { size: 20, lingerMs: 50, atomic },
      }))
      const records = Array.from({ length: 20 }, (_, index) => (index === 7 ? { refusedBy: ['batch_unsafe'] } : {}))
      await play({ ...pipeline(...steps), ...handIn(records) }, async (story) => {
        await story.world.clock.advance(5 * MINUTE_MS)
        expect(await story.states()).toEqual({ succeeded: 59, dead_lettered: 1 })
        expect(story.effectKeys()).toHaveLength(59)
        expect(new Set(story.effectKeys()).size).toBe(59)
        const calls = story.facts.flatMap((fact) => (fact.kind === 'sent' ? [fact.shared?.length ?? 0] : []))
        // Twenty are too many for one call; ten are not.
        expect(Math.max(...calls)).toBe(20)
        expect(calls).toContain(10)
      })
    },
  )

  test('an answer that was lost: repeated, refused by the twin, or looked for; never the effect twice', async () => {
    const kinds = ['post_keyed', 'post_natural', 'post_reconciled', 'post_operation'] as const
    const troubles: TroublePlan[] = [
      { kind: 'network', atMs: 0, lastsMs: 1000, api: 'crm', what: 'reset_after_executing', share: 1 },
    ]
    const all = { ...pipeline(...kinds.map((kind) => ({ kind, maxAttempts: 8 }))), ...handIn([{}, {}]), troubles }
    await play(all, async (story) => {
      await story.world.clock.advance(5 * MINUTE_MS)
      expect(await story.states()).toEqual({ succeeded: 8 })
      expect(story.effectKeys()).toHaveLength(8)
      expect(new Set(story.effectKeys()).size).toBe(8)
    })
  })

  test('records of one entity share one effect, and one that contradicts is a dead letter', async () => {
    const records = [{ entity: 'e' }, { entity: 'e' }, { entity: 'e', variant: 7 }]
    await play({ ...pipeline({ kind: 'post_operation' }), ...handIn(records) }, async (story) => {
      await story.world.clock.advance(MINUTE_MS)
      expect(story.effectKeys()).toEqual(['op:e'])
      expect(await story.states()).toEqual({ succeeded: 2, dead_lettered: 1 })
    })
  })

  test('an error with status 200, or a page, is never taken for a good answer', async () => {
    const troubles = (['error_in_200', 'html', 'empty', 'malformed'] as const).map(
      (what, index): TroublePlan => ({
        kind: 'api',
        atMs: index * MINUTE_MS,
        lastsMs: MINUTE_MS,
        api: 'crm',
        what,
        share: 1,
      }),
    )
    const submissions = troubles.flatMap(({ atMs }) => handIn([{ id: `r${atMs}` }], atMs).submissions ?? [])
    const all = { ...pipeline({ kind: 'read' }, { kind: 'put' }, { kind: 'post_unsafe' }), submissions, troubles }
    await play(all, async (story) => {
      await story.world.clock.advance(4 * MINUTE_MS)
      const states = await story.states()
      expect(states).toEqual({ dead_lettered: 8, unknown_outcome: 4 })
    })
  })

  test('code fails and hangs as planned, and the same way again', async () => {
    const steps = pipeline(
      { kind: 'code_safe', throws: 0.5, maxAttempts: 8 },
      { kind: 'code_unsafe', throws: 0.3, hangs: 0.3, timeoutMs: 500 },
      { kind: 'code_reconciled', throws: 0.3, hangs: 0.3, timeoutMs: 500, maxAttempts: 8 },
    )
    const records = handIn(Array.from({ length: 20 }, () => ({})))
    const told: unknown[] = []
    for (let time = 0; time < 2; time++) {
      await play({ ...steps, ...records }, async (story) => {
        await story.world.clock.advance(5 * MINUTE_MS)
        const states = await story.states()
        const notes = Map.groupBy(
          story.facts.flatMap((fact) => (fact.kind === 'code' ? [fact.what] : [])),
          (what) => what,
        )
        for (const what of ['started', 'threw', 'returned', 'looked'] as const) expect(notes.get(what)).toBeDefined()
        expect(states['unknown_outcome']).toBeGreaterThan(0)
        expect(states['succeeded']).toBeGreaterThan(20)
        expect(new Set(story.effectKeys()).size).toBe(story.effectKeys().length)
        told.push(story.facts)
      })
    }
    expect(told[1]).toEqual(told[0])
  })
})

describe('the clients who submit', () => {
  test('a record that comes again is known, other data under its key is refused, and each gets its answer', async () => {
    const again = { id: 'a', key: 'k1', entity: 'a' }
    const submissions = [
      ...(handIn([again, { id: 'b' }]).submissions ?? []),
      ...(handIn([again], 5000).submissions ?? []),
      ...(handIn([{ id: 'c', key: 'k1' }], 6000).submissions ?? []),
      ...(handIn([{ id: 'd', key: 'k1' }, { id: 'e' }], 7000).submissions ?? []),
    ]
    await play({ ...pipeline({ kind: 'put' }), submissions }, async ({ world, facts, submitter }) => {
      expect(submitter.waiting).toBe(6)
      await world.clock.advance(MINUTE_MS)
      expect(submitter.waiting).toBe(0)
      const acknowledged = facts.flatMap((fact) => (fact.kind === 'acknowledged' ? [fact] : []))
      expect(acknowledged.map(({ record, duplicate }) => [record, duplicate])).toEqual([
        ['a', false],
        ['b', false],
        ['a', true],
        ['e', false],
      ])
      expect(acknowledged[2]?.runId).toBe(acknowledged[0]?.runId)
    })
  })

  test('R083: what has a key comes again until it is acknowledged, whatever happens to the process', async () => {
    const troubles: TroublePlan[] = [
      { kind: 'crash', atMs: 500, machine: 'm1', crossings: 1, downMs: 20_000 },
      { kind: 'store', atMs: 20_000, lastsMs: 30_000, machine: 'm1', what: 'outcome_unknown', share: 1, delayMs: 1 },
    ]
    const records = [{ key: 'k1' }, { key: 'k2' }, { id: 'without' }]
    await play({ ...pipeline({ kind: 'put' }), ...handIn(records, 3000), troubles }, async (story) => {
      await story.world.clock.advance(3 * MINUTE_MS)
      expect(story.submitter.waiting).toBe(0)
      const acknowledged = story.facts.flatMap((fact) => (fact.kind === 'acknowledged' ? [fact] : []))
      // The third was handed in when the store was in trouble: nobody knows, and so another comes instead of it.
      expect(acknowledged.map(({ record, duplicate }) => [record, duplicate])).toEqual([
        ['r1', true],
        ['r2', true],
        ['without-instead', false],
      ])
      expect(await story.states()).toEqual({ succeeded: 4 })
    })
  })
})

describe('the operator', () => {
  test('data that an API refuses is a dead letter until it is edited', async () => {
    const operations = [
      operation('replay_dry_run', 10_000),
      operation('replay', 20_000),
      operation('replay_group', 30_000),
      operation('replay_canary', 60_000),
      operation('replay_edited', 90_000),
    ]
    const records = [{ refusedBy: ['post_keyed'] }, { refusedBy: ['post_keyed'] }, {}, { refusedBy: ['post_keyed'] }]
    await play({ ...pipeline({ kind: 'post_keyed' }), ...handIn(records), operations }, async (story) => {
      await story.world.clock.advance(50_000)
      expect(await story.states()).toEqual({ succeeded: 1, dead_lettered: 3 })
      await story.world.clock.advance(MINUTE_MS)
      expect(await story.states()).toEqual({ succeeded: 4 })
      expect(story.outcomes()).toEqual([
        'would replay 3 of 3',
        'replayed 3 of 3',
        'replayed 3 of 3',
        'replayed 3 of 3',
        'nothing to replay',
      ])
    })
  })

  test('R094: the operator says of unknown outcomes only what is true', async () => {
    const troubles: TroublePlan[] = [
      { kind: 'network', atMs: 0, lastsMs: 9000, api: 'crm', what: 'lost_answer', share: 1 },
      { kind: 'network', atMs: 10_000, lastsMs: 9000, api: 'crm', what: 'lost_request', share: 1 },
    ]
    const submissions = [
      ...(handIn([{ id: 'done' }]).submissions ?? []),
      ...(handIn([{ id: 'lost' }], 11_000).submissions ?? []),
    ]
    const operations = [
      operation('resolve_not_happened', 30_000),
      operation('resolve_happened', 40_000),
      operation('resolve_happened', 50_000),
    ]
    const all = { ...pipeline({ kind: 'post_unsafe' }), submissions, troubles, operations }
    await play(all, async (story) => {
      await story.world.clock.advance(29_000)
      expect(await story.states()).toEqual({ unknown_outcome: 2 })
      await story.world.clock.advance(MINUTE_MS)
      expect(story.outcomes()).toEqual(['sent again 1 of 1', 'confirmed 1 of 1', 'confirmed 0 of 0'])
      expect(await story.states()).toEqual({ succeeded: 2 })
      expect(new Set(story.effectKeys()).size).toBe(2)
      expect(story.effectKeys()).toHaveLength(2)
    })
  })

  test('lanes, breakers, items and memory', async () => {
    const operations = [
      operation('suspend', 0),
      operation('cancel', 2000, { most: 1 }),
      operation('explain', 3000),
      operation('resume', 4000),
      operation('discard', 20_000, { most: 1 }),
      operation('reset_breaker', 21_000),
      operation('retain', 30_000, { maxAgeMs: 1000 }),
    ]
    const records = [{}, {}, { refusedBy: ['put'] }]
    await play({ ...pipeline({ kind: 'put' }), ...handIn(records, 1000), operations }, async (story) => {
      await story.world.clock.advance(3500)
      expect(await story.states()).toEqual({ queued: 2, cancelled: 1 })
      await story.world.clock.advance(MINUTE_MS)
      expect(story.outcomes()).toMatchObject([
        'suspended 1 lanes of crm',
        'cancelled 1 of 1',
        expect.stringMatching(/./),
        'resumed 1 lanes of crm',
        expect.stringMatching(/^discarded [01] of [01]$/),
        expect.stringMatching(/^reset crm.*, which was closed$/),
        expect.stringMatching(/^forgot [23] runs and 0 effects$/),
      ])
    })
  })

  test('whatever is planned can be done where there is nothing to do, and on a machine that is down', async () => {
    const troubles: TroublePlan[] = [
      { kind: 'crash', atMs: MINUTE_MS, machine: 'm1', crossings: 1, downMs: 5 * MINUTE_MS },
    ]
    const atMs = [0, 2 * MINUTE_MS]
    const operations = atMs.flatMap((at) => OPERATION_KINDS.map((what) => operation(what, at, { maxAgeMs: 1 })))
    await play({ ...pipeline({ kind: 'put' }), operations, troubles }, async (story) => {
      await story.world.clock.advance(3 * MINUTE_MS)
      const outcomes = story.outcomes()
      expect(outcomes).toHaveLength(operations.length)
      expect(outcomes.slice(OPERATION_KINDS.length)).toEqual(OPERATION_KINDS.map(() => 'm1 is down'))
    })
  })

  test('the person of last resort resumes lanes and settles what nobody can tell, so that everything ends', async () => {
    const troubles: TroublePlan[] = [
      { kind: 'network', atMs: 0, lastsMs: 5000, api: 'crm', what: 'reset_after_executing', share: 1 },
      { kind: 'api', atMs: 10_000, lastsMs: 5000, api: 'crm', what: 'unauthorized', share: 1 },
    ]
    const submissions = [0, 11_000].flatMap((atMs) => handIn([{ id: `r${atMs}` }], atMs).submissions ?? [])
    await play({ ...pipeline({ kind: 'post_unsafe' }), submissions, troubles }, async (story) => {
      const { clock } = story.world
      await clock.advance(2 * MINUTE_MS)
      expect(await story.states()).toEqual({ unknown_outcome: 1, parked: 1 })
      expect(await clock.runUntil(helpOut(story.world))).toBe(2)
      await clock.advance(MINUTE_MS)
      expect(await story.states()).toEqual({ succeeded: 2 })
      expect(story.effectKeys()).toHaveLength(2)
      expect(await clock.runUntil(helpOut(story.world))).toBe(0)
    })
  })
})
