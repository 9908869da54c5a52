/** A process that calls an API with tokens, when it is told to: `{ storePath, url, key }` is its first argument. */
import { createCipher } from '../../../src/client/credentials/cipher.ts'
import { createUndiciTransport } from '../../../src/client/wire/undici-transport.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { Holdfast } from '../../../src/engine/api.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import { openSqliteLedger } from '../../../src/ledger/sqlite/index.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import { systemRandom } from '../../../src/system/system-random.ts'

export interface CredentialOrders {
  readonly storePath: string
  readonly url: string
  readonly key: string
}

/** The order to make so many calls at once; the answer says how many went well. */
export interface CallOrder {
  readonly calls: number
}

export async function openTokenEngine({ storePath, url, key }: CredentialOrders): Promise<Holdfast> {
  const auth = {
    type: 'oauth2',
    grant: 'refresh_token',
    tokenUrl: `${url}/token`,
    clientId: 'the-client',
    clientSecret: 'the-client-secret-0123456789',
    refreshToken: 'first-refresh-token-0001',
  } as const
  const config = resolveConfig(
    { integrations: { crm: { baseUrl: url, auth, limits: { concurrency: 100 } } }, keys: key },
    { env: {}, baseDirectory: '/' },
  )
  return createEngine({
    clock: systemClock,
    random: systemRandom,
    cipher: createCipher(config.keys, systemRandom),
    ledger: await openSqliteLedger({ path: storePath, clock: systemClock }),
    transport: createUndiciTransport({ clock: systemClock }),
    integrations: config.integrations,
    pipelines: [],
  })
}

async function work(orders: CredentialOrders): Promise<void> {
  const holdfast = await openTokenEngine(orders)
  process.once('disconnect', () => process.exit())
  process.on('message', async ({ calls }: CallOrder) => {
    const ends = await Promise.allSettled(
      Array.from({ length: calls }, (_, n) => holdfast.client('crm').post('/things', { body: { n } })),
    )
    process.send?.(ends.filter(({ status }) => status === 'fulfilled').length)
  })
  process.send?.('ready')
}

if (process.argv[2] !== undefined && process.send) void work(JSON.parse(process.argv[2]) as CredentialOrders)
