/** A process of its own, for tests: `node test-child.ts URL SCHEMA WORKER`. Works for ever; prints ids, one per line. */

import { writeSync } from 'node:fs'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { openPostgresLedger } from './index.ts'

const NOW_MS = 1_767_225_600_123
const CHANNEL = { lane: 'crm/default', endpoint: 'POST /contacts', limit: 3, laneConcurrency: 1000 }

async function main(): Promise<void> {
  const [, , url = '', schema = '', workerId = ''] = process.argv
  const ledger = await openPostgresLedger({ url, schema, clock: impatientClock() })
  for (;;) {
    const terms = { workerId, nowMs: NOW_MS, leaseUntilMs: NOW_MS + 1000 }
    for (const { itemId, tenant, token } of await ledger.claim({ ...terms, channels: [CHANNEL] })) {
      await ledger.settle([{ itemId, tenant, token, to: { state: 'succeeded', output: '1' } }], NOW_MS)
      writeSync(1, `${itemId}\n`)
    }
  }
}

void main()
