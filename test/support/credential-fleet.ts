/** Processes on one store whose API wants tokens, on virtual time; any of them can be gone from one moment to the next. */
import { createCipher } from '../../src/client/credentials/cipher.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { WrittenAuth } from '../../src/config/schema-auth.ts'
import type { EventName, HoldfastEvent } from '../../src/core/events.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { type AnyPipeline, definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { Ledger } from '../../src/ledger/port.ts'
import { openSqliteLedger, sharedMemoryPath } from '../../src/ledger/sqlite/index.ts'
import { createSimulatedNetwork, type SimulatedTwin } from '../../src/testing/network/network.ts'
import { createProcessClock } from '../../src/testing/simulator/process-clock.ts'
import { createProcessGate } from '../../src/testing/simulator/process-gate.ts'
import { createProcessLedger } from '../../src/testing/simulator/process-ledger.ts'
import type { StoreTrouble } from '../../src/testing/simulator/scenario.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { type TokenApi, tokenApi } from './token-api.ts'

export const KEY = Buffer.alloc(32, 7).toString('base64')
export const OTHER_KEY = Buffer.alloc(32, 8).toString('base64')
const ADDRESS = 'https://crm.test'

export const ROTATING: WrittenAuth = {
  type: 'oauth2',
  grant: 'refresh_token',
  tokenUrl: `${ADDRESS}/token`,
  clientId: 'the-client',
  clientSecret: 'the-client-secret-0123456789',
  refreshToken: 'first-refresh-token-0001',
}
export const { refreshToken: _none, ...WITHOUT_FIRST } = ROTATING
export const CLIENT: WrittenAuth = { ...WITHOUT_FIRST, grant: 'client_credentials' } as WrittenAuth

export const send = definePipeline<{ n: number }>('send').step('post', {
  integration: 'crm',
  idempotency: { kind: 'safe' },
  request: { method: 'POST', path: '/things', body: ({ input }) => input },
})

export interface CredentialMember {
  readonly hf: Holdfast
  kill(): void
}

export interface CredentialFleet extends AsyncDisposable {
  readonly clock: VirtualClock
  readonly api: TokenApi
  readonly twin: SimulatedTwin
  readonly ledger: Ledger
  readonly events: HoldfastEvent[]
  eventsOf<Name extends EventName>(type: Name): Extract<HoldfastEvent, { type: Name }>[]
  start(options?: {
    readonly worker?: boolean
    readonly auth?: WrittenAuth
    readonly keys?: readonly string[]
    readonly trouble?: () => StoreTrouble | undefined
    readonly pipelines?: readonly AnyPipeline[]
  }): Promise<CredentialMember>
  submit(member: CredentialMember, count: number, tenants?: readonly string[]): Promise<void>
}

let fleets = 0

export async function createCredentialFleet(
  auth: WrittenAuth,
  { api = tokenApi(), maxAge = '24h' }: { readonly api?: TokenApi; readonly maxAge?: '24h' | '10m' } = {},
): Promise<CredentialFleet> {
  const clock = createVirtualClock({ startMs: Date.UTC(2026, 10, 22) })
  const network = createSimulatedNetwork({ clock, random: seededRandom('credentials') })
  const twin = network.twin(ADDRESS, { routes: api.routes, latencyMs: [5, 30] })
  const path = sharedMemoryPath(`credentials ${fleets++}`)
  const keeper = await openSqliteLedger({ path, clock })
  const events: HoldfastEvent[] = []
  const members: CredentialMember[] = []

  const fleet: CredentialFleet = {
    clock,
    api,
    twin,
    ledger: keeper,
    events,
    eventsOf: (type) => events.filter((event) => event.type === type) as never,
    async start({
      worker = false,
      auth: own = auth,
      keys = [KEY],
      trouble = () => undefined,
      pipelines = [send],
    } = {}) {
      const config = resolveConfig(
        {
          integrations: { crm: { baseUrl: ADDRESS, auth: own, limits: { concurrency: 50 }, retry: { maxAge } } },
          pipelines: [...pipelines],
          keys: [...keys],
        },
        { env: {}, baseDirectory: '/' },
      )
      const gate = createProcessGate(() => processClock.stop())
      const processClock = createProcessClock(clock, { aheadMs: 0 }, gate)
      const random = seededRandom(`credentials ${members.length}`)
      const connection = await openSqliteLedger({ path, clock: processClock })
      const hf = createEngine({
        clock: processClock,
        random,
        cipher: createCipher(config.keys, random),
        ledger: createProcessLedger({
          process: `process ${members.length}`,
          connection,
          gate,
          trouble,
          record: () => undefined,
          sleep: (delayMs) => clock.sleep(delayMs),
          watch: () => ({ [Symbol.dispose]: () => undefined }),
          wakeOthers: () => undefined,
        }),
        transport: network.transport({ clock: processClock, deliver: gate.enter }),
        integrations: config.integrations,
        pipelines,
      })
      hf.events.on('*', (event) => events.push(event))
      if (worker) hf.startWorker()
      const member = { hf, kill: gate.die }
      members.push(member)
      return member
    },
    async submit({ hf }, count, tenants = ['default']) {
      for (const tenant of tenants) {
        const records = Array.from({ length: count }, (_, n) => ({
          input: { n },
          options: { key: `${tenant}-${n}`, tenant },
        }))
        await clock.runUntil(hf.submitMany(send, records))
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { kill } of members) kill()
      const report = await clock.runUntil(keeper.audit())
      await clock.runUntil(keeper.close())
      if (!report.balanced) throw new Error('the books do not balance')
    },
  }
  return fleet
}
