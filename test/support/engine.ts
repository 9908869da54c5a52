/** A whole Holdfast on virtual time: the real engine, policies and SQLite store; only clock, chance and network are ours. */
import { expect } from 'vitest'
import type { Cipher } from '../../src/client/credentials/cipher.ts'
import type { ConfigInput } from '../../src/config/define.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { HoldfastEvent } from '../../src/core/events.ts'
import { createKeyRing } from '../../src/core/key-ring.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import type { EngineSettings } from '../../src/engine/defaults.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { AnyPipeline } from '../../src/engine/pipelines/pipeline.ts'
import { openPayloads } from '../../src/ledger/payloads/open-payloads.ts'
import type { Ledger } from '../../src/ledger/port.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { type ScriptedApi, scriptedApi } from './scripted-api.ts'

export interface TestEngine {
  readonly hf: Holdfast
  readonly ledger: Ledger
  readonly clock: VirtualClock
  readonly api: ScriptedApi
  readonly events: HoldfastEvent[]
  /** Ends with the balance check: every test of the engine does (rule 2). */
  finish(): Promise<void>
}

export interface TestEngineOptions {
  readonly integrations?: ConfigInput['integrations']
  readonly pipelines?: readonly unknown[]
  readonly webhooks?: ConfigInput['webhooks']
  readonly callbacks?: ConfigInput['callbacks']
  /** Of stored secrets. Default none: nothing can be encrypted. */
  readonly cipher?: Cipher
  readonly settings?: Partial<EngineSettings>
  readonly reply?: ScriptedApi['reply']
  readonly seed?: string
  readonly path?: string
  /** What the contents of the store are encrypted with. Default: they are in clear. */
  readonly keys?: readonly string[]
}

/** One plain API named `crm`, tuned so that tests read easily. */
export const CRM = {
  crm: { baseUrl: 'https://crm.test', limits: { concurrency: 10 }, retry: { base: '1s' } },
} as const

export async function testEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const clock = createVirtualClock({ startMs: Date.UTC(2026, 10, 22) })
  const api = scriptedApi(clock, options.reply)
  // Who looks rarely for work of other processes need not be told of it five times a second, for days.
  const watchEveryMs = options.settings?.pollMs ?? 200
  const store = await openSqliteLedger({ path: options.path ?? ':memory:', clock, watchEveryMs })
  const keys = options.keys ?? []
  // As the composition root does it: what is sealed by others is opened, or refused.
  const { ledger, payloads } = await openPayloads({
    ledger: store,
    ring: createKeyRing(keys),
    random: seededRandom('payloads'),
    nowMs: clock.wallMs,
    encrypt: keys.length > 0,
  })
  const config = resolveConfig(
    {
      integrations: options.integrations ?? CRM,
      pipelines: options.pipelines ?? [],
      ...(options.webhooks && { webhooks: options.webhooks }),
      ...(options.callbacks && { callbacks: options.callbacks }),
    },
    { env: {}, baseDirectory: '/' },
  )
  const hf = createEngine({
    clock,
    random: seededRandom(options.seed ?? 'test'),
    ledger,
    payloads,
    transport: api,
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
    webhooks: config.webhooks,
    callbacks: config.callbacks,
    ...(options.cipher && { cipher: options.cipher }),
    settings: { jobLookMs: 10 * watchEveryMs, ...options.settings },
  })
  const events: HoldfastEvent[] = []
  hf.events.on('*', (event) => events.push(event))
  return {
    hf,
    ledger,
    clock,
    api,
    events,
    async finish() {
      const report = await clock.runUntil(hf.operations.audit())
      expect(report.checks.filter((check) => check.violations > 0)).toEqual([])
      expect(report.balanced).toBe(true)
      const trouble = events.filter((event) => event.type === 'engine.trouble')
      expect(trouble.map((event) => event.message)).toEqual([])
      await clock.runUntil(hf.close())
    },
  }
}
