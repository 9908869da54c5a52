import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenQueue, payloads, type QueueOptions } from '../../bench/support/durable-queue.ts'
import { openHoldfastQueue } from '../../bench/support/holdfast-queue.ts'
import { openPlainjobQueue } from '../../bench/support/plainjob-queue.ts'
import { openPromisingRawQueue, openRawQueue } from '../../bench/support/raw-queue.ts'

const RETRYING: readonly [name: string, open: OpenQueue][] = [
  ['the raw loop', openRawQueue],
  ['the raw loop with promises', openPromisingRawQueue],
  ['Holdfast', openHoldfastQueue],
]
const ALL: typeof RETRYING = [...RETRYING, ['plainjob', openPlainjobQueue]]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the contenders of the ledger cases do the work that is measured', () => {
  it.each(ALL)('%s does a backlog, and what comes meanwhile', async (_name, open) => {
    expect(await countDoneBy(open, { concurrency: 7, failures: 0 })).toBe(35)
  })

  it.each(RETRYING)('%s tries again what fails twice', async (_name, open) => {
    expect(await countDoneBy(open, { concurrency: 7, failures: 2 })).toBe(35)
  })
})

async function countDoneBy(open: OpenQueue, options: Omit<QueueOptions, 'place'>): Promise<number> {
  await using queue = await open({ place: join(folder, 'queue.db'), ...options })
  await queue.addMany(payloads(20))
  queue.start()
  await Promise.all(payloads(15).map((payload) => queue.add(payload)))
  await queue.finished()
  return await queue.countDone()
}
