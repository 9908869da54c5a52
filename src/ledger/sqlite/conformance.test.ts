import { ledgerConformance } from '../conformance/index.ts'
import { fileStore, memoryStore, sharedStore } from './test-support.ts'

ledgerConformance('sqlite', fileStore)
ledgerConformance('sqlite in shared memory', memoryStore)
// What the simulator runs on: unless it keeps the same promises, a simulation says nothing about the file.
ledgerConformance('sqlite, one connection for all', sharedStore)
