import { afterAll, beforeAll } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import { type PostgresStores, storesOn } from '../../../test/support/postgres-stores.ts'
import { ledgerConformance } from '../conformance/index.ts'
import { impatientClock } from '../sqlite/test-support.ts'

let server: PostgresServer
let stores: PostgresStores

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off'])
  stores = storesOn(server, { clock: impatientClock() })
})
afterAll(async () => {
  await stores?.close()
  await server?.remove()
})

ledgerConformance('postgres', () => stores.store())
