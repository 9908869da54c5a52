/** Stores on one server, each a schema. What a test leaves behind is cleared for the next, which is faster than a new one. */
import pg from 'pg'
import type { LedgerStore } from '../../src/ledger/conformance/index.ts'
import { openPostgresLedger, type PostgresLedgerOptions } from '../../src/ledger/postgres/index.ts'
import type { PostgresServer } from './postgres.ts'

export interface PostgresStores {
  /** An empty store, which nobody else has. */
  store(): Promise<LedgerStore & { readonly schema: string }>
  close(): Promise<void>
}

export function storesOn(server: PostgresServer, options: Pick<PostgresLedgerOptions, 'clock'>): PostgresStores {
  const owner = new pg.Pool({ connectionString: server.url, max: 1 })
  owner.on('error', () => {})
  const free: string[] = []
  let schemas = 0

  return {
    async store() {
      const schema = free.pop() ?? `store_${++schemas}`
      return {
        schema,
        open: () => openPostgresLedger({ ...options, url: server.url, schema }),
        async remove() {
          await owner.query(clearing(schema))
          free.push(schema)
        },
      }
    },
    close: () => owner.end(),
  }
}

/** Everything but the migrations; the tallies last, for the triggers of other tables write there. */
function clearing(schema: string): string {
  return `DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'
      AND tablename NOT IN ('migrations', 'turns') ORDER BY tablename = 'tallies', tablename
    LOOP EXECUTE format('DELETE FROM ${schema}.%I', name); END LOOP;
    UPDATE ${schema}.turns SET value = 0;
  END $$`
}
