/**
 * What kind of bad luck a scenario is about. Drawing everything from everything would make all scenarios alike; a mood favours
 * some troubles, and the seed leaves out others altogether (swarm testing: Groce et al., 2012).
 */
import type { TroublePlan } from '../scenario.ts'
import type { Range } from './chance.ts'

export type Traffic = 'burst' | 'steady' | 'waves' | 'sparse'

export interface Mood {
  readonly name: string
  readonly busyMs: Range
  readonly traffic: readonly Traffic[]
  readonly tenants: Range
  readonly troubles: Range
  /** How often a kind of trouble comes, in proportion; a kind that is not named does not come. */
  readonly weights: Readonly<Partial<Record<TroublePlan['kind'], number>>>
  /** Longer and wider than usual (above 1), or milder. */
  readonly severity: number
  readonly operations: Range
  /** Share of the APIs that enforce a rate limit. */
  readonly rateLimited: number
  /** One API is away for this share of the time. */
  readonly outage?: Range
  /** The clock that all go by is set by hours, instead of each by fractions of a lease. */
  readonly wildClocks?: boolean
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const USUAL: Omit<Mood, 'name'> = {
  busyMs: [2 * MINUTE_MS, 2 * HOUR_MS],
  traffic: ['burst', 'steady', 'waves'],
  tenants: [1, 4],
  troubles: [25, 45],
  weights: {
    network: 4,
    api: 4,
    store: 1,
    crash: 2,
    freeze: 1,
    rolling_restart: 0.3,
    clock_jump: 0.5,
    lost_wake_ups: 0.5,
  },
  severity: 1,
  operations: [6, 15],
  rateLimited: 0.3,
}

export const MOODS: readonly Mood[] = [
  { ...USUAL, name: 'calm', busyMs: [2 * MINUTE_MS, HOUR_MS], troubles: [24, 30], severity: 0.3, operations: [5, 8] },
  { ...USUAL, name: 'chaotic', troubles: [45, 60], severity: 1.6, operations: [10, 25] },
  {
    ...USUAL,
    name: 'crash_heavy',
    troubles: [30, 60],
    weights: { crash: 8, freeze: 4, rolling_restart: 1, network: 2, api: 1, store: 0.5, lost_wake_ups: 0.5 },
  },
  {
    ...USUAL,
    name: 'long_outage',
    busyMs: [2 * HOUR_MS, 2 * DAY_MS],
    traffic: ['steady', 'waves', 'sparse'],
    troubles: [24, 36],
    outage: [0.3, 0.6],
  },
  {
    ...USUAL,
    name: 'rate_limited',
    busyMs: [5 * MINUTE_MS, 6 * HOUR_MS],
    weights: { ...USUAL.weights, api: 6, network: 2 },
    rateLimited: 1,
  },
  {
    ...USUAL,
    name: 'operator_heavy',
    busyMs: [5 * MINUTE_MS, 4 * HOUR_MS],
    weights: { ...USUAL.weights, api: 7 },
    operations: [20, 30],
  },
  { ...USUAL, name: 'many_tenants', traffic: ['burst', 'waves'], tenants: [6, 12], rateLimited: 0.5 },
  {
    ...USUAL,
    name: 'clock_trouble',
    busyMs: [10 * MINUTE_MS, DAY_MS],
    weights: { ...USUAL.weights, clock_jump: 8, freeze: 3 },
    wildClocks: true,
  },
  {
    ...USUAL,
    name: 'long_week',
    busyMs: [2 * DAY_MS, 7 * DAY_MS],
    traffic: ['sparse', 'steady'],
    troubles: [24, 45],
    severity: 0.6,
  },
  {
    ...USUAL,
    name: 'store_trouble',
    weights: { store: 8, crash: 2, network: 2, api: 1, freeze: 0.5, lost_wake_ups: 1 },
  },
  { ...USUAL, name: 'network_trouble', weights: { network: 10, api: 1, crash: 2, freeze: 1 }, severity: 1.3 },
]
