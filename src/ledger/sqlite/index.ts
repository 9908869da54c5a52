export { moveOf, openSqliteSource } from './moving/source.ts'
export {
  openSharedStore,
  openSqliteLedger,
  pendingMigrations,
  type SqliteLedger,
  type SqliteLedgerOptions,
} from './open.ts'
export type { MigrationReport } from './schema/migrate.ts'
export { sharedMemoryPath } from './transactions/memory.ts'
