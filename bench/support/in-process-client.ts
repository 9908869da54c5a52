/** A client whose network answers at once, from memory: what is left is Holdfast's own work. */
import { createCipher } from '../../src/client/credentials/cipher.ts'
import { createCredentials } from '../../src/client/credentials/credentials.ts'
import { shareStatistics } from '../../src/client/health/endpoint-statistics.ts'
import { createHealth } from '../../src/client/health/health-registry.ts'
import type { InlineParts } from '../../src/client/inline/inline.ts'
import { createDeadlines } from '../../src/client/wire/deadlines.ts'
import type { Transport, TransportResult } from '../../src/client/wire/transport.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { IntegrationSettings } from '../../src/config/settings.ts'
import { createEventBus } from '../../src/core/events.ts'
import { newId } from '../../src/core/ids.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { systemClock as clock } from '../../src/system/system-clock.ts'
import { systemRandom as random } from '../../src/system/system-random.ts'

export interface InProcessClient {
  readonly parts: InlineParts
  readonly integration: IntegrationSettings
}

export async function inProcessClient(): Promise<InProcessClient> {
  const ledger = await openSqliteLedger({ path: ':memory:', clock })
  const events = createEventBus((error) => {
    throw error
  })
  const workerId = newId(clock, random)
  const transport = answeringAtOnce()
  const health = createHealth({ ledger, clock, random, events, workerId })
  const cipher = createCipher([], random)
  const onSuspended = () => health.sync()
  const credentials = createCredentials({ ledger, transport, clock, random, events, cipher, workerId, onSuspended })
  const parts = {
    ledger,
    health,
    clock,
    random,
    events,
    transport,
    credentials,
    statistics: shareStatistics({ ledger, clock, events }),
    newId: () => newId(clock, random),
  }
  return { parts, integration: integrationSettings() }
}

/** Watches the time as the real transport does: the deadline is part of what a call costs. */
function answeringAtOnce(): Transport {
  const deadlines = createDeadlines(clock)
  const headers = { 'content-type': 'application/json' }
  const body = Buffer.from('{"id":"12345","email":"ada@example.com"}')
  return {
    async send(request): Promise<TransportResult> {
      const deadline = { deadlineBucket: undefined, deadlineIndex: 0, expire: () => {} }
      deadlines.add(deadline, request.timeouts.totalMs)
      deadlines.remove(deadline)
      return { ok: true, answer: { status: 200, headers, body, stream: undefined } }
    },
    close: async () => {},
  }
}

function integrationSettings(): IntegrationSettings {
  const config = resolveConfig(
    { store: 'sqlite::memory:', integrations: { crm: { baseUrl: 'https://api.example.com' } } },
    { env: {}, baseDirectory: '.' },
  )
  const [integration] = config.integrations
  if (!integration) throw new Error('the integration was not resolved')
  return integration
}
