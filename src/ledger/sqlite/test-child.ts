/** A process of its own, for tests: `node test-child.ts race|submit PATH WORKER`. Prints ids, one per line. */

import { writeSync } from 'node:fs'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import type { Ledger, NewRun } from '../port.ts'
import { openSqliteLedger } from './index.ts'

const NOW_MS = 1_767_225_600_000
const CHANNEL = { lane: 'crm/default', endpoint: 'POST /contacts', limit: 7, laneConcurrency: 1000 }

function newRun(id: string): NewRun {
  const { lane, endpoint } = CHANNEL
  return {
    id,
    tenant: 'default',
    pipeline: 'onboard',
    key: id,
    input: '{}',
    inputFingerprint: 'f',
    labels: {},
    batch: 'default',
    correlationId: id,
    createdAtMs: NOW_MS,
    items: [{ step: 'crm', lane, endpoint, after: [], dueAtMs: NOW_MS, optional: false }],
  }
}

/** Submits 40 runs, then works until nothing is due: prints what it claimed. */
async function race(ledger: Ledger, workerId: string): Promise<void> {
  await Promise.all(Array.from({ length: 40 }, (_, index) => ledger.submit([newRun(`${workerId}-${index}`)])))
  for (;;) {
    const terms = { workerId, nowMs: NOW_MS, leaseUntilMs: NOW_MS + 1000 }
    const claimed = await ledger.claim({ ...terms, channels: [CHANNEL] })
    if (claimed.length === 0) return
    await ledger.settle(
      claimed.map(({ itemId, tenant, token }) => ({ itemId, tenant, token, to: { state: 'succeeded', output: '1' } })),
      NOW_MS,
    )
    for (const item of claimed) print(item.itemId)
  }
}

/** Submits for ever, one run at a time: prints each once it was accepted. */
async function submitForEver(ledger: Ledger, workerId: string): Promise<void> {
  for (let index = 0; ; index++) {
    const [receipt] = await ledger.submit([newRun(`${workerId}-${index}`)])
    if (receipt?.outcome === 'accepted') print(receipt.runId)
  }
}

function print(line: string): void {
  writeSync(1, `${line}\n`)
}

async function main(): Promise<void> {
  const [, , task, path = '', workerId = ''] = process.argv
  const ledger = await openSqliteLedger({ path, clock: impatientClock() })
  await (task === 'race' ? race : submitForEver)(ledger, workerId)
  await ledger.close()
}

void main()
