/** The built-in values of every policy, and the tuning families, each value with its source. Written as people write them. */
import type { PresetName } from './preset-names.ts'
import type { WrittenIntegration } from './schema.ts'

type Policies = Pick<WrittenIntegration, 'timeouts' | 'retry' | 'breaker' | 'limits' | 'retryBudget' | 'maxResponse'>

/** What holds where nobody says otherwise. */
export const BUILT_IN = {
  timeouts: {
    connect: '3s', // R150: 2-5 s
    headers: '10s', // R151: between a simple fetch (5 s) and a report (30 s)
    body: '15s', // R149, R153: every wait ends
    total: '60s', // R153: minutes would cascade
  },
  retry: {
    maxAttempts: 6, // D08
    base: '1s', // R032
    cap: '60s', // R040
    jitter: 'full', // R036, D10
    maxAge: '4h', // D09
    inline: '60s', // D09
    slowLane: { maxTries: 10, span: '3d' }, // R138, D09, D23
  },
  breaker: {
    failureRate: 0.5, // R063
    windowCalls: 20, // D12
    window: '60s', // R064, D12
    minimumCalls: 10, // D12
    consecutiveFailures: 5, // D12
    open: '30s', // R066
    maxOpen: '5m', // D13
    probes: 2, // D13
    probeLease: '90s', // D13: longer than the longest attempt, so that only lost probes are forgotten
    rampShares: [0.1, 0.5], // D13
    rampStep: '5s', // D13 names the waves, not their length: a few seconds each
  },
  limits: {
    concurrency: 5, // trap 1
  },
  retryBudget: {
    ratio: 0.2, // trap 2: Envoy's default
    minimumPerSecond: 1, // quiet lanes must be able to retry at all
    burst: 50,
  },
  maxResponse: '10MB', // the example of R010
} as const satisfies Policies

/** What a family changes. Order of precedence: built-in < preset < integration < endpoint. */
export const PRESETS: Readonly<Record<PresetName, Policies>> = {
  default: {},
  /** HubSpot, Salesforce: conservative. */
  crm: { retry: { base: '2s' } }, // R052
  /** Clay's providers, Apollo, ZoomInfo: standard; give `limits.rate` where the vendor names one per minute. */
  enrichment: { retry: { base: '1s' } }, // R053
  /** Outreach, Salesloft: a minute late is fine, ten are a missed window. */
  sequencer: {
    retry: {
      base: '500ms', // R054
      cap: '60s', // R054: 60 s of delay are fine
      maxAge: '15m', // D09: time-critical
    },
  },
  /** A caller, often a webhook's sender, is waiting: a few quick tries, then over to the durable queue. */
  realtime: {
    retry: {
      maxAttempts: 3, // R055: 2-3 retries at most
      base: '200ms', // R055
      inline: '5s', // R156: senders wait 5-30 s
      maxAge: '15m', // D09: time-critical
    },
  },
}
