export {
  dropStore,
  OLDEST_SERVER,
  openPostgresLedger,
  openPostgresTarget,
  type PostgresLedger,
  pendingMigrations,
} from './open.ts'
export type { PostgresLedgerOptions } from './place.ts'
export { inspectServer, type ServerFacts, type ServerSettings } from './reading/inspect.ts'
export type { MigrationReport } from './schema/migrate.ts'
export type { PostgresClient, PostgresPool } from './transactions/driver.ts'
