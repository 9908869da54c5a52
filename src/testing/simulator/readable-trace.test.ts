import { describe, expect, it } from 'vitest'
import type { Fact, FactBody } from './fact.ts'
import { readableTrace, timeText } from './readable-trace.ts'

const RUN_1 = '01890000-0000-7000-8000-000000000001'
const RUN_2 = '01890000-0000-7000-8000-000000000002'

function factsOf(...bodies: readonly FactBody[]): Fact[] {
  return bodies.map((body, index) => ({ no: index + 1, atMs: index * 1000, ...body }) as Fact)
}

function acknowledged(runId: string, record: string): FactBody {
  return { kind: 'acknowledged', process: 'm1#1', pipeline: 'p', record, key: record, runId, duplicate: false }
}

function settled(...itemIds: readonly string[]): FactBody {
  const settlements = itemIds.map((itemId) => ({
    itemId,
    tenant: 'default',
    token: 1,
    to: { state: 'skipped' as const, reason: '' },
  }))
  const result = itemIds.map(() => ({ outcome: 'settled' as const, state: 'skipped' as const, queued: [] }))
  return {
    kind: 'store',
    process: 'm1#1',
    method: 'settle',
    request: [settlements, 0],
    result,
    refused: undefined,
    heard: true,
  }
}

const quietPoll: FactBody = {
  kind: 'store',
  process: 'm1#1',
  method: 'channels',
  request: [],
  result: [],
  refused: undefined,
  heard: true,
}

describe('the story of a run', () => {
  const facts = factsOf(
    { kind: 'process_started', process: 'm1#1' },
    acknowledged(RUN_1, 'r1'),
    acknowledged(RUN_2, 'r2'),
    quietPoll,
    settled(`${RUN_1}.a`, `${RUN_2}.a`),
    settled(`${RUN_2}.b`),
    { kind: 'quiet' },
  )

  it('what undoes a run is part of its story', () => {
    const undoing = { id: RUN_2, pipeline: 'p:undo', input: JSON.stringify({ runId: RUN_1, outputs: {} }) }
    const submitted = {
      kind: 'store',
      process: 'm1#1',
      method: 'submit',
      request: [[undoing]],
      result: [{ outcome: 'accepted', runId: RUN_2 }],
      refused: undefined,
      heard: true,
    } as unknown as FactBody
    const lines = readableTrace(factsOf(acknowledged(RUN_1, 'r1'), submitted, settled(`${RUN_2}.a`)), { about: ['r1'] })
    expect(lines).toHaveLength(3)
    expect(lines[2]).toContain('r1.undo.a')
  })

  it('names runs after their records, and leaves out what says nothing', () => {
    const lines = readableTrace(facts)
    expect(lines).toHaveLength(facts.length - 1)
    expect(lines.join('\n')).not.toContain(RUN_1)
    expect(lines[3]).toMatch(/^\+4\.000s .*r1\.a.*r2\.a/)
  })

  it.each([[[`${RUN_2}.a`]], [['r2.a']]])('about one item, by %s: its own part of every line', (about) => {
    const lines = readableTrace(facts, { about })
    expect(lines).toHaveLength(4)
    expect(lines[2]).toContain('r2.a')
    expect(lines.join('\n')).not.toContain('r1')
    expect(lines.join('\n')).not.toContain('r2.b')
  })

  it('about one run: all its steps', () => {
    expect(readableTrace(facts, { about: ['r2'] }).join('\n')).toMatch(/r2\.a.*r2\.b/s)
  })

  it('a refused call is told whatever it was for', () => {
    const refused = factsOf({ ...quietPoll, result: undefined, refused: 'store_busy' } as FactBody)
    expect(readableTrace(refused, { about: ['r1'] })[0]).toContain('store_busy')
  })

  it('troubles are told in words', () => {
    const trouble = { kind: 'network', atMs: 0, lastsMs: 17_800, api: 'crm', what: 'lost_answer', share: 0.3 } as const
    const [line] = readableTrace(factsOf({ kind: 'trouble', what: 'began', trouble }))
    expect(line).toBe('+0.000s  trouble began: network lost_answer at crm, 30 %, for 17.8s')
  })

  it.each([
    [0, '+0.000s'],
    [63_250, '+1m03.250s'],
    [93_784_005.4, '+26h03m04.005s'],
    [59_999.9, '+1m00.000s'],
    [-1500, '-1.500s'],
  ])('%d ms is %s', (atMs, text) => {
    expect(timeText(atMs)).toBe(text)
  })
})
