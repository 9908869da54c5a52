/**
 * The settings of an integration after loading: every duration in milliseconds, every default filled in. Policies and the
 * client work on these; what people write (`"30s"`, presets, YAML) is the concern of `schema.ts` and `resolve.ts`.
 */
import type { AuthSettings } from './auth-settings.ts'
import type { BatchShape } from './batch-shapes.ts'
import type { ErrorRule } from './profile-rule.ts'
import type { RateLimitReading } from './rate-limits.ts'

export interface TimeoutSettings {
  /** Until TCP and TLS stand (R150). Default 3,000. */
  readonly connectMs: number
  /** From the request written to the answer's headers (R151). Default 10,000. */
  readonly headersMs: number
  /** Between two pieces of the answer's body. Default 15,000. */
  readonly bodyMs: number
  /** For one attempt as a whole. Default 60,000. */
  readonly totalMs: number
}

export type JitterStrategy = 'full' | 'equal' | 'additive' | 'decorrelated' | 'none'

export interface BackoffSettings {
  /** Default 1,000 (R032). */
  readonly baseMs: number
  /** The largest single wait of our own; a server's Retry-After may be longer (D11). Default 60,000 (R040). */
  readonly capMs: number
  /** Default `full` (D10). */
  readonly jitter: JitterStrategy
}

export interface RetrySettings extends BackoffSettings {
  /** Including the first (D08). Default 6. */
  readonly maxAttempts: number
  /** Durable retries end at this age of the item (D09). Default 4 h; 15 min in time-critical presets. */
  readonly maxAgeMs: number
  /** In-process retries, while a caller waits, end after this long (D09). Default 60,000. */
  readonly inlineMs: number
  /** Slow lane of the dead letters, for outage causes only (D09, D23). */
  readonly slowLane: { readonly maxTries: number; readonly spanMs: number }
}

export interface RetryBudgetSettings {
  /** Retries allowed as a share of first tries. Default 0.2 (trap 2: Envoy's default). */
  readonly ratio: number
  /** Retries per second that are always allowed, so that quiet lanes can retry at all. Default 1. */
  readonly minimumPerSecond: number
  /** The most retries that can be saved up. Default 50. */
  readonly burst: number
}

export interface BreakerSettings {
  /** Default 0.5 (R063). */
  readonly failureRate: number
  /** Calls looked at. Default 20 (D12). */
  readonly windowCalls: number
  /** None older than this. Default 60,000 (D12). */
  readonly windowMs: number
  /** Fewer calls than this never trip the ratio. Default 10 (D12). */
  readonly minimumCalls: number
  /** In a row, without time limit, for thin traffic. Default 5 (D12). */
  readonly consecutiveFailures: number
  /** First cooldown. Default 30,000 (R066). */
  readonly openMs: number
  /** Cooldowns double up to this. Default 300,000 (D13). */
  readonly maxOpenMs: number
  /** Successful probes in a row that close it, 1-3. Default 2 (D13). */
  readonly probes: number
  /** A probe not reported back within this is forgotten, so that a lost one wedges nothing. Default 90,000. */
  readonly probeLeaseMs: number
  /** Shares of the full concurrency let through after closing, one wave each. Default [0.1, 0.5] then 1 (D13). */
  readonly rampShares: readonly number[]
  /** Length of one wave. Default 5,000. */
  readonly rampStepMs: number
}

export interface RateSettings {
  readonly limit: number
  readonly perMs: number
  /** The window does not slide: it begins at whole multiples of this since the epoch, in UTC. */
  readonly calendarMs?: number
}

export interface LimitSettings {
  /** Calls at the same time per lane, over all workers. Default 5 (trap 1). */
  readonly concurrency: number
  /** How many of them is found out, in each process: from this many up to `concurrency` (policy/limiter/adaptive-concurrency.ts). */
  readonly adaptive?: { readonly min: number }
  /** `100/10s`. Default none. */
  readonly rate?: RateSettings
  /** `250000/day`: a long window, parked when spent rather than waited for (R051). Default none. */
  readonly quota?: RateSettings
  /** Of the quota, by pipeline; `reserve` is for all other calls. */
  readonly shares?: { readonly byPipeline: Readonly<Record<string, number>>; readonly reserve: number }
  /** Calls are spread when less than both is left (R050). Default 0.1 and 10. */
  readonly slowBelow?: { readonly share: number; readonly calls: number }
}

export type IdempotencySettings =
  /** Repeating it has the effect of doing it once: reads, upserts, `PUT`, `DELETE`. */
  | { readonly kind: 'safe' }
  /**
   * The API honours a key in this header, and knows it for this long. `quoted`: it wants the key as a structured-field string
   * (draft-ietf-httpapi-idempotency-key-header); nearly everybody takes it bare. Default false.
   */
  | { readonly kind: 'key'; readonly header: string; readonly lifetimeMs: number; readonly quoted?: boolean }
  /** The API refuses a second record with the same value of this body field; its 409 then means "already there". */
  | { readonly kind: 'natural'; readonly field: string }
  /** A repeat may double the effect: only ever repeated after reconciliation (rule 3). */
  | { readonly kind: 'unsafe' }

export interface EndpointSettings {
  /** `GET /people/{email}`: what breakers, timeouts and statistics are kept per. */
  readonly endpoint: string
  readonly timeouts: TimeoutSettings
  readonly retry: RetrySettings
  readonly breaker: BreakerSettings
  readonly idempotency: IdempotencySettings
  /** Delayed retries of a 404 where a record shows up late (D04). Default none. */
  readonly eventuallyConsistent?: { readonly retries: number; readonly delayMs: number }
  readonly maxResponseBytes: number
  /** How it takes several records in one call, where it does. A step's own `batch.shape` goes before it. */
  readonly batchShape?: BatchShape
}

export type { AuthSettings, OAuthSettings, RequestSigner, RequestToSign, StoredAuthSettings } from './auth-settings.ts'
export type { ErrorRule } from './profile-rule.ts'

export interface IntegrationSettings {
  readonly name: string
  /** Name of the profile that it was made with. */
  readonly profile?: string
  readonly baseUrl: string
  readonly auth: AuthSettings
  /** Which credential it is; part of the lane. Default `default`. */
  readonly credential: string
  readonly headers: Readonly<Record<string, string>>
  readonly limits: LimitSettings
  /** How answers tell what is left, beside the usual headers. Default: those alone. */
  readonly rateLimits?: readonly RateLimitReading[]
  readonly retryBudget: RetryBudgetSettings
  /** Where the machine code, the human message and the field stand in an error body: dot paths (R024). */
  readonly errorPaths: {
    readonly code: readonly string[]
    readonly message: readonly string[]
    readonly field: readonly string[]
  }
  readonly errors: readonly ErrorRule[]
  /** Body fields, beside the built-in names, whose values never reach a log or dead letter (rule 7, D28). */
  readonly redact: readonly string[]
  /** Settings for endpoints that are not named in `endpoints`. */
  readonly defaults: Omit<EndpointSettings, 'endpoint' | 'idempotency'>
  readonly endpoints: Readonly<Record<string, EndpointSettings>>
}
