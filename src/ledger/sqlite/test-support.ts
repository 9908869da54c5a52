/** Stores in temporary folders, on time that passes only where something sleeps. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import type { Clock } from '../../core/clock.ts'
import type { LedgerStore } from '../conformance/index.ts'
import { openSqliteLedger, sharedMemoryPath } from './index.ts'

/**
 * Every sleep is over at once, and time moves on by as much. The waiting that a lock needs is done by SQLite itself, in
 * real time, within each attempt.
 */
export function impatientClock(startMs = 1_767_225_600_000): Clock {
  let nowMs = 0
  const passing = async (delayMs: number): Promise<void> => {
    nowMs += delayMs
    await eventLoopTurn()
  }
  return {
    wallMs: () => startMs + nowMs,
    monotonicMs: () => nowMs,
    sleep: passing,
    setTimer(delayMs, callback) {
      let cancelled = false
      void passing(delayMs).then(() => {
        if (!cancelled) callback()
      })
      return {
        cancel: () => {
          cancelled = true
        },
      }
    },
    nextTurn: queueMicrotask,
  }
}

export function temporaryFolder(): { readonly path: string; readonly remove: () => Promise<void> } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-ledger-'))
  return { path, remove: async () => rmSync(path, { recursive: true }) }
}

export async function fileStore(): Promise<LedgerStore> {
  const { path, remove } = temporaryFolder()
  return { open: () => openSqliteLedger({ path: join(path, 'ledger.db'), clock: impatientClock() }), remove }
}

let memoryStores = 0

export async function memoryStore(): Promise<LedgerStore> {
  const path = sharedMemoryPath(`conformance ${memoryStores++}`)
  const open = () => openSqliteLedger({ path, clock: impatientClock() })
  // The store lasts as long as a connection to it.
  const last = await open()
  return { open, remove: () => last.close() }
}

/** Through a message to ourselves: a turn of the real event loop without a timer. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.once('message', () => {
      port1.close()
      resolve()
    })
    port2.postMessage('next')
  })
}
