/** Somebody who looks at a simulated world and explains it, and never works: no workers, and nothing goes wrong for them. */
import type { Transport } from '../../client/wire/transport.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Holdfast } from '../../engine/api.ts'
import { createEngine } from '../../engine/engine.ts'
import type { Ledger } from '../../ledger/port.ts'
import { buildPipelines } from './build-pipelines.ts'
import type { Scenario } from './scenario.ts'

export interface Spectator {
  readonly ledger: Ledger
  readonly hf: Holdfast
}

export interface SpectatorParts {
  readonly scenario: Scenario
  readonly clock: Clock
  readonly random: Random
  readonly ledger: Ledger
  readonly transport: Transport
  readonly integrations: readonly IntegrationSettings[]
}

/** How often it reads how the lanes are, over the busy time. */
const SYNCS = 30

export function createSpectator({
  scenario,
  clock,
  random,
  ledger,
  transport,
  integrations,
}: SpectatorParts): Spectator {
  const idle = { act: () => undefined, has: () => false, note: () => undefined }
  const hf = createEngine({
    clock,
    random,
    // Nobody has to be woken; and every engine wakes what waited for a breaker that has closed, but this one only looks on.
    ledger: { ...ledger, watch: () => ({ [Symbol.dispose]: () => undefined }), wake: () => Promise.resolve(0) },
    transport,
    integrations,
    pipelines: buildPipelines(scenario, { clock, random, ...idle }),
    settings: { healthSyncMs: Math.ceil(scenario.busyMs / SYNCS) },
  })
  return { ledger, hf }
}
