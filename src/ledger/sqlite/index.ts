export { sharedMemoryPath } from './memory.ts'
export type { MigrationReport } from './migrate.ts'
export {
  openSharedStore,
  openSqliteLedger,
  pendingMigrations,
  type SqliteLedger,
  type SqliteLedgerOptions,
} from './open.ts'
export { moveOf, openSqliteSource } from './source.ts'
