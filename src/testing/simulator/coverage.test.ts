import { describe, expect, it } from 'vitest'
import { addCounts, createCoverage, troubleName } from './coverage.ts'
import type { Fact, FactBody } from './fact.ts'
import { neverExercised, REQUIRED_COVERAGE } from './required-coverage.ts'
import { testScenario } from './test-scenario.ts'

const scenario = testScenario(4, 6)

function countsOf(...bodies: readonly FactBody[]): Readonly<Record<string, number>> {
  const coverage = createCoverage(scenario)
  for (const [index, body] of bodies.entries()) coverage.observe({ no: index + 1, atMs: index, ...body } as Fact)
  return coverage.counts()
}

function store(method: string, request: readonly unknown[], result: unknown, more: object = {}): FactBody {
  return {
    kind: 'store',
    process: 'm1#1',
    method,
    request,
    result,
    refused: undefined,
    heard: true,
    ...more,
  } as FactBody
}

describe('coverage', () => {
  it('a trouble counts when it fires, not when it begins', () => {
    const [trouble] = scenario.troubles
    if (!trouble) throw new Error('no trouble')
    expect(countsOf({ kind: 'trouble', what: 'began', trouble })).not.toHaveProperty('trouble: network lost_answer')
    expect(countsOf({ kind: 'trouble', what: 'fired', trouble })).toHaveProperty('trouble: network lost_answer', 1)
  })

  it('a crash between sending and settling is seen, one after settling is not', () => {
    const sent = (itemId: string): FactBody => ({
      kind: 'sent',
      process: 'm1#1',
      call: 1,
      api: 'crm',
      method: 'POST',
      path: '/records',
      endpoint: 'POST /records',
      itemId,
      idempotencyKey: undefined,
    })
    const to = { state: 'succeeded', output: 'null' }
    const settle = store('settle', [[{ itemId: 'a.b', token: 1, to }], 0], [{ outcome: 'settled' }])
    const crash: FactBody = { kind: 'process_ended', process: 'm1#1', how: 'crashed' }
    const story = 'story: crash between sending and settling'
    expect(countsOf(sent('a.b'), sent('c.d'), settle, crash)).toHaveProperty([story], 1)
    expect(countsOf(sent('a.b'), settle, crash)).not.toHaveProperty([story])
    expect(countsOf(sent('a.b'), crash, crash)).toHaveProperty([story], 1)
  })

  it('how a look for a lost effect ended', () => {
    const look = (outcome: string, to: object, failure?: object) =>
      store('settle', [[{ itemId: 'a.b', token: 1, to, attempt: { outcome, failure } }], 0], [{ outcome: 'settled' }])
    expect(
      countsOf(
        look('reconciled', { state: 'succeeded' }),
        look('not_found', { state: 'retrying' }),
        look('reconciled', { state: 'unknown_outcome' }),
        look('reconciled', { state: 'unknown_outcome' }, { class: 'transient' }),
      ),
    ).toMatchObject({ 'look: found': 1, 'look: not there': 1, 'look: cannot tell': 1, 'look: could not look': 1 })
  })

  it('refused calls, and those done without the caller hearing of it, are counted apart', () => {
    const refused = store('claim', [{}], undefined, { refused: 'store_busy' })
    const unheard = store('claim', [{}], [], { heard: false })
    expect(countsOf(refused, unheard)).toMatchObject({
      'store: claim, refused': 1,
      'store: claim, done and not heard of': 1,
      'store: claim': 1,
    })
  })

  it('counters of several runs add up, and what is required and missing is named', () => {
    expect(addCounts({ a: 1, b: 2 }, { b: 3, c: 1 })).toEqual({ a: 1, b: 5, c: 1 })
    const all = Object.fromEntries(REQUIRED_COVERAGE.map((name) => [name, 1]))
    expect(neverExercised(all)).toEqual([])
    expect(neverExercised({ ...all, 'trouble: crash': 0 })).toEqual(['trouble: crash'])
  })

  it('every kind of trouble has a name that is required', () => {
    const wanted = new Set(REQUIRED_COVERAGE)
    for (const trouble of scenario.troubles) expect(wanted).toContain(`trouble: ${troubleName(trouble)}`)
  })
})
