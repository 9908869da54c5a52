export type { PostgresClient, PostgresPool } from './driver.ts'
export { inspectServer, type ServerFacts, type ServerSettings } from './inspect.ts'
export type { MigrationReport } from './migrate.ts'
export {
  dropStore,
  OLDEST_SERVER,
  openPostgresLedger,
  openPostgresTarget,
  type PostgresLedger,
  pendingMigrations,
} from './open.ts'
export type { PostgresLedgerOptions } from './place.ts'
