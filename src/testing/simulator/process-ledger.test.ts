import { describe, expect, test } from 'vitest'
import { channel, claimOne, newRun, START_MS, SUCCEEDED, settle } from '../../ledger/conformance/support.ts'
import type { Ledger, StandingLease } from '../../ledger/port.ts'
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
  /** As another process sees the store, which is well. */
  readonly connection: Ledger
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
  await use({ clock, gate, ledger, connection, facts, wakeUps: () => wakeUps, stored })
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

describe('a claim that stands', () => {
  /** What it is told of, after somebody else has submitted something. */
  async function leased(
    { clock, connection, ledger }: Surroundings,
    meanwhile: () => void = () => undefined,
  ): Promise<readonly StandingLease[]> {
    const told: StandingLease[] = []
    const claim = { workerId: 'w', leaseMs: 30_000, untilMs: START_MS + 1e9, channels: [channel()] }
    const stands = follow(ledger.standClaim(claim, (lease) => told.push(lease)))
    await clock.advance(500)
    expect(stands.end).toBe('done')
    meanwhile()
    const [receipt] = await clock.runUntil(connection.submit([newRun()]))
    expect(receipt).toMatchObject({ outcome: 'accepted', isLeased: true })
    await clock.settle()
    return told
  }

  test('what is leased to it is on record as a claim of its process, and told', async () => {
    await surrounded(undefined, async (around) => {
      const told = await leased(around)
      const [lease] = told
      expect(told).toMatchObject([{ items: [{ token: 1, from: 'queued' }] }])
      const leaseUntilMs = lease?.leaseUntilMs ?? 0
      expect(around.facts).toMatchObject([
        { method: 'standClaim', request: [{ workerId: 'w' }], heard: true },
        {
          ...{
            process: 'm1#1',
            method: 'claim',
            result: lease?.items,
            refused: undefined,
            heard: true,
            isStanding: true,
          },
          request: [{ workerId: 'w', nowMs: leaseUntilMs - 30_000, leaseUntilMs, channels: [channel()] }],
        },
      ])
    })
  })

  test('what it submits itself wakes nobody where it was leased', async () => {
    await surrounded(undefined, async (around) => {
      await leased(around)
      await around.clock.runUntil(around.ledger.submit([newRun()]))
      expect(around.wakeUps()).toBe(0)
      await around.clock.runUntil(around.ledger.standClaim(TAKEN_BACK, () => undefined))
      await around.clock.runUntil(around.ledger.submit([newRun()]))
      expect(around.wakeUps()).toBe(1)
    })
  })

  test('frozen: it holds, and is heard of when the process wakes; dead: never', async () => {
    await surrounded(undefined, async (around) => {
      const told = await leased(around, around.gate.freeze)
      expect([told.length, around.facts.at(-1)]).toMatchObject([0, { method: 'claim', isStanding: true }])
      around.gate.wake()
      expect(told).toHaveLength(1)
      around.gate.die()
      await around.clock.runUntil(around.connection.submit([newRun()]))
      await around.clock.settle()
      expect([told.length, around.facts.length]).toEqual([1, 3])
    })
  })

  test('a slow store tells late, and whoever takes the claim back waits for that, for a second', async () => {
    await surrounded('slow', async (around) => {
      const told = await leased(around)
      const back = follow(around.ledger.standClaim(TAKEN_BACK, () => undefined))
      await around.clock.advance(499)
      expect([told.length, back.end]).toEqual([0, 'open'])
      await around.clock.advance(1)
      expect([told.length, back.end]).toEqual([1, 'done'])
    })
  })

  test('refused: nothing stands, and what stood still does', async () => {
    await surrounded('refused', async ({ clock, connection, ledger, facts }) => {
      const told: StandingLease[] = []
      const claim = { ...TAKEN_BACK, channels: [channel()] }
      const refused = follow(ledger.standClaim(claim, (lease) => told.push(lease)))
      await clock.settle()
      expect([refused.end, facts.length]).toEqual(['store_unavailable', 1])
      const item = await clock.runUntil(connection.submit([newRun()]).then(() => claimOne(connection)))
      await clock.runUntil(settle(connection, item, SUCCEEDED))
      expect(told).toEqual([])
    })
  })

  test('outcome unknown: it stands; what is leased to it then is lost on the way, and not waited for', async () => {
    await surrounded('outcome_unknown', async ({ clock, connection, ledger, facts }) => {
      const told: StandingLease[] = []
      const stands = follow(ledger.standClaim({ ...TAKEN_BACK, channels: [channel()] }, (lease) => told.push(lease)))
      await clock.advance(500)
      await clock.runUntil(connection.submit([newRun()]))
      await clock.advance(60_000)
      expect([stands.end, told]).toEqual(['store_unavailable', []])
      expect(facts.at(-1)).toMatchObject({ method: 'claim', isStanding: true, heard: false })
    })
  })
})

const TAKEN_BACK = { workerId: 'w', leaseMs: 30_000, untilMs: START_MS + 1e9, channels: [] }
