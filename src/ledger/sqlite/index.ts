export { sharedMemoryPath } from './memory.ts'
export type { MigrationReport } from './migrate.ts'
export { openSqliteLedger, pendingMigrations, type SqliteLedger, type SqliteLedgerOptions } from './open.ts'
export { moveOf, openSqliteSource } from './source.ts'
