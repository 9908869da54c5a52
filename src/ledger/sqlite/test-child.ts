/** A process of its own, for tests: `node test-child.ts race|submit PATH WORKER`. Prints ids, one per line. */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import type { NewRun } from '../port.ts'
import { openSqliteLedger } from './index.ts'
import { impatientClock } from './test-support.ts'
