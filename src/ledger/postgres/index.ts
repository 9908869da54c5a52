export type { PostgresClient, PostgresPool } from './driver.ts'
export type { MigrationReport } from './migrate.ts'
export {
  dropStore,
  openPostgresLedger,
  type PostgresLedger,
  type PostgresLedgerOptions,
  pendingMigrations,
} from './open.ts'
