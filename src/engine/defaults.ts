import type { RetrySettings } from '../config/settings.ts'

/** Code steps run our users' own code: no vendor limits them, so they get more room than an API lane (trap 1). */
export const DEFAULT_CODE_CONCURRENCY = 100
export const DEFAULT_CODE_TIMEOUT_MS = 60_000

/** Retries of code steps: the defaults of D08-D10. */
export const DEFAULT_CODE_RETRY: RetrySettings = {
  baseMs: 1000,
  capMs: 60_000,
  jitter: 'full',
  maxAttempts: 6,
  maxAgeMs: 4 * 3_600_000,
  inlineMs: 60_000,
  slowLane: { maxTries: 10, spanMs: 3 * 86_400_000 },
}

export interface EngineSettings {
  /** How long a claim lasts without renewal. Default 30 s. */
  readonly leaseMs: number
  /** The safety net behind wake-ups: how often the store is asked anyway. Default 250 ms. */
  readonly pollMs: number
  /** How far apart two processes may see the same breaker or gate at most. Default 1 s. */
  readonly healthSyncMs: number
  /** How often the store is asked for jobs that other processes made, or left behind. Default 2 s; infinite: never. */
  readonly jobLookMs: number
  /** Between two steps of a job; four times as long while there is nothing to put back. Default 250 ms. */
  readonly jobStepMs: number
  /** How often failed runs are looked for that another process left before it had them undone. Default 30 s. */
  readonly undoLookMs: number
  /** Items at the same time in one worker. Default 100. */
  readonly concurrency: number
  /** The largest input of a run. Default 4 MiB. */
  readonly maxPayloadBytes: number
  /** Before an effect of unknown outcome is looked for, and between two looks. Default 2 s. */
  readonly reconcileDelayMs: number
  /** Looks that must find nothing before it counts as not done: the API may be slow to finish (R095). Default 2. */
  readonly reconcileLooks: number
  /** Leases one item may lose before it counts as what kills its workers. Default 5. */
  readonly maxCrashes: number
}

export const DEFAULT_ENGINE_SETTINGS: EngineSettings = {
  leaseMs: 30_000,
  pollMs: 250,
  healthSyncMs: 1000,
  jobLookMs: 2000,
  jobStepMs: 250,
  undoLookMs: 30_000,
  concurrency: 100,
  maxPayloadBytes: 4 * 1024 * 1024,
  reconcileDelayMs: 2000,
  reconcileLooks: 2,
  maxCrashes: 5,
}
