/** A configuration after loading: checked whole, every default filled in. What the composition root works on. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { BatchShapeName } from './batch-shapes.ts'
import type { CallbackSettings } from './callbacks.ts'
import type { GatewaySettings } from './gateway-settings.ts'
import type { Profile } from './profile.ts'
import type { IdempotencySettings, IntegrationSettings } from './settings.ts'
import type { WebhookSettings } from './webhook-settings.ts'

export interface LoadedConfig {
  /** The file it came from; `undefined` where it was given as a value. */
  readonly file: string | undefined
  readonly store: StoreSettings
  readonly integrations: readonly IntegrationSettings[]
  /** Those of the configuration, then those that come with Holdfast. */
  readonly profiles: readonly Profile[]
  readonly pipelines: readonly ConfiguredPipeline[]
  readonly webhooks: readonly WebhookSettings[]
  /** Whom the end of a run may be told to. */
  readonly callbacks: CallbackSettings
  readonly worker: WorkerSettings
  /** Ended runs older than this are forgotten. `undefined`: nothing is. */
  readonly retentionMs: number | undefined
  /** The largest input of a run. */
  readonly maxPayloadBytes: number
  /** What is in records is encrypted in the store. */
  readonly encryptPayloads: boolean
  /** What stored credentials and contents are encrypted with, the present key first: key texts, or `file:` and an absolute path. Secret. */
  readonly keys: readonly string[]
  readonly gateway: GatewaySettings
  /** Called before anything starts; what it gives is called after everything ended. */
  readonly setup: Setup | undefined
}

export type Setup = () => Promise<() => Promise<void>>

export type StoreSettings =
  /** `path` is absolute, or `:memory:`. */
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `url` may hold a password. */
  | { readonly kind: 'postgres'; readonly url: string }

export interface WorkerSettings {
  /** Items at the same time in one process. */
  readonly concurrency: number
  /** How long a claim lasts without renewal. */
  readonly leaseMs: number
  /** How often the store is asked, behind wake-ups. */
  readonly pollMs: number
}

/**
 * A pipeline as the engine takes it, known here by its shape only (the engine is above this room). Declarative ones are
 * built by `pipelines.ts`; those written in code pass through as they are.
 */
export interface ConfiguredPipeline {
  readonly name: string
  readonly inputSchema: StandardSchemaV1<unknown, unknown> | undefined
  readonly steps: ReadonlyMap<string, ConfiguredStep>
  readonly onFailure?: 'keep' | 'compensate'
  readonly subject?: (input: unknown) => Promise<unknown>
}

export interface ConfiguredStep {
  readonly integration: string
  readonly request: ConfiguredRequest
  readonly after: readonly string[]
  readonly optional: boolean
  readonly idempotency?: IdempotencySettings
  readonly maxAttempts?: number
  /** Milliseconds. */
  readonly maxAge?: number
  readonly reconcile?: {
    readonly request: ConfiguredRequest
    readonly match: (
      answer: ConfiguredAnswer,
      context: object,
      look: { readonly firstTriedAtMs: number },
    ) => Promise<unknown>
    readonly externalId?: (found: unknown, context: object, answer: ConfiguredAnswer) => Promise<string | undefined>
    readonly readOnly?: true
    readonly looks?: number
    /** Milliseconds. */
    readonly delay?: number
  }
  readonly operation?: (context: object) => Promise<string>
  readonly order?: {
    readonly by: (record: object) => Promise<string | number>
    readonly afterDeadLetter?: 'continue' | 'hold'
  }
  readonly supersede?: {
    readonly by: (record: object) => Promise<string | number>
    readonly version?: (record: object) => Promise<string | number>
  }
  readonly batch?: ConfiguredBatch
  readonly compensate?: { readonly request: ConfiguredRequest; readonly idempotency?: IdempotencySettings }
  readonly parse?: (answer: ConfiguredAnswer, context: object) => Promise<unknown>
}

export interface ConfiguredBatch {
  readonly size: number
  readonly bytes?: number
  /** Milliseconds. */
  readonly linger?: number
  readonly shape?: BatchShapeName
}

export interface ConfiguredRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  readonly path: string
  readonly params?: (context: object) => Promise<Record<string, string | number>>
  readonly query?: (context: object) => Promise<Record<string, string | number | boolean>>
  readonly headers?: (context: object) => Promise<Record<string, string>>
  readonly body?: (context: object) => Promise<unknown>
}

export interface ConfiguredAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly data: unknown
}
