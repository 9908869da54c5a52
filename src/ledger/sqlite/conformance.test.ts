import { ledgerConformance } from '../conformance/index.ts'
import { fileStore, memoryStore } from './test-support.ts'

ledgerConformance('sqlite', fileStore)
// What the simulator runs on: unless it keeps the same promises, a simulation says nothing about the file.
ledgerConformance('sqlite in shared memory', memoryStore)
