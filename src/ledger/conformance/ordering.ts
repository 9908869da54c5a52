import fc from 'fast-check'
import { describe, expect } from 'vitest'
import type { ItemState } from '../../core/item-state.ts'
import type { ClaimedItem, Ledger, NewItem, NewRun, NewTurn, SettledState } from '../port.ts'
import {
  behaviour,
  claim,
  claimOne,
  deadLettered,
  expectAudited,
  FAILED_ATTEMPT,
  idOf,
  LEASE_MS,
  type MakeStore,
  newItem,
  newRun,
  START_MS,
  SUCCEEDED,
  settle,
  stateOf,
  unknownOutcome,
  workOne,
} from './support.ts'

const BY = 'cli:ada'
const LATER_MS = START_MS + 60_000

export function turnOf(entity: string, parts: Partial<NewTurn> = {}): NewTurn {
  return { series: 'onboard.crm', entity, rule: 'continue', ...parts }
}

/** A run of one step that is about `entity`. */
export function runAbout(entity: string, parts: Partial<NewTurn> = {}, item: Partial<NewItem> = {}): NewRun {
  return newRun({ items: [newItem({ turn: turnOf(entity, parts), ...item })] })
}

/** Submits some in a row, of one entity. */
async function inARow(ledger: Ledger, count: number, parts: Partial<NewTurn> = {}): Promise<NewRun[]> {
  const runs = Array.from({ length: count }, () => runAbout('p1', parts))
  for (const run of runs) await ledger.submit([run])
  return runs
}

async function statesOf(ledger: Ledger, runs: readonly NewRun[]): Promise<(ItemState | undefined)[]> {
  return Promise.all(runs.map((run) => stateOf(ledger, idOf(run))))
}

/** Order per entity: {@link NewTurn} of the port. */
export function ordering(make: MakeStore): void {
  describe('order', () => {
    behaviour(
      make,
      'R116: items of an entity are worked on one at a time, as they were accepted',
      async ({ ledger }) => {
        const runs = [runAbout('p1'), runAbout('p1'), runAbout('p1')]
        await ledger.submit(runs)
        for (const [index, run] of runs.entries()) {
          const item = await claimOne(ledger)
          expect(item.itemId).toBe(idOf(run))
          const next = runs[index + 1]
          expect(await settle(ledger, item, SUCCEEDED)).toEqual({
            outcome: 'settled',
            state: 'succeeded',
            queued: next ? [idOf(next)] : [],
          })
        }
        expect(await claim(ledger)).toEqual([])
      },
    )

    behaviour(make, 'other entities, series and tenants go on, and so does what has no order', async ({ ledger }) => {
      await ledger.submit([
        runAbout('p1'),
        runAbout('p2'),
        runAbout('p1', { series: 'other.crm' }),
        { ...runAbout('p1'), tenant: 'acme' },
        newRun(),
      ])
      expect(await claim(ledger)).toHaveLength(5)
    })

    const holding: [string, SettledState][] = [
      ['retried', { state: 'retrying', dueAtMs: LATER_MS, reason: 'http_503' }],
      ['parked', { state: 'parked', dueAtMs: LATER_MS, reason: 'the breaker is open' }],
      ['looked for', unknownOutcome(LATER_MS)],
      ['of an unknown outcome that a person must tell', unknownOutcome()],
      ['in the slow lane', deadLettered({ cause: 'outage' }, LATER_MS)],
    ]
    for (const [what, to] of holding) {
      behaviour(make, `what is ${what} holds those behind it, and nobody else`, async ({ ledger }) => {
        const [, second = newRun()] = await inARow(ledger, 2)
        await workOne(ledger, to)
        await ledger.submit([runAbout('p2')])
        await workOne(ledger, SUCCEEDED)
        expect(await claim(ledger)).toEqual([])
        expect(await ledger.item(idOf(second))).toMatchObject({ state: 'waiting', dueAtMs: undefined })
      })
    }

    for (const to of [
      { state: 'skipped', reason: 'not needed' },
      { state: 'cancelled', reason: 'no longer wanted' },
    ] as const) {
      behaviour(make, `what is ${to.state} lets the next go at once`, async ({ ledger }) => {
        const [, second = newRun()] = await inARow(ledger, 2)
        expect(await settle(ledger, await claimOne(ledger), to)).toMatchObject({ queued: [idOf(second)] })
        expect((await claimOne(ledger)).itemId).toBe(idOf(second))
      })
    }

    behaviour(make, 'a lost lease keeps its turn, and who takes over has it', async ({ ledger }) => {
      const [, second = newRun()] = await inARow(ledger, 2)
      await claimOne(ledger)
      const nowMs = START_MS + LEASE_MS
      expect(await claim(ledger, { nowMs })).toEqual([])
      const [taken] = await ledger.reclaimExpired({
        workerId: 'w2',
        nowMs,
        leaseUntilMs: nowMs + LEASE_MS,
        limit: 9,
      })
      expect(await settle(ledger, taken ?? expect.fail(), SUCCEEDED, { nowMs })).toMatchObject({
        queued: [idOf(second)],
      })
    })

    behaviour(
      make,
      'one that a person cancels or discards lets the next go, from the front or the middle',
      async (test) => {
        const { ledger } = test
        const runs = await inARow(ledger, 4)
        const [first = newRun(), second = newRun(), third = newRun()] = runs
        await ledger.cancel([{ itemId: idOf(second), by: BY, reason: 'stop' }], START_MS)
        expect(await statesOf(ledger, runs)).toEqual(['queued', 'cancelled', 'waiting', 'waiting'])
        await ledger.discard([{ itemId: idOf(first), by: BY, reason: 'stop' }], START_MS)
        expect(await statesOf(ledger, runs)).toEqual(['discarded', 'cancelled', 'queued', 'waiting'])
        expect((await claimOne(await test.another())).itemId).toBe(idOf(third))
      },
    )

    behaviour(make, 'cancelling all of them in one call leaves nobody behind', async ({ ledger }) => {
      const runs = await inARow(ledger, 3)
      const orders = runs.map((run) => ({ itemId: idOf(run), by: BY, reason: 'stop' }))
      await ledger.cancel(orders, START_MS)
      expect(await statesOf(ledger, runs)).toEqual(['cancelled', 'cancelled', 'cancelled'])
      await ledger.submit([runAbout('p1')])
      await claimOne(ledger)
    })

    behaviour(make, 'a dead letter is passed, and takes the last place when it is replayed', async ({ ledger }) => {
      const runs = await inARow(ledger, 3)
      const [dead = newRun(), second = newRun(), third = newRun()] = runs
      expect(await settle(ledger, await claimOne(ledger), deadLettered())).toMatchObject({ queued: [idOf(second)] })
      expect((await ledger.item(idOf(dead)))?.turn).toMatchObject({ standing: 'passed' })
      const order = { itemId: idOf(dead), by: BY, dueAtMs: START_MS }
      expect(await ledger.replay([order], START_MS)).toEqual([
        { outcome: 'done', itemId: idOf(dead), state: 'waiting' },
      ])
      expect(await ledger.item(idOf(dead))).toMatchObject({
        counters: { replays: 1 },
        turn: { waitsFor: idOf(third) },
        deadLetter: undefined,
      })
      for (const run of [second, third, dead]) {
        expect((await workOne(ledger, SUCCEEDED)).itemId).toBe(idOf(run))
      }
    })

    behaviour(
      make,
      'a passed dead letter goes at once where nobody is before it, and can be discarded',
      async (test) => {
        const { ledger } = test
        const [first = newRun(), second = newRun()] = await inARow(ledger, 2)
        await workOne(ledger, deadLettered())
        await workOne(ledger, deadLettered())
        expect(await ledger.replay([{ itemId: idOf(first), by: BY, dueAtMs: START_MS }], START_MS)).toMatchObject([
          { state: 'queued' },
        ])
        await ledger.discard([{ itemId: idOf(second), by: BY, reason: 'wrong' }], START_MS)
        expect(await statesOf(ledger, [first, second])).toEqual(['queued', 'discarded'])
        await workOne(ledger, SUCCEEDED)
      },
    )

    behaviour(
      make,
      'with `hold` a dead letter holds, until it is replayed and ends, or discarded',
      async ({ ledger }) => {
        const runs = await inARow(ledger, 3, { rule: 'hold' })
        const [first = newRun(), second = newRun()] = runs
        await workOne(ledger, deadLettered())
        expect(await claim(ledger)).toEqual([])
        await ledger.replay([{ itemId: idOf(first), by: BY, dueAtMs: START_MS }], START_MS)
        expect(await statesOf(ledger, runs)).toEqual(['queued', 'waiting', 'waiting'])
        await workOne(ledger, SUCCEEDED)
        await workOne(ledger, deadLettered())
        await ledger.discard([{ itemId: idOf(second), by: BY, reason: 'wrong' }], START_MS)
        expect(await statesOf(ledger, runs)).toEqual(['succeeded', 'discarded', 'queued'])
      },
    )

    behaviour(make, 'a verdict on an unknown outcome moves the line on', async ({ ledger }) => {
      const runs = await inARow(ledger, 3)
      const [first = newRun(), second = newRun()] = runs
      await workOne(ledger, unknownOutcome())
      await ledger.resolve([{ itemId: idOf(first), by: BY, output: 'null', reason: 'seen' }], START_MS)
      expect(await statesOf(ledger, runs)).toEqual(['succeeded', 'queued', 'waiting'])
      await workOne(ledger, unknownOutcome())
      await ledger.replay([{ itemId: idOf(second), by: BY, dueAtMs: START_MS, knownNotApplied: true }], START_MS)
      expect(await statesOf(ledger, runs)).toEqual(['succeeded', 'queued', 'waiting'])
    })

    behaviour(make, 'an item waits for its steps and for its turn, whichever comes last', async ({ ledger }) => {
      const late = { items: [newItem({ step: 'a', lane: 'a' }), newItem({ after: ['a'], turn: turnOf('p1') })] }
      const [first, second] = [newRun(late), newRun(late)]
      await ledger.submit([first, second])
      const [a1, a2] = await claim(ledger, { lane: 'a' })
      // The second is ready first, but it is not its turn.
      expect(await settle(ledger, a2 ?? expect.fail(), SUCCEEDED)).toMatchObject({ queued: [] })
      expect(await claim(ledger)).toEqual([])
      expect(await settle(ledger, a1 ?? expect.fail(), SUCCEEDED)).toMatchObject({ queued: [idOf(first, 'crm')] })
      await workOne(ledger, SUCCEEDED)
      expect((await workOne(ledger, SUCCEEDED)).itemId).toBe(idOf(second, 'crm'))
    })

    behaviour(make, 'what a cancelled step takes along gives its turn away too', async ({ ledger }) => {
      const run = newRun({ items: [newItem({ step: 'a', lane: 'a' }), newItem({ after: ['a'], turn: turnOf('p1') })] })
      const next = runAbout('p1')
      await ledger.submit([run, next])
      expect(await claim(ledger)).toEqual([])
      await ledger.cancel([{ itemId: idOf(run, 'a'), by: BY, reason: 'stop' }], START_MS)
      expect((await claimOne(ledger)).itemId).toBe(idOf(next))
    })

    behaviour(make, 'two steps of a run in one order go as the run says', async ({ ledger }) => {
      const turn = turnOf('p1')
      const run = newRun({ items: [newItem({ step: 'a', turn }), newItem({ step: 'b', after: ['a'], turn })] })
      await ledger.submit([run])
      expect((await workOne(ledger, SUCCEEDED)).step).toBe('a')
      expect((await workOne(ledger, SUCCEEDED)).step).toBe('b')
    })

    behaviour(make, 'a known key takes no place', async ({ ledger }) => {
      const run = runAbout('p1')
      await ledger.submit([run])
      const again = { ...runAbout('p1'), key: run.key ?? '' }
      expect(await ledger.submit([again])).toEqual([{ outcome: 'duplicate', runId: run.id }])
      await workOne(ledger, SUCCEEDED)
      await ledger.submit([runAbout('p1')])
      await claimOne(ledger)
    })

    behaviour(make, 'an item says whose turn it is, behind whom, and how many wait for it', async ({ ledger }) => {
      const [first = newRun(), second = newRun(), third = newRun()] = await inARow(ledger, 3)
      expect((await ledger.item(idOf(first)))?.turn).toEqual({
        series: 'onboard.crm',
        entity: 'p1',
        rule: 'continue',
        standing: 'has_turn',
        waitsFor: undefined,
        behind: 2,
      })
      expect(await ledger.item(idOf(third))).toMatchObject({
        reason: expect.stringContaining('"p1"'),
        turn: { standing: 'waits', waitsFor: idOf(second), behind: 0 },
      })
      await workOne(ledger, SUCCEEDED)
      expect((await ledger.item(idOf(first)))?.turn).toBeUndefined()
    })

    behaviour(make, 'a given time is waited for when the turn comes early', async ({ ledger }) => {
      const [first, second] = [runAbout('p1'), runAbout('p1', {}, { dueAtMs: LATER_MS })]
      await ledger.submit([first, second])
      await workOne(ledger, SUCCEEDED)
      expect(await ledger.item(idOf(second))).toMatchObject({ state: 'queued', dueAtMs: LATER_MS })
    })

    behaviour(
      make,
      'an edited payload may be about another entity: it takes the last place there',
      async ({ ledger }) => {
        const [wrong, right] = [runAbout('p1'), runAbout('p2')]
        await ledger.submit([wrong])
        await workOne(ledger, deadLettered())
        await ledger.submit([right, runAbout('p1')])
        const order = { itemId: idOf(wrong), by: BY, dueAtMs: START_MS, editedInput: '{"id":"p2"}', turn: turnOf('p2') }
        expect(await ledger.replay([order], START_MS)).toMatchObject([{ outcome: 'done', state: 'waiting' }])
        expect((await ledger.item(idOf(wrong)))?.turn).toMatchObject({ entity: 'p2', waitsFor: idOf(right) })
        expect(await claim(ledger)).toHaveLength(2)
      },
    )

    behaviour(
      make,
      'R069: two connections, any order of calls: never two at a time, never out of order',
      async (test) => {
        const ledgers = [test.ledger, await test.another()]
        let series = 0
        const step = fc.record({
          what: fc.constantFrom('submit', 'claim', 'succeed', 'retry', 'fail', 'replay', 'cancel', 'together'),
          ledger: fc.nat(1),
          entity: fc.constantFrom('p1', 'p2'),
          which: fc.nat(5),
        })
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
            const bench = createBench(ledgers, `any.${++series}`)
            for (const { what, ledger, entity, which } of steps) await bench[what](ledger, entity, which)
            await bench.drain()
          }),
          { numRuns: 15, seed: 116 },
        )
        await expectAudited(test.ledger)
      },
    )
  })
}

/** Does things to the items of one series and checks what it is given: the newest of an entity that began is the latest. */
function createBench(ledgers: readonly Ledger[], series: string) {
  const lane = `lane/${series}`
  const held: ClaimedItem[] = []
  const dead: string[] = []
  const entityOf = new Map<string, string>()
  const expected = new Map<string, string[]>()
  const at = (index: number) => ledgers[index % ledgers.length] ?? (ledgers[0] as Ledger)
  const line = (entity: string) => expected.get(entity) ?? expected.set(entity, []).get(entity) ?? []

  function enter(itemId: string, entity: string): void {
    entityOf.set(itemId, entity)
    line(entity).push(itemId)
  }

  async function submit(index: number, entity: string): Promise<void> {
    const run = newRun({ items: [newItem({ lane, turn: turnOf(entity, { series }) })] })
    enter(idOf(run), entity)
    await at(index).submit([run])
  }

  function begun(items: readonly ClaimedItem[]): void {
    for (const item of items) {
      const entity = entityOf.get(item.itemId) ?? expect.fail()
      expect(item.itemId).toBe(line(entity)[0])
      expect(held.filter((other) => entityOf.get(other.itemId) === entity)).toEqual([])
      held.push(item)
    }
  }

  async function end(index: number, which: number, to: SettledState): Promise<void> {
    const [item] = held.splice(which % Math.max(1, held.length), 1)
    if (!item) return
    const entity = entityOf.get(item.itemId) ?? ''
    if (to.state !== 'retrying') line(entity).splice(line(entity).indexOf(item.itemId), 1)
    if (to.state === 'dead_lettered') dead.push(item.itemId)
    const attempt = to.state === 'succeeded' ? {} : { attempt: FAILED_ATTEMPT }
    expect(await settle(at(index), item, to, attempt)).toMatchObject({ outcome: 'settled' })
  }

  const claimAll = async (index: number) => begun(await claim(at(index), { lane }))
  const bench = {
    submit,
    claim: claimAll,
    succeed: (index: number, _: string, which: number) => end(index, which, SUCCEEDED),
    retry: (index: number, _: string, which: number) =>
      end(index, which, { state: 'retrying', dueAtMs: START_MS, reason: 'http_503' }),
    fail: (index: number, _: string, which: number) => end(index, which, deadLettered()),
    async replay(index: number) {
      const itemId = dead.shift()
      if (itemId === undefined) return
      enter(itemId, entityOf.get(itemId) ?? '')
      await at(index).replay([{ itemId, by: BY, dueAtMs: START_MS }], START_MS)
    },
    async cancel(index: number, entity: string, which: number) {
      const open = line(entity).filter((itemId) => held.every((item) => item.itemId !== itemId))
      const itemId = open[which % Math.max(1, open.length)]
      if (itemId === undefined) return
      line(entity).splice(line(entity).indexOf(itemId), 1)
      await at(index).cancel([{ itemId, by: BY, reason: 'stop' }], START_MS)
    },
    /** An end and a newcomer of the same entity at the same time: whoever is second must not be left behind. */
    async together(index: number, entity: string, which: number) {
      await Promise.all([end(index, which, SUCCEEDED), submit(index + 1, entity)])
    },
    async drain() {
      for (let turn = 0; [...expected.values()].some((left) => left.length > 0); turn++) {
        expect(turn).toBeLessThan(200)
        await claimAll(turn)
        await end(turn, 0, SUCCEEDED)
      }
    },
  }
  return bench
}
