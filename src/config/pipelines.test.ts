import { describe, expect, it } from 'vitest'
import { isHoldfastError } from '../core/errors.ts'
import type { ConfiguredStep } from './loaded.ts'
import { resolveConfig } from './resolve.ts'

const crm = { baseUrl: 'https://api.example.com' }
const get = { method: 'GET', path: '/x' }

function steps(written: Record<string, unknown>): [string, ConfiguredStep][] {
  const input = { integrations: { crm }, pipelines: { p: { steps: written } } }
  const config = resolveConfig(input, { env: {}, baseDirectory: '/' })
  return [...(config.pipelines[0]?.steps ?? [])]
}

function step(written: Record<string, unknown>): ConfiguredStep {
  const [only] = steps({ s: { integration: 'crm', ...written } })
  if (!only) throw new Error('no step')
  return only[1]
}

function problemsIn(written: Record<string, unknown>): string[] {
  try {
    steps(written)
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    const problems = error.details['problems'] as { path: string; message: string }[]
    return problems.map(({ path, message }) => `${path}: ${message}`)
  }
  return []
}

const look = { firstTriedAtMs: 0 }
const context = {
  input: { email: 'a@b.c', phone: undefined, company: { name: 'Acme' } },
  outputs: { score: { points: 12 } },
  key: 'k1',
  labels: { campaign: 'spring' },
  tenant: 'default',
  runId: 'r1',
  idempotencyKey: 'i1',
  correlationId: 'c1',
}

describe('declarative pipelines', () => {
  it('steps stand after those they need, in whatever order they are written', () => {
    const written = {
      enrol: { integration: 'crm', request: get, after: ['create', 'score'] },
      create: { integration: 'crm', request: get, after: ['score'] },
      score: { integration: 'crm', request: get, optional: true },
    }
    expect(steps(written).map(([name, { after, optional }]) => [name, after, optional])).toEqual([
      ['score', [], true],
      ['create', ['score'], false],
      ['enrol', ['create', 'score'], false],
    ])
  })

  it('a request is filled in from the record, the labels and the steps before', async () => {
    const { request } = step({
      request: {
        method: 'PUT',
        path: '/companies/{company}/people/{key}',
        params: { company: '{{ input.company.name }}', key: '{{ key }}' },
        query: { campaign: '{{ labels.campaign }}', phone: '{{ input.phone }}', dry: false },
        headers: { 'x-run': 'run {{ runId }}', 'idempotency-key': '{{ idempotencyKey }}' },
        body: { mail: '{{ input.email }}', points: '{{ outputs.score.points }}', none: '{{ input.phone }}' },
      },
    })
    expect([request.method, request.path]).toEqual(['PUT', '/companies/{company}/people/{key}'])
    expect(await request.params?.(context)).toEqual({ company: 'Acme', key: 'k1' })
    expect(await request.query?.(context)).toEqual({ campaign: 'spring', dry: false })
    expect(await request.headers?.(context)).toEqual({ 'x-run': 'run r1', 'idempotency-key': 'i1' })
    expect(await request.body?.(context)).toEqual({ mail: 'a@b.c', points: 12 })
  })

  it('one expression for all values is refused with what to write instead', () => {
    const request = { method: 'PUT', path: '/people/{id}', params: '{{ input }}', query: '{{ input }}', headers: 'x' }
    const problems = problemsIn({ create: { integration: 'crm', request } })
    expect(problems).toEqual([
      expect.stringMatching(
        /request\.params: expected an object, each name with its own value, such as \{ id: "\{\{ input\.id \}\}" \}; one/,
      ),
      expect.stringMatching(/request\.query: expected an object.*email/),
      expect.stringMatching(/request\.headers: expected an object, each header with its own value/),
    ])
  })

  it('R094 R095: reconcile looks, and `found` tells the effect or that there is none', async () => {
    const { reconcile } = step({
      request: { method: 'POST', path: '/people', body: '{{ input }}' },
      reconcile: {
        request: { method: 'GET', path: '/people', query: { email: '{{ input.email }}' } },
        found: '{{ answer.data.people[email = $$.input.email][0] }}',
      },
    })
    const answer = (people: object[]) => ({ status: 200, headers: {}, data: { people } })
    expect(await reconcile?.match(answer([{ email: 'x' }, { email: 'a@b.c', id: 9 }]), context, look)).toEqual({
      email: 'a@b.c',
      id: 9,
    })
    expect(await reconcile?.match(answer([{ email: 'x' }]), context, look)).toBeUndefined()
  })

  it('R094: one line says where to look; `externalId` reads the id; looks and delay are its own', async () => {
    const { reconcile } = step({
      request: get,
      reconcile: {
        get: '/people/{{ input.email }}?fields=id',
        found: '{{ answer.data }}',
        externalId: '{{ found.id }}',
        looks: 3,
        delay: '1m',
      },
    })
    expect(reconcile).toMatchObject({ looks: 3, delay: 60_000, request: { method: 'GET', path: '/people/{value1}' } })
    expect(await reconcile?.request.params?.(context)).toEqual({ value1: 'a@b.c' })
    expect(await reconcile?.request.query?.(context)).toEqual({ fields: 'id' })
    const answer = { status: 200, headers: {}, data: { id: 9 } }
    expect(await reconcile?.externalId?.({ id: 9 }, context, answer)).toBe('9')
    expect(await reconcile?.externalId?.({}, context, answer)).toBeUndefined()
  })

  it('R095: of a list of the newest records, the one that matches and was made since the first try', async () => {
    const { reconcile } = step({
      request: get,
      reconcile: {
        get: '/orders',
        found: '{{ answer.data.orders[email = $$.input.email] }}',
        newestFirst: { records: '{{ answer.data.orders }}', createdAt: 'record.at', within: '1m' },
      },
    })
    const tried = { firstTriedAtMs: 1_800_000_000_000 }
    const order = (seconds: number, email = 'a@b.c') => ({ email, at: 1_800_000_000 + seconds })
    const answer = (orders: object[]) => ({ status: 200, headers: {}, data: { orders } })
    const match = (orders: object[]) => reconcile?.match(answer(orders), context, tried)
    expect(await match([order(5), order(3, 'x'), order(-90)])).toEqual(order(5))
    expect(await match([order(3, 'x'), order(-90)])).toBeUndefined()
    await expect(match([order(3, 'x'), order(2, 'y')])).rejects.toMatchObject({ code: 'reconcile_cannot_tell' })
    await expect(match([order(5), order(6)])).rejects.toMatchObject({ code: 'reconcile_cannot_tell' })
  })

  it.each([['{{ null }}'], ['{{ false }}'], ['{{ answer.data.nothing }}']])(
    '`found: %s` means: not there',
    async (found) => {
      const { reconcile } = step({ request: get, reconcile: { request: get, found } })
      expect(await reconcile?.match({ status: 200, headers: {}, data: {} }, context, look)).toBeUndefined()
    },
  )

  it('rule 3: a whole body is not taken for a part of a list: JSONata would find what is not there', async () => {
    const answer = (data: unknown) => ({ status: 200, headers: {}, data })
    const first = step({ request: get, reconcile: { request: get, found: '{{ answer.data[0] }}' } }).reconcile
    await expect(first?.match(answer({ results: [] }), context, look)).rejects.toMatchObject({
      code: 'reconcile_unclear',
    })
    expect(await first?.match(answer([]), context, look)).toBeUndefined()
    expect(await first?.match(answer([{ id: 1 }]), context, look)).toEqual({ id: 1 })
    const whole = step({ request: get, reconcile: { request: get, found: '{{ answer.data }}' } }).reconcile
    expect(await whole?.match(answer({ id: 1 }), context, look)).toEqual({ id: 1 })
    expect(await whole?.match(answer([]), context, look)).toBeUndefined()
  })

  it('output reads the answer; without it the engine decides', async () => {
    const { parse } = step({ request: get, output: '{{ answer.data.id & "-" & input.email }}' })
    expect(await parse?.({ status: 200, headers: {}, data: { id: 5 } }, context)).toBe('5-a@b.c')
    expect(step({ request: get })).not.toHaveProperty('parse')
  })

  it('D17: operation names the operation, and a record without a name is refused', async () => {
    const { operation } = step({ request: get, operation: '{{ input.email }}' })
    expect(await operation?.(context)).toBe('a@b.c')
    await expect(operation?.({ ...context, input: {} })).rejects.toMatchObject({ code: 'operation_without_name' })
  })

  it('a step may override attempts, age and idempotency', () => {
    expect(
      step({ request: get, maxAttempts: 2, maxAge: '15m', idempotency: { key: 'Idempotency-Key', lifetime: '1h' } }),
    ).toMatchObject({
      maxAttempts: 2,
      maxAge: 900_000,
      idempotency: { kind: 'key', header: 'Idempotency-Key', lifetimeMs: 3_600_000 },
    })
  })

  it('R029: a compensation sees what its step gave', async () => {
    const request = { method: 'DELETE', path: '/x/{id}', params: { id: '{{ output.id }}' }, body: '{{ input.email }}' }
    const { compensate } = step({ request: get, compensate: { request, idempotency: 'safe' } })
    expect(compensate?.idempotency).toEqual({ kind: 'safe' })
    expect(await compensate?.request.params?.({ ...context, output: { id: 7 } })).toEqual({ id: 7 })
    expect(await compensate?.request.body?.({ ...context, output: { id: 7 } })).toBe('a@b.c')
    const pipelines = { p: { onFailure: 'compensate', steps: { s: { integration: 'crm', request: get } } } }
    const config = resolveConfig(
      { integrations: { crm }, pipelines: pipelines as never },
      { env: {}, baseDirectory: '/' },
    )
    expect(config.pipelines[0]?.onFailure).toBe('compensate')
  })

  it('R121: a batch is written with sizes and durations as people write them', () => {
    const batch = { size: 100, bytes: '500KB', linger: '2s', shape: 'hubspot' }
    expect(step({ request: get, batch }).batch).toEqual({ size: 100, bytes: 500_000, linger: 2000, shape: 'hubspot' })
    expect(step({ request: get, batch: { size: 10, linger: '0s' } }).batch).toEqual({ size: 10, linger: 0 })
  })

  it.each<[string, Record<string, unknown>, string]>([
    [
      'a batch shape that is not there',
      { s: { integration: 'crm', request: get, batch: { size: 10, shape: 'hubspt' } } },
      'pipelines.p.steps.s.batch.shape: expected one of hubspot',
    ],
    [
      'a compensation whose path has a place without a value',
      { s: { integration: 'crm', request: get, compensate: { request: { method: 'DELETE', path: '/x/{id}' } } } },
      'pipelines.p.steps.s.compensate.request.params: "{id}" of the path has no value here',
    ],
    [
      'a batch without a size',
      { s: { integration: 'crm', request: get, batch: { shape: 'hubspot' } } },
      'pipelines.p.steps.s.batch.size',
    ],
    [
      'an unknown integration',
      { s: { integration: 'crn', request: get } },
      'pipelines.p.steps.s.integration: there is no integration "crn"; did you mean "crm"?',
    ],
    [
      'an integration far from any',
      { s: { integration: 'billing', request: get } },
      'there is no integration "billing"; there are: crm',
    ],
    [
      'a step that is not there',
      { a: { integration: 'crm', request: get, after: ['scor'] }, score: { integration: 'crm', request: get } },
      'pipelines.p.steps.a.after[0]: there is no step "scor" in this pipeline; did you mean "score"?',
    ],
    [
      'steps that wait for each other',
      { a: { integration: 'crm', request: get, after: ['b'] }, b: { integration: 'crm', request: get, after: ['a'] } },
      'the steps wait for each other: a -> b -> a',
    ],
    [
      'a step that waits for itself',
      { a: { integration: 'crm', request: get, after: ['a'] } },
      'wait for each other: a -> a',
    ],
    [
      'a path parameter without value',
      { s: { integration: 'crm', request: { method: 'GET', path: '/x/{id}' } } },
      's.request.params: "{id}" of the path has no value here',
    ],
    [
      'a value without a place',
      { s: { integration: 'crm', request: { method: 'GET', path: '/x/{id}', params: { id: 1, idd: 2 } } } },
      's.request.params.idd: the path has no "{idd}"',
    ],
    [
      'an expression in the path',
      { s: { integration: 'crm', request: { method: 'GET', path: '/x/{{input.id}}' } } },
      'expressions cannot stand in a path',
    ],
    [
      'a wrong expression',
      { s: { integration: 'crm', request: { ...get, body: { a: ['{{ input. }}'] } } } },
      's.request.body: "input." is not a usable JSONata expression',
    ],
    ['a wrong output', { s: { integration: 'crm', request: get, output: '{{ ( }}' } }, 's.output: "(" is not a usable'],
    ['no steps', {}, 'pipelines.p.steps: expected at least one step'],
    [
      'a method that is none',
      { s: { integration: 'crm', request: { method: 'get', path: '/x' } } },
      'got "get"; did you mean "GET"?',
    ],
    [
      'an unknown part',
      { s: { integration: 'crm', request: get, retries: 3 } },
      'pipelines.p.steps.s.retries: unknown key; known here: integration, request',
    ],
  ])('refuses %s', (_what, written, message) => {
    expect(problemsIn(written).join('\n')).toContain(message)
  })
})

describe('order and supersede (R116)', () => {
  it('are read from the record, as it is accepted', async () => {
    const ordered = step({ request: get, order: '{{ input.email }}' })
    expect(await ordered.order?.by(context)).toBe('a@b.c')
    const holding = step({ request: get, order: { by: 'input.company.name', afterDeadLetter: 'hold' } })
    expect([await holding.order?.by(context), holding.order?.afterDeadLetter]).toEqual(['Acme', 'hold'])
    const superseding = step({ request: get, supersede: { by: '{{ key }}', version: '{{ input.version }}' } })
    expect(await superseding.supersede?.by(context)).toBe('k1')
    expect(await superseding.supersede?.version?.({ ...context, input: { version: 7 } })).toBe(7)
    expect(step({ request: get, supersede: { by: 'key' } }).supersede).not.toHaveProperty('version')
  })

  it('what cannot be known when a record is accepted is refused', () => {
    expect(problemsIn({ s: { integration: 'crm', request: get, order: '{{ outputs.score.id }}' } })).toEqual([
      expect.stringMatching(/^pipelines\.p\.steps\.s\.order: .*"outputs" of steps are not known then/),
    ])
    expect(problemsIn({ s: { integration: 'crm', request: get, order: 'input.outputs' } })).toEqual([])
  })

  it.each([
    [{ order: { by: 'key', afterDeadLetter: 'stop' } }, 'afterDeadLetter'],
    [{ supersede: { version: '{{ input.version }}' } }, 'supersede.by'],
    [{ supersede: { by: 'key' }, order: 'key' }, 'leave out "order"'],
    [{ supersede: { by: 'key' }, compensate: { request: get } }, 'would overwrite the newer one'],
    [{ supersede: { by: '{{ input.' } }, 'is not a usable JSONata expression'],
  ])('%j is refused', (written, words) => {
    expect(problemsIn({ s: { integration: 'crm', request: get, ...written } }).join()).toContain(words)
  })
})
