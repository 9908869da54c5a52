import { ledgerConformance } from '../conformance/index.ts'
import { memoryStore, sharedStore } from '../sqlite/test-support.ts'
import { encrypting } from './test-support.ts'

// Whatever is encrypted, and by whom: the port keeps its promises.
ledgerConformance('an encrypted store', () => encrypting(memoryStore))
ledgerConformance('an encrypted store, one connection for all', () => encrypting(sharedStore))
