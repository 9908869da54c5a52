import { describe, expect, it } from 'vitest'
import type { BenchCase } from '../../bench/support/bench-case.ts'
import type { Measured } from '../../bench/support/stopwatch.ts'
import { ratiosOf, spreadOf, toMarkdown } from '../../bench/support/summary.ts'

const CASE: BenchCase = {
  group: 'ledger',
  name: 'add',
  shownAs: 'operations per second',
  contenders: [],
  comparisons: [{ contender: 'ours', against: 'theirs', atLeast: 0.5 }],
}

describe('summary', () => {
  it('takes the middle of an odd and of an even number of values', () => {
    expect(spreadOf([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 })
    expect(spreadOf([4, 1, 2, 9])).toEqual({ median: 3, min: 1, max: 9 })
  })

  it('compares each repetition with its neighbour in time, and takes the median of the ratios', () => {
    const measurements = new Map([
      ['ours', [measured(100), measured(50), measured(90)]],
      ['theirs', [measured(200), measured(25), measured(100)]],
    ])
    const [ratio] = ratiosOf({ case: CASE, measurements })
    expect(ratio).toMatchObject({ spread: { median: 0.9, min: 0.5, max: 2 } })
  })

  it('says where an expectation is not met, and where neighbours disturbed a figure', () => {
    const measurements = new Map([
      ['ours', [measured(40, 0.9)]],
      ['theirs', [measured(100)]],
    ])
    const text = toMarkdown([{ case: CASE, measurements }])
    expect(text).toContain('| add | ours | theirs | 0.40 | at least 0.5: NOT MET |')
    expect(text).toContain('0.90 (disturbed)')
  })
})

function measured(perSecond: number, foreignCores = 0): Measured {
  return { operations: perSecond, elapsedMs: 1000, cpuMs: 500, helperCpuMs: 0, foreignCores }
}
