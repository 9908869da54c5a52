/** The breakers this process knows: whole API, endpoint, tenant at an endpoint (D15). */
import type { BreakerSettings } from '../../config/settings.ts'
import type { BreakerPhase, EventBus } from '../../core/events.ts'
import type { Json } from '../../core/json.ts'
import {
  admission,
  advanceBreaker,
  type BreakerEvent,
  type BreakerState,
  CLOSED_BREAKER,
} from '../../policy/breaker/breaker.ts'
import { type BreakerScope, reduceScopedBreaker } from '../../policy/breaker/breaker-scopes.ts'
import type { BreakerView } from './health.ts'
import type { Refusal } from './lane-health.ts'

export interface Breaker {
  readonly key: string
  state: BreakerState
  /** Absent on breakers known only from the ledger. */
  rules: BreakerRules | undefined
  /** Calls under way in this process: what a ramp limits. */
  inFlight: number
  usedAtMs: number
  /** Of the shared record, as last read or written. */
  revision: number
  /** Of the state that this process last wrote or took over. */
  sharedSignature: string
}

export interface BreakerRules {
  readonly scope: BreakerScope
  readonly settings: BreakerSettings
}

export interface BreakerBoard {
  get(key: string, rules: BreakerRules): Breaker
  find(key: string): Breaker | undefined
  all(): Iterable<Breaker>
  size(): number
  views(nowMs: number): BreakerView[]
  /** Takes in what time alone has changed: the last wave of a ramp is over. */
  advance(nowMs: number): void
  /** Applies an event, and tells of a change of phase. */
  apply(breaker: Breaker, event: BreakerEvent): void
  /** Takes over a state from elsewhere, and tells of a change of phase. */
  replace(breaker: Breaker, state: BreakerState, atMs: number): void
  /** An operator's decision: closed at once. */
  reset(breaker: Breaker, atMs: number): void
  /** Forgets closed breakers without failures that nobody has used since. */
  forgetIdle(usedBeforeMs: number): void
  /** A record of a breaker that this process has not used yet. */
  learn(key: string): Breaker
}

/** Not part of the reducer's signature of change: a success more or less is nobody else's business. */
const CLEAN = shareSignature(CLOSED_BREAKER)

export function createBreakerBoard(events: EventBus, onPhaseChange: () => void): BreakerBoard {
  const breakers = new Map<string, Breaker>()

  function learn(key: string): Breaker {
    let breaker = breakers.get(key)
    if (!breaker) {
      breaker = {
        key,
        state: CLOSED_BREAKER,
        rules: undefined,
        inFlight: 0,
        usedAtMs: 0,
        revision: 0,
        sharedSignature: CLEAN,
      }
      breakers.set(key, breaker)
    }
    return breaker
  }

  function replace(breaker: Breaker, state: BreakerState, atMs: number): void {
    const from = breaker.state.phase
    breaker.state = state
    if (from === state.phase) return
    events.emit('breaker.changed', atMs, {
      key: breaker.key,
      from,
      to: state.phase,
      reason: state.reason,
      ...(state.phase === 'open' && { untilMs: state.openUntilMs }),
    })
    onPhaseChange()
  }

  function advance(nowMs: number): void {
    for (const breaker of breakers.values()) {
      if (breaker.state.phase !== 'ramping' || !breaker.rules) continue
      replace(breaker, advanceBreaker(breaker.state, nowMs, breaker.rules.settings), nowMs)
    }
  }

  return {
    learn,
    replace,
    get(key, rules) {
      const breaker = learn(key)
      breaker.rules = rules
      return breaker
    },
    find: (key) => breakers.get(key),
    all: () => breakers.values(),
    size: () => breakers.size,
    views(nowMs) {
      advance(nowMs)
      return [...breakers.values()].map(viewOf)
    },
    advance,
    apply(breaker, event) {
      if (!breaker.rules) return
      const { scope, settings } = breaker.rules
      replace(breaker, reduceScopedBreaker(scope, breaker.state, event, settings), event.atMs)
    },
    reset(breaker, atMs) {
      // Whatever its settings: those of a breaker known only from the ledger are not known here.
      // Later than what it undoes, even where the clock of the machine that opened it is ahead.
      const changedAtMs = Math.max(atMs, breaker.state.changedAtMs + 1)
      replace(breaker, { ...CLOSED_BREAKER, rampFromMs: atMs, changedAtMs, reason: 'reset by hand' }, atMs)
    },
    forgetIdle(usedBeforeMs) {
      for (const breaker of breakers.values()) {
        const idle = breaker.inFlight === 0 && breaker.usedAtMs < usedBeforeMs
        if (idle && breaker.state.phase === 'closed' && breaker.sharedSignature === CLEAN) breakers.delete(breaker.key)
      }
    },
  }
}

export type BreakerGrant = { readonly refused: Refusal } | { readonly refused: undefined; readonly probe: boolean }

const FREE: BreakerGrant = { refused: undefined, probe: false }
const PROBE: BreakerGrant = { refused: undefined, probe: true }

/** All scopes must let it through; of several refusals, the one that lasts longest counts. Asking changes nothing. */
export function askBreakers(breakers: readonly Breaker[], nowMs: number, concurrency: number): BreakerGrant {
  let grant = FREE
  for (const breaker of breakers) {
    if (breaker.state.phase === 'closed' || !breaker.rules) continue
    const answer = admission(breaker.state, nowMs, breaker.rules.settings)
    if (answer.admit === 'probe' && !grant.refused) grant = PROBE
    const full = answer.admit === 'share' && breaker.inFlight >= shareOf(answer.share, concurrency)
    if (answer.admit !== 'none' && !full) continue
    const untilMs = full ? nowMs + Math.ceil(breaker.rules.settings.rampStepMs / 10) : answer.retryAtMs
    if (grant.refused && grant.refused.untilMs >= untilMs) continue
    grant = { refused: { by: 'breaker', untilMs, reason: `breaker ${breaker.key}: ${answer.reason}` } }
  }
  return grant
}

/** How many more calls the breakers let start now. */
export function breakerRoom(breakers: readonly Breaker[], nowMs: number, concurrency: number): number {
  let room = Number.POSITIVE_INFINITY
  for (const breaker of breakers) {
    if (breaker.state.phase === 'closed' || !breaker.rules) continue
    const answer = admission(breaker.state, nowMs, breaker.rules.settings)
    if (answer.admit === 'probe') room = Math.min(room, 1)
    if (answer.admit === 'share') room = Math.min(room, shareOf(answer.share, concurrency) - breaker.inFlight)
  }
  return Math.max(0, room)
}

function shareOf(share: number, concurrency: number): number {
  return Math.max(1, Math.floor(share * concurrency))
}

/** What other processes must know of a state. Equal signatures need no write. */
export function shareSignature(state: BreakerState): string {
  if (state.phase === 'closed' && state.consecutiveFailures === 0) return `closed ${state.changedAtMs}`
  const probes = state.probes.map((probe) => probe.id).join(',')
  return `${state.phase} ${state.changedAtMs} ${state.consecutiveFailures} ${state.probeSuccesses} ${probes}`
}

/** Changes of phase in the same millisecond: which one comes after the other. Opening ends anything else. */
const ORDER: Record<BreakerPhase, number> = { half_open: 0, ramping: 1, closed: 2, open: 3 }

/**
 * What to go on with when another process has a word on the same breaker. The later change of phase wins. Until it closes,
 * each process has the last word on its own probes: one under way goes on, whoever says meanwhile that it is open. Windows of closed breakers stay local: each process
 * sees enough of its own.
 */
export function mergeBreakers(local: BreakerState, remote: BreakerState, workerId: string): BreakerState {
  if (local.phase === 'closed' && remote.phase === 'closed') {
    return local.calls.length === 0 && local.consecutiveFailures === 0 ? remote : local
  }
  const later = remote.changedAtMs - local.changedAtMs || ORDER[remote.phase] - ORDER[local.phase]
  const winner = later > 0 ? remote : local
  if (!isProbed(local) || !isProbed(remote)) return winner
  return {
    ...winner,
    probes: [
      ...local.probes.filter(({ id }) => isProbeOf(workerId, id)),
      ...remote.probes.filter(({ id }) => !isProbeOf(workerId, id)),
    ],
    probeSuccesses: winner.phase === 'open' ? 0 : Math.max(local.probeSuccesses, remote.probeSuccesses),
  }
}

function isProbed({ phase }: BreakerState): boolean {
  return phase === 'open' || phase === 'half_open'
}

export function probeIdOf(workerId: string, uniqueId: string): string {
  return `${workerId}/${uniqueId}`
}

function isProbeOf(workerId: string, probeId: string): boolean {
  return probeId.startsWith(`${workerId}/`)
}

export function breakerToJson(state: BreakerState): Json {
  return state as unknown as Json
}

/** `undefined` for a record that is not a breaker's: another version's, or damaged. */
export function breakerFromJson(value: Json): BreakerState | undefined {
  const state = value as unknown as Partial<BreakerState> | null
  const whole =
    typeof state === 'object' && state !== null && typeof state.phase === 'string' && Array.isArray(state.calls)
  return whole && Array.isArray(state.probes) ? { ...CLOSED_BREAKER, ...state } : undefined
}

function viewOf({ key, state }: Breaker): BreakerView {
  return {
    key,
    phase: state.phase,
    reason: state.reason,
    openUntilMs: state.openUntilMs,
    changedAtMs: state.changedAtMs,
    failures: state.calls.filter((call) => call.failed).length,
    calls: state.calls.length,
  }
}
