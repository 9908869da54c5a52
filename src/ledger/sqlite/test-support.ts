/** Stores in temporary folders, on time that passes only where something sleeps. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import type { LedgerStore } from '../conformance/index.ts'
import { openSharedStore, openSqliteLedger, sharedMemoryPath } from './index.ts'

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

export async function sharedStore(): Promise<LedgerStore> {
  const store = openSharedStore()
  return { open: async () => store.connect(impatientClock()), remove: async () => store[Symbol.dispose]() }
}
