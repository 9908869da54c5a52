import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createVirtualClock } from '../../src/testing/virtual-clock.ts'
import { SIMULATOR_CHECKS } from '../../tools/simulation/orders.ts'
import { openPool } from '../../tools/simulation/pool.ts'

const program = fileURLToPath(new URL('support/stubborn-child.ts', import.meta.url))

describe('processes that simulate', () => {
  test('one that hangs is killed and one that dies is replaced: the rest goes on', async () => {
    const clock = createVirtualClock()
    using pool = openPool({ clock, jobs: 2, program })
    const hanging = pool.run({ scenario: 'hangs' })
    const others = await Promise.all(['1', 'dies', '2'].map((scenario) => pool.run({ scenario })))
    expect(others.map(({ seed, violations }) => [seed, violations[0]?.check])).toEqual([
      ['1', undefined],
      ['dies', SIMULATOR_CHECKS.broken],
      ['2', undefined],
    ])
    await clock.advance(60_000)
    expect((await hanging).violations).toMatchObject([
      { check: SIMULATOR_CHECKS.hung, message: 'no answer for 60 s of real time: its process was killed' },
    ])
    expect((await pool.run({ scenario: '3' })).violations).toEqual([])
  })

  test('never more at once than asked for, and each is used again', async () => {
    using pool = openPool({ clock: createVirtualClock(), jobs: 2, program })
    const orders = Array.from({ length: 20 }, (_, index) => ({ scenario: String(index) }))
    const reports = await Promise.all(orders.map(pool.run))
    expect(new Set(reports.map(({ summary }) => summary)).size).toBe(2)
  })
})
