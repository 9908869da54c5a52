/**
 * A breaker as a pure reducer (D12-D16): state and event in, state out. Plain data, so that it can live in the store and be
 * shared, and model-checked.
 *
 *     closed --- trips ---> open --- probe_started, after openUntilMs ---> half_open
 *     half_open --- a probe fails ---> open, for twice as long, up to maxOpenMs
 *     half_open --- enough probes succeed ---> ramping --- all waves passed ---> closed
 *     ramping --- trips ---> open, for twice as long
 *
 * Nothing here needs a timer: what time alone changes is worked out when somebody asks or tells. Times may be out of order, as
 * those of several workers are, and a clock that was set back delays a probe by two cooldowns at most.
 */
import type { BreakerSettings } from '../../config/settings.ts'
import { formatDuration } from '../../core/duration.ts'
import type { BreakerPhase } from '../../core/events.ts'
import { appendCall, failingGroups, type MayTrip, tripReason } from './breaker-window.ts'

export interface BreakerState {
  readonly phase: BreakerPhase
  /** The last calls, oldest first, whatever their age: at most `windowCalls`. Calls before the last closing are forgotten. */
  readonly calls: readonly BreakerCall[]
  readonly consecutiveFailures: number
  /** In `open`: when probes may begin. */
  readonly openUntilMs: number
  /** The cooldown of the present, or the next, opening. 0: none yet, the next is `openMs`. */
  readonly cooldownMs: number
  /**
   * Leases of probes under way. In `half_open`, and in `open` where somebody else's failure ended the half-open phase
   * before the probe was back: the next one must wait for it.
   */
  readonly probes: readonly { readonly id: string; readonly untilMs: number }[]
  readonly probeSuccesses: number
  /** When traffic was let back last, by good probes or by hand. */
  readonly rampFromMs: number
  /** In plain words, e.g. `14 of 20 calls failed, last with http_503`. */
  readonly reason: string
  readonly changedAtMs: number
}

export interface BreakerCall {
  readonly atMs: number
  readonly failed: boolean
  readonly tenant?: string | undefined
  readonly endpoint?: string | undefined
}

interface CallEnd {
  readonly atMs: number
  readonly tenant?: string | undefined
  readonly endpoint?: string | undefined
  /** The id of `probe_started`, where the call was a probe. */
  readonly probeId?: string | undefined
  /** When it was sent. A call that was sent before the breaker closed says nothing about the time since; default: unknown. */
  readonly startedAtMs?: number | undefined
}

export type BreakerEvent =
  | ({ readonly type: 'succeeded' } & CallEnd)
  | ({ readonly type: 'failed'; readonly code: string } & CallEnd)
  /** A call that says nothing about health (4xx, 429, cancelled): frees its probe. */
  | ({ readonly type: 'neutral' } & CallEnd)
  | { readonly type: 'probe_started'; readonly atMs: number; readonly probeId: string }
  | { readonly type: 'reset'; readonly atMs: number }

export const CLOSED_BREAKER: BreakerState = {
  phase: 'closed',
  calls: [],
  consecutiveFailures: 0,
  openUntilMs: 0,
  cooldownMs: 0,
  probes: [],
  probeSuccesses: 0,
  rampFromMs: 0,
  reason: '',
  changedAtMs: 0,
}

/**
 * The state after an event. The same object comes back where the event changes nothing.
 * @param mayTrip a second opinion, asked when the counts say "trip": see {@link parentMayTrip}. Default: yes.
 */
export function reduceBreaker(
  state: BreakerState,
  event: BreakerEvent,
  settings: BreakerSettings,
  mayTrip?: MayTrip,
): BreakerState {
  // The path of nearly every call: nothing to work out.
  if (event.type === 'succeeded' && state.phase === 'closed') return recordSuccess(state, event, settings)
  const current = advanceBreaker(state, event.atMs, settings)
  switch (event.type) {
    case 'reset':
      return { ...CLOSED_BREAKER, rampFromMs: event.atMs, changedAtMs: event.atMs, reason: 'reset by hand' }
    case 'probe_started':
      return startProbe(current, event.probeId, event.atMs, settings)
    default:
      if (current.phase === 'half_open') return endProbe(current, event, settings)
      // While it is open, results come from calls sent before: they neither prolong nor end anything.
      if (current.phase === 'open') return withoutProbe(current, event.probeId)
      if (event.type === 'neutral') return current
      if (event.type === 'succeeded') return recordSuccess(current, event, settings)
      return recordFailure(current, event, settings, mayTrip)
  }
}

/** What time alone has changed by `nowMs`: the last wave of a ramp is over. For screens and `breaker.changed` events. */
export function advanceBreaker(state: BreakerState, nowMs: number, settings: BreakerSettings): BreakerState {
  if (state.phase !== 'ramping' || rampShare(state, nowMs, settings) < 1) return state
  // Never ahead of now, where the clock was set back: a change that is to come would outvote real ones.
  return { ...state, phase: 'closed', changedAtMs: Math.min(nowMs, state.rampFromMs + rampMs(settings)) }
}

export interface BreakerAdmission {
  /** `all`: no limit; `probe`: one probe may start (send `probe_started`); `share`: that share of full concurrency; `none`. */
  readonly admit: 'all' | 'probe' | 'share' | 'none'
  readonly share: number
  /** For `none`: when to ask again. */
  readonly retryAtMs: number
  readonly reason: string
}

const ADMIT_ALL: BreakerAdmission = Object.freeze({ admit: 'all', share: 1, retryAtMs: 0, reason: '' })

/** A probe mostly ends long before its lease: those who wait for it ask again after this. */
const PROBE_RECHECK_MS = 1_000

/** What the breaker lets through at `nowMs`. Pure: asking changes nothing. */
export function admission(state: BreakerState, nowMs: number, settings: BreakerSettings): BreakerAdmission {
  switch (state.phase) {
    case 'closed':
      return ADMIT_ALL
    case 'ramping': {
      const share = rampShare(state, nowMs, settings)
      if (share >= 1) return ADMIT_ALL
      return {
        admit: 'share',
        share,
        retryAtMs: 0,
        reason: `letting traffic back in waves: ${Math.round(share * 100)} %`,
      }
    }
    case 'open':
      if (!probeMayBegin(state, nowMs)) return refuse(`open: ${state.reason}`, state.openUntilMs)
      return admitNextProbe(state, nowMs, settings)
    case 'half_open':
      return admitNextProbe(state, nowMs, settings)
  }
}

/**
 * For a parent scope (an API as a whole): trips only when at least 3 distinct tenants, or more than half of the active ones,
 * fail (D15). A tenant fails where at least half of its calls do. Calls without a tenant count as one tenant.
 */
export function parentMayTrip(calls: readonly BreakerCall[]): boolean {
  const { failing, active } = failingGroups(calls, (call) => call.tenant)
  return failing >= 3 || failing > active / 2
}

function admitNextProbe(state: BreakerState, nowMs: number, settings: BreakerSettings): BreakerAdmission {
  const probe = probeUnderWay(state, nowMs, settings)
  if (probe) {
    const retryAtMs = Math.min(probe.untilMs, nowMs + PROBE_RECHECK_MS)
    return refuse(`half open, a probe is under way: ${state.reason}`, retryAtMs)
  }
  return { admit: 'probe', share: 0, retryAtMs: 0, reason: `half open, one probe may start: ${state.reason}` }
}

function refuse(reason: string, retryAtMs: number): BreakerAdmission {
  return { admit: 'none', share: 0, retryAtMs, reason }
}

function recordSuccess(
  state: BreakerState,
  event: BreakerEvent & { readonly type: 'succeeded' },
  settings: BreakerSettings,
): BreakerState {
  if (isFromBeforeClosing(state, event)) return state
  return withCall(state, callOf(event, false), 0, settings)
}

function recordFailure(
  state: BreakerState,
  event: BreakerEvent & { readonly type: 'failed' },
  settings: BreakerSettings,
  mayTrip: MayTrip | undefined,
): BreakerState {
  if (isFromBeforeClosing(state, event)) return state
  const next = withCall(state, callOf(event, true), state.consecutiveFailures + 1, settings)
  const reason = tripReason(next.calls, next.consecutiveFailures, event.atMs, settings, mayTrip)
  if (reason === undefined) return next
  return open(next, `${reason}, last with ${event.code}`, event.atMs, cooldownOnTrip(next, event.atMs, settings))
}

function callOf({ atMs, tenant, endpoint }: CallEnd, failed: boolean): BreakerCall {
  return { atMs, failed, tenant, endpoint }
}

/** Field by field: a spread would cost more than all the rest of a successful call. */
function withCall(
  state: BreakerState,
  call: BreakerCall,
  consecutiveFailures: number,
  settings: BreakerSettings,
): BreakerState {
  return {
    phase: state.phase,
    calls: appendCall(state.calls, call, settings.windowCalls),
    consecutiveFailures,
    openUntilMs: state.openUntilMs,
    cooldownMs: state.cooldownMs,
    probes: state.probes,
    probeSuccesses: state.probeSuccesses,
    rampFromMs: state.rampFromMs,
    reason: state.reason,
    changedAtMs: state.changedAtMs,
  }
}

/** Not where the clock was set back behind the closing: then order tells nothing, and being deaf would be worse. */
function isFromBeforeClosing({ rampFromMs }: BreakerState, { startedAtMs, atMs }: CallEnd): boolean {
  return startedAtMs !== undefined && startedAtMs < rampFromMs && atMs >= rampFromMs
}

function open(state: BreakerState, reason: string, atMs: number, cooldownMs: number): BreakerState {
  return {
    ...state,
    phase: 'open',
    openUntilMs: atMs + cooldownMs,
    cooldownMs,
    probes: [],
    probeSuccesses: 0,
    reason,
    changedAtMs: atMs,
  }
}

/** Grown while it comes back soon; `openMs` again once it has stayed closed for as long as the grown cooldown. */
function cooldownOnTrip(state: BreakerState, atMs: number, settings: BreakerSettings): number {
  const stayedClosedMs = atMs - state.rampFromMs
  const cameBackSoon = state.phase === 'ramping' || stayedClosedMs < state.cooldownMs
  return cameBackSoon ? Math.max(state.cooldownMs, settings.openMs) : settings.openMs
}

function grownCooldownMs(state: BreakerState, { openMs, maxOpenMs }: BreakerSettings): number {
  return Math.max(openMs, Math.min(state.cooldownMs * 2, maxOpenMs))
}

function startProbe(state: BreakerState, id: string, atMs: number, settings: BreakerSettings): BreakerState {
  const mayBegin = state.phase === 'half_open' || (state.phase === 'open' && probeMayBegin(state, atMs))
  if (!mayBegin || probeUnderWay(state, atMs, settings)) return state
  const probes = [{ id, untilMs: atMs + settings.probeLeaseMs }]
  if (state.phase === 'half_open') return { ...state, probes }
  return { ...state, phase: 'half_open', probes, changedAtMs: atMs }
}

function withoutProbe(state: BreakerState, probeId: string | undefined): BreakerState {
  const probes = state.probes.filter(({ id }) => id !== probeId)
  return probes.length === state.probes.length ? state : { ...state, probes }
}

/** A probe that nobody waits for any more, because its lease passed to another, changes nothing. */
function endProbe(
  state: BreakerState,
  event: BreakerEvent & { readonly type: 'succeeded' | 'failed' | 'neutral' },
  settings: BreakerSettings,
): BreakerState {
  const freed = withoutProbe(state, event.probeId)
  if (freed === state || event.type === 'neutral') return freed
  if (event.type === 'failed') {
    const cooldownMs = grownCooldownMs(state, settings)
    const reason = `a probe failed with ${event.code}; open for another ${formatDuration(cooldownMs)}`
    return open(state, reason, event.atMs, cooldownMs)
  }
  const probeSuccesses = state.probeSuccesses + 1
  if (probeSuccesses < settings.probes) return { ...freed, probeSuccesses }
  return {
    ...CLOSED_BREAKER,
    phase: rampMs(settings) > 0 ? 'ramping' : 'closed',
    cooldownMs: grownCooldownMs(state, settings),
    rampFromMs: event.atMs,
    reason: `${probeSuccesses} ${probeSuccesses === 1 ? 'probe' : 'probes in a row'} succeeded`,
    changedAtMs: event.atMs,
  }
}

/** Opened further ahead than a whole cooldown: the clock was set back since, and `openUntilMs` means nothing any more. */
function probeMayBegin({ openUntilMs, changedAtMs, cooldownMs }: BreakerState, nowMs: number): boolean {
  return nowMs >= openUntilMs || nowMs < changedAtMs - cooldownMs
}

function probeUnderWay({ probes }: BreakerState, nowMs: number, settings: BreakerSettings) {
  return probes.find(({ untilMs }) => leaseIsAlive(untilMs, nowMs, settings))
}

/** A lease that ends further ahead than two leases was given before the clock was set back. */
function leaseIsAlive(untilMs: number, nowMs: number, { probeLeaseMs }: BreakerSettings): boolean {
  return nowMs < untilMs && untilMs - nowMs <= probeLeaseMs * 2
}

/** Until all traffic is let through: the waves before the first whole one. */
function rampMs({ rampShares, rampStepMs }: BreakerSettings): number {
  const firstWhole = rampShares.findIndex((share) => share >= 1)
  return (firstWhole < 0 ? rampShares.length : firstWhole) * rampStepMs
}

function rampShare({ rampFromMs }: BreakerState, nowMs: number, settings: BreakerSettings): number {
  const elapsedMs = nowMs - rampFromMs
  // So far before the ramp began, the clock was set back: a share held for that long would be an outage of our own.
  if (elapsedMs < -rampMs(settings) || elapsedMs >= rampMs(settings)) return 1
  return settings.rampShares[Math.max(0, Math.floor(elapsedMs / settings.rampStepMs))] ?? 1
}
