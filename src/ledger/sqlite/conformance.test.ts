import { ledgerConformance } from '../conformance/index.ts'
import { fileStore } from './test-support.ts'

ledgerConformance('sqlite', fileStore)
