import { describe, expect, it } from 'vitest'
import { configurationError } from '../../core/errors.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { BadRecord, InputEntry } from './record.ts'
import { type SubmitCounts, type SubmitPlan, submitEntries } from './submit-file.ts'

/** A Holdfast that knows keys, refuses the value `bad`, and says how large each batch was. */
function memoryHoldfast() {
  const keys = new Set<string>()
  const batches: number[] = []
  let underWay = 0
  const submitMany: Holdfast['submitMany'] = async (_pipeline, records) => {
    underWay++
    expect(underWay).toBe(1)
    await Promise.resolve()
    batches.push(records.length)
    underWay--
    return records.map(({ input, options }) => {
      if ((input as unknown) === 'bad') return { ok: false, error: configurationError('refused', 'no', '') }
      const key = options?.key ?? ''
      const duplicate = keys.has(key)
      keys.add(key)
      return { ok: true, runId: key, duplicate }
    })
  }
  return { submitMany, batches, keys }
}

async function* entriesOf(values: Iterable<unknown>): AsyncGenerator<InputEntry> {
  let line = 0
  for (const value of values) {
    line++
    yield value === 'broken' ? { kind: 'bad', line, reason: 'broken' } : { kind: 'record', line, value }
  }
}

async function submit(values: Iterable<unknown>, more: Partial<SubmitPlan> = {}) {
  const holdfast = memoryHoldfast()
  const refused: BadRecord[] = []
  const counts: SubmitCounts = { read: 0, accepted: 0, known: 0, refused: 0 }
  const plan: SubmitPlan = {
    holdfast,
    pipeline: 'p',
    keyOf: async (value) => String(value),
    options: { batch: 'b' },
    signal: new AbortController().signal,
    onRefused: (refusal) => {
      refused.push(refusal)
    },
    ...more,
  }
  await submitEntries(entriesOf(values), plan, counts)
  return { holdfast, refused, counts }
}

describe('submitting a file', () => {
  it('R001: every entry is accepted, known or refused, and all are told', async () => {
    const { counts, refused, holdfast } = await submit(['a', 'b', 'broken', 'a', 'bad', 'c'])
    expect(counts).toEqual({ read: 6, accepted: 3, known: 1, refused: 2 })
    expect(refused.map(({ line, reason }) => [line, reason])).toEqual([
      [3, 'broken'],
      [5, 'no'],
    ])
    expect([...holdfast.keys]).toEqual(['a', 'b', 'c'])
  })

  it('goes in batches, one at a time', async () => {
    const { holdfast, counts } = await submit(Array.from({ length: 1201 }, (_, index) => index))
    expect(holdfast.batches).toEqual([500, 500, 201])
    expect(counts.accepted).toBe(1201)
  })

  it('large records make smaller batches', async () => {
    const large = Array.from({ length: 6 }, (_, index) => ({ text: `${index}`.repeat(2_000_000) }))
    const { holdfast } = await submit(large, { keyOf: async (value) => (value as { text: string }).text.slice(0, 1) })
    expect(Math.max(...holdfast.batches)).toBeLessThanOrEqual(3)
  })

  it('a record without a key is refused, and stops no other', async () => {
    const keyOf = async (value: unknown) => {
      if (value === 'x') throw configurationError('key_missing', 'no key', '')
      return String(value)
    }
    const { counts, refused } = await submit(['a', 'x', 'b'], { keyOf })
    expect([counts.accepted, counts.refused]).toEqual([2, 1])
    expect(refused[0]).toMatchObject({ line: 2, reason: 'no key', text: '"x"' })
  })

  it('Ctrl-C stops the reading; what was submitted stays', async () => {
    const controller = new AbortController()
    function* endless() {
      for (let index = 0; ; index++) {
        if (index === 700) controller.abort()
        yield index
      }
    }
    const { counts, holdfast } = await submit(endless(), { signal: controller.signal })
    expect(holdfast.batches).toEqual([500])
    expect(counts.accepted).toBe(500)
  })
})
