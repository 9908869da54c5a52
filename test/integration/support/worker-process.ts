/**
 * A worker as a process of its own: works on the store it is told, and reports what it does. SIGTERM ends it gracefully.
 * Started by `startWorkerProcess`.
 */

import { createUndiciTransport } from '../../../src/client/wire/undici-transport.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { EventOf, EventSource } from '../../../src/core/events.ts'
import type { Holdfast } from '../../../src/engine/api.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import type { AnyPipeline } from '../../../src/engine/pipelines/pipeline.ts'
import { openSqliteLedger } from '../../../src/ledger/sqlite/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import { systemRandom } from '../../../src/system/system-random.ts'
import { integrations, onboard } from './kill-pipeline.ts'

export interface WorkerOrders {
  readonly storePath: string
  readonly url: string
  readonly leaseMs: number
  readonly concurrency: number
  /** Submitted once it is there, one after the other, while it works. */
  readonly submit?: readonly string[]
}

/**
 * Stop like a process that gets no processor any more, so many claims and turns of the event loop from now. By itself, so
 * that it is between two turns: a process that stands still in the middle of a commit keeps the file locked for everybody,
 * and one that stands still between its last look at its lease and the write to the socket, microseconds later, will write.
 */
export interface StandStill {
  readonly afterClaims: number
  readonly turns: number
}

export type WorkerReport =
  | { readonly type: 'ready' }
  | { readonly type: 'claimed'; readonly itemId: string; readonly claim: number }
  | { readonly type: 'settled'; readonly itemId: string }
  | { readonly type: 'lease_lost'; readonly itemId: string; readonly claim: number }
  | { readonly type: 'trouble'; readonly where: string; readonly message: string }
  | { readonly type: 'standing_still' }
  | { readonly type: 'submitted'; readonly accepted: number; readonly known: number }
  /** After graceful shutdown, the last. */
  | { readonly type: 'stopped' }

/** The engine of the kill tests: real time, network and store, short leases and pauses. */
export async function openKillEngine(orders: Omit<WorkerOrders, 'submit'>): Promise<Holdfast> {
  const config = resolveConfig(
    { integrations: integrations(orders.url), pipelines: [onboard] },
    { env: {}, baseDirectory: '/' },
  )
  return createEngine({
    clock: systemClock,
    random: systemRandom,
    ledger: await openSqliteLedger({ path: orders.storePath, clock: systemClock }),
    transport: createUndiciTransport({ clock: systemClock }),
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
    settings: {
      leaseMs: orders.leaseMs,
      pollMs: 50,
      concurrency: orders.concurrency,
      reconcileDelayMs: 60,
      // However often an item loses its worker here, it is never the item's fault.
      maxCrashes: 1_000_000,
    },
  })
}

async function work(orders: WorkerOrders): Promise<void> {
  const holdfast = await openKillEngine(orders)
  const { events } = holdfast
  events.on('item.claimed', ({ itemId, claim }) => report({ type: 'claimed', itemId, claim }))
  events.on('item.settled', ({ itemId }) => report({ type: 'settled', itemId }))
  events.on('item.lease_lost', ({ itemId, claim }) => report({ type: 'lease_lost', itemId, claim }))
  events.on('engine.trouble', ({ where, message }: EventOf<'engine.trouble'>) =>
    report({ type: 'trouble', where, message }),
  )
  const worker = holdfast.startWorker()
  process.once('SIGTERM', async () => {
    await worker.stop()
    await holdfast.close()
    process.send?.({ type: 'stopped' } satisfies WorkerReport, () => process.exit(0))
  })
  // Holds the process open while it waits for work, and ends it with the test that started it.
  process.once('disconnect', () => process.exit())
  process.on('message', (order: StandStill) => standStillLater(events, order))
  report({ type: 'ready' })
  if (orders.submit) report(await submitOneByOne(holdfast, orders.submit))
}

function standStillLater(events: EventSource, { afterClaims, turns }: StandStill): void {
  let claimsLeft = afterClaims
  const listening = events.on('item.claimed', () => {
    claimsLeft--
    if (claimsLeft > 0) return
    listening[Symbol.dispose]()
    turnsLater(turns, () => {
      report({ type: 'standing_still' })
      process.kill(process.pid, 'SIGSTOP')
    })
  })
}

function turnsLater(turns: number, act: () => void): void {
  systemClock.nextTurn(turns === 0 ? act : () => turnsLater(turns - 1, act))
}

async function submitOneByOne(holdfast: Holdfast, emails: readonly string[]): Promise<WorkerReport> {
  let known = 0
  for (const email of emails) {
    const { duplicate } = await holdfast.submit(onboard, { email }, { key: email })
    if (duplicate) known++
  }
  return { type: 'submitted', accepted: emails.length - known, known }
}

function report(what: WorkerReport): void {
  process.send?.(what)
}

if (process.argv[2] !== undefined && process.send) void work(JSON.parse(process.argv[2]) as WorkerOrders)
