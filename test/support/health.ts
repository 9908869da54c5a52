/** For tests of health: processes that share one store on virtual time, and short ways to ask and to report. */
import { onTestFinished } from 'vitest'
import { laneName } from '../../src/client/call/call.ts'
import type { Permit } from '../../src/client/health/health.ts'
import { createHealth, type HealthParts, type HealthRegistry } from '../../src/client/health/health-registry.ts'
import { TEST_DEFAULTS, testEndpoint, testIntegration } from '../../src/client/test-kit.ts'
import type { IntegrationSettings } from '../../src/config/settings.ts'
import { createEventBus, type HoldfastEvent } from '../../src/core/events.ts'
import { seededRandom } from '../../src/core/random.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'

export async function world() {
  const clock = createVirtualClock()
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  onTestFinished(() => ledger.close())
  let workers = 0
  function worker(overrides: Partial<HealthParts> = {}) {
    const seen: HoldfastEvent[] = []
    const events = createEventBus((error) => {
      throw error
    })
    events.on('*', (event) => seen.push(event))
    workers += 1
    const parts = { ledger, clock, random: seededRandom(workers), events, workerId: `worker-${workers}`, ...overrides }
    return { health: createHealth(parts), seen }
  }
  return { clock, ledger, worker }
}

export const crm = testIntegration('http://crm.example')

export function ask(
  health: HealthRegistry,
  options: { integration?: IntegrationSettings; endpoint?: string; tenant?: string; attempt?: number } = {},
) {
  const { integration = crm, endpoint = 'GET /people', tenant = 'default', attempt = 1 } = options
  const lane = laneName(integration.name, integration.credential, tenant)
  return health.admit({ integration, endpoint: testEndpoint(endpoint), lane, tenant, attempt })
}

export function permitFor(health: HealthRegistry, options: Parameters<typeof ask>[1] = {}): Permit {
  const admission = ask(health, options)
  if (!admission.admitted) throw new Error(`held by ${admission.by}: ${admission.reason}`)
  return admission.permit
}

export function fail(health: HealthRegistry, times: number, options: Parameters<typeof ask>[1] = {}): void {
  for (let round = 0; round < times; round++) {
    health.report(permitFor(health, options), { type: 'failed', code: 'http_503' })
  }
}

export function allowanceOf(health: HealthRegistry, wanted: number, integration = crm, endpoint = 'GET /people') {
  const lane = laneName(integration.name, integration.credential, 'default')
  return health.allowance({ integration, endpoint, breaker: TEST_DEFAULTS.breaker, lane, tenant: 'default' }, wanted)
}

/** `sync` reads the store, which commits on the clock's turns. */
export async function sync(clock: VirtualClock, ...registries: HealthRegistry[]): Promise<void> {
  for (const health of registries) await clock.runUntil(health.sync())
}
