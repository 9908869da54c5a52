import { afterAll, beforeAll } from 'vitest'
import { impatientClock } from '../../../test/support/impatient-clock.ts'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import { type PostgresStores, storesOn } from '../../../test/support/postgres-stores.ts'
import { ledgerConformance } from '../conformance/index.ts'

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
