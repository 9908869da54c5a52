export { openSqliteLedger, pendingMigrations, type SqliteLedger, type SqliteLedgerOptions } from './open.ts'
export type { MigrationReport } from './migrate.ts'
