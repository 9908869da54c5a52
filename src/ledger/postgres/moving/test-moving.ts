/** A process of its own, for tests: `node test-moving.ts PATH URL SCHEMA`. Moves, and prints a line per batch. */
import { writeSync } from 'node:fs'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { moveLedger } from '../../move.ts'
import { openSqliteSource } from '../../sqlite/index.ts'
import { openPostgresTarget } from '../index.ts'

async function main(): Promise<void> {
  const [, , path = '', url = '', schema = ''] = process.argv
  const clock = impatientClock()
  const source = await openSqliteSource({ path, clock, batchItems: 100 })
  const target = await openPostgresTarget({ url, schema, clock })
  const { outcome } = await moveLedger(source, target, {
    newId: () => `move-${process.pid}`,
    nowMs: clock.wallMs,
    onProgress: ({ done }) => writeSync(1, `${done}\n`),
  })
  writeSync(1, `${outcome}\n`)
  await target.close()
  await source.close()
}

void main()
