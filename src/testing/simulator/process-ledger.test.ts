import { describe, expect, test } from 'vitest'
import { newRun } from '../../ledger/conformance/support.ts'
import type { Ledger } from '../../ledger/port.ts'
import { openSqliteLedger } from '../../ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import type { FactBody } from './fact.ts'
import { createProcessGate, type ProcessGate } from './process-gate.ts'
import { createProcessLedger } from './process-ledger.ts'
import type { StoreTrouble } from './scenario.ts'

interface Surroundings {
  readonly clock: VirtualClock
  readonly gate: ProcessGate
  /** As the process sees it. */
  readonly ledger: Ledger
  readonly facts: readonly FactBody[]
  readonly wakeUps: () => number
  /** Runs that are in the store, whatever the process knows of it. */
  stored(): Promise<number>
}

async function surrounded(
  what: StoreTrouble['what'] | undefined,
  use: (surroundings: Surroundings) => Promise<void>,
): Promise<void> {
  const clock = createVirtualClock()
  const connection = await openSqliteLedger({ path: ':memory:', clock })
  const gate = createProcessGate(() => undefined)
  const facts: FactBody[] = []
  let wakeUps = 0
  const trouble = what && { kind: 'store', atMs: 0, lastsMs: 60_000, machine: 'm1', what, share: 1, delayMs: 500 }
  const ledger = createProcessLedger({
    process: 'm1#1',
    connection,
    gate,
    record: (fact) => facts.push(fact),
    trouble: () => trouble as StoreTrouble | undefined,
    sleep: (delayMs) => clock.sleep(delayMs),
    watch: connection.watch,
    wakeOthers: () => {
      wakeUps += 1
    },
  })
  const stored = async () => (await clock.runUntil(connection.balance({}))).accepted
  await use({ clock, gate, ledger, facts, wakeUps: () => wakeUps, stored })
  await clock.runUntil(connection.close())
}

/** What has become of a call so far. */
function follow(call: Promise<unknown>): { readonly end: string } {
  const followed = { end: 'open' }
  call.then(
    () => {
      followed.end = 'done'
    },
    (error: { code: string }) => {
      followed.end = error.code
    },
  )
  return followed
}

describe('a store without trouble', () => {
  test('is the store itself; who may have work now is woken, and each call is a fact', async () => {
    await surrounded(undefined, async ({ clock, ledger, facts, wakeUps, stored }) => {
      const run = newRun()
      expect(await clock.runUntil(ledger.submit([run]))).toEqual([{ outcome: 'accepted', runId: run.id }])
      expect(await clock.runUntil(ledger.channels())).toHaveLength(1)
      expect(await stored()).toBe(1)
      expect(wakeUps()).toBe(1)
      expect(facts).toMatchObject([
        { process: 'm1#1', method: 'submit', result: [{ runId: run.id }], refused: undefined, heard: true },
        { process: 'm1#1', method: 'channels', result: [{ lane: 'crm/default' }], heard: true },
      ])
    })
  })

  test('what it refuses by itself is told as it is', async () => {
    await surrounded(undefined, async ({ clock, ledger, facts, wakeUps }) => {
      const refused = follow(ledger.submit([newRun({ items: [] })]))
      await clock.settle()
      expect(refused.end).toBe('invalid_run')
      expect(facts).toMatchObject([{ method: 'submit', result: undefined, refused: 'invalid_run', heard: true }])
      expect(wakeUps()).toBe(0)
    })
  })
})

describe('a store in trouble', () => {
  test('slow: carried out after the delay, and heard of then', async () => {
    await surrounded('slow', async ({ clock, ledger, stored }) => {
      const call = follow(ledger.submit([newRun()]))
      await clock.advance(499)
      expect([call.end, await stored()]).toEqual(['open', 0])
      await clock.advance(1)
      expect([call.end, await stored()]).toEqual(['done', 1])
    })
  })

  test('slow, and the process dies meanwhile: never carried out', async () => {
    await surrounded('slow', async ({ clock, gate, ledger, facts, stored }) => {
      const call = follow(ledger.submit([newRun()]))
      await clock.advance(100)
      gate.die()
      await clock.advance(1000)
      expect([call.end, await stored(), facts]).toEqual(['open', 0, []])
    })
  })

  test('refused: not carried out, and said so', async () => {
    await surrounded('refused', async ({ clock, ledger, facts, wakeUps, stored }) => {
      const call = follow(ledger.submit([newRun()]))
      await clock.settle()
      expect([call.end, await stored(), wakeUps()]).toEqual(['store_unavailable', 0, 0])
      expect(facts).toMatchObject([{ method: 'submit', result: undefined, refused: 'store_unavailable', heard: true }])
    })
  })

  test('outcome unknown: carried out, others hear of it, and its caller is told that it failed', async () => {
    await surrounded('outcome_unknown', async ({ clock, ledger, facts, wakeUps, stored }) => {
      const call = follow(ledger.submit([newRun()]))
      await clock.settle()
      expect([call.end, await stored(), wakeUps()]).toEqual(['store_unavailable', 1, 1])
      expect(facts).toMatchObject([{ result: [{ outcome: 'accepted' }], refused: undefined, heard: false }])
    })
  })
})

describe('a process that stands still or dies', () => {
  test('frozen: the write is carried out; the process hears of it when it wakes', async () => {
    await surrounded(undefined, async ({ clock, gate, ledger, stored }) => {
      const call = follow(ledger.submit([newRun()]))
      gate.freeze()
      await clock.settle()
      expect([call.end, await stored()]).toEqual(['open', 1])
      gate.wake()
      await clock.settle()
      expect(call.end).toBe('done')
    })
  })

  test('dies as it asks: nothing happens, and it never hears anything', async () => {
    await surrounded(undefined, async ({ clock, gate, ledger, facts, stored }) => {
      gate.dieAfter(1)
      const call = follow(ledger.submit([newRun()]))
      await clock.settle()
      expect([call.end, await stored(), facts]).toEqual(['open', 0, []])
    })
  })

  test('dies as the answer comes: it is done, and nobody was told', async () => {
    await surrounded(undefined, async ({ clock, gate, ledger, facts, stored }) => {
      gate.dieAfter(2)
      const call = follow(ledger.submit([newRun()]))
      await clock.settle()
      expect([call.end, gate.state, await stored()]).toEqual(['open', 'dead', 1])
      expect(facts).toMatchObject([{ method: 'submit', result: [{ outcome: 'accepted' }] }])
    })
  })
})
