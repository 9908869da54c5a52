/**
 * What goes wrong, and when. Clocks: a store has one (docs/decisions/010), that of its server or of the one machine it is a file on, and
 * processes differ from it by little: here by a quarter of a lease at most, all jumps counted. In the mood `clock_trouble` that one clock is
 * set by hours, forward and back, for all at once: as when a laptop sleeps, or a wrong clock is put right. It is never more than half a day
 * off: due times are times, and what is due tomorrow by a clock that was wrong is due tomorrow.
 */

import type { WrittenIntegration } from '../../../config/schema.ts'
import type { DisturbanceKind } from '../../network/disturbance.ts'
import type {
  ApiTroubleKind,
  ClockTrouble,
  MachinePlan,
  RestartPlan,
  Scenario,
  StoreTrouble,
  TroublePlan,
} from '../scenario.ts'
import { type Chance, createChance } from './chance.ts'
import type { Frame } from './frame.ts'
import { drawPolicies } from './policies.ts'

export const NETWORK_TROUBLES = [
  'refused',
  'lost_request',
  'lost_answer',
  'delayed',
  'duplicated',
  'reset_before_reading',
  'reset_before_executing',
  'reset_after_executing',
  'cut_in_the_answer',
] as const satisfies readonly DisturbanceKind[]

export const API_TROUBLES = [
  'outage',
  'unavailable',
  'brown_out',
  'flapping',
  'server_error',
  'executed_then_error',
  'error_in_200',
  'html',
  'malformed',
  'empty',
  'hang',
  'unauthorized',
  'throttled',
] as const satisfies readonly ApiTroubleKind[]

const STORE_TROUBLES = ['refused', 'slow', 'outcome_unknown'] as const satisfies readonly StoreTrouble['what'][]

/** Of every scenario: dozens of faults, whatever its mood. */
export const FEWEST_TROUBLES = 24
/** Of all troubles, those that come at any time. */
const STRAY_SHARE = 0.2
/** Flapping costs timers all the time. */
const LONGEST_FLAPPING_MS = 600_000
/** Everything stops for each of them. */
const MOST_RESTARTS = 4
/** See the skews in `machines.ts`: each machine is off by a sixteenth of a lease for each reason at most. */
const JUMP_SHARE = 1 / 16
const WILD_JUMP_MS = 12 * 3_600_000

interface Cast {
  readonly frame: Frame
  readonly machines: readonly MachinePlan[]
  /** Those that are called. */
  readonly apis: readonly string[]
  /** When something is handed in. */
  readonly momentsMs: readonly number[]
  /** What this seed leaves in. */
  readonly network: readonly DisturbanceKind[]
  readonly api: readonly ApiTroubleKind[]
  readonly store: readonly StoreTrouble['what'][]
}

export function drawTroubles(
  seed: string,
  frame: Frame,
  { machines, pipelines, submissions }: Pick<Scenario, 'machines' | 'pipelines' | 'submissions'>,
): TroublePlan[] {
  const chance = createChance(`${seed}:troubles`)
  const { mood } = frame
  const calls = pipelines.flatMap(({ steps }) => steps.filter(({ kind }) => !kind.startsWith('code')))
  const cast: Cast = {
    frame,
    machines,
    apis: [...new Set(calls.map(({ api }) => api))],
    momentsMs: submissions.map(({ atMs }) => atMs),
    network: chance.some(NETWORK_TROUBLES, 0.5, 2),
    api: chance.some(API_TROUBLES, 0.5, 2),
    store: chance.some(STORE_TROUBLES, 0.6, 1),
  }
  const weights = leaveSomeOut(chance, mood.weights)
  const count = chance.integer(...mood.troubles)
  const withoutRestarts = { ...weights, rolling_restart: 0 }
  const troubles: TroublePlan[] = []
  let restarts = 0
  while (troubles.length < count) {
    const kind: TroublePlan['kind'] = chance.weighted(restarts < MOST_RESTARTS ? weights : withoutRestarts)
    if (kind === 'rolling_restart') restarts += 1
    troubles.push(drawTrouble(chance, cast, kind))
  }
  if (mood.outage) troubles.push(longOutage(chance, cast, mood.outage))
  return settleClocks(troubles).toSorted((left, right) => left.atMs - right.atMs)
}

function leaveSomeOut<Kind extends string>(chance: Chance, weights: Readonly<Partial<Record<Kind, number>>>) {
  const kept = chance.some(Object.entries(weights) as [Kind, number][], 0.75, 3)
  return Object.fromEntries(kept) as Partial<Record<Kind, number>>
}

function drawTrouble(chance: Chance, cast: Cast, kind: TroublePlan['kind']): TroublePlan {
  const { frame, machines } = cast
  const machine = chance.pick(machines).name
  switch (kind) {
    case 'network':
      return drawNetworkTrouble(chance, cast)
    case 'api':
      return drawApiTrouble(chance, cast)
    case 'store':
      return drawStoreTrouble(chance, cast, machine)
    case 'crash': {
      const downMs = chance.magnitude(10, frame.busyMs / 30)
      return { kind, atMs: startOf(chance, cast, downMs, false), machine, crossings: chance.magnitude(1, 400), downMs }
    }
    case 'freeze': {
      const longestMs = Math.min(3 * frame.leaseMs, frame.busyMs / 6)
      const lastsMs = chance.magnitude(Math.min(frame.leaseMs / 5, longestMs), longestMs)
      return { kind, atMs: startOf(chance, cast, lastsMs, false), machine, lastsMs }
    }
    case 'rolling_restart':
      return drawRestart(chance, cast)
    case 'clock_jump':
      return drawJump(chance, cast, machine)
    case 'lost_wake_ups': {
      const lastsMs = drawLength(chance, frame)
      return { kind, atMs: startOf(chance, cast, lastsMs, true), lastsMs }
    }
  }
}

/**
 * When a trouble of this length begins. Most of a long run nothing happens that could go wrong, so most troubles come when something
 * is handed in: those that last have begun by then, those of a moment come a little later.
 */
function startOf(chance: Chance, { frame, momentsMs }: Cast, lastsMs: number, lasting: boolean): number {
  const latestMs = frame.busyMs - lastsMs
  if (chance.yes(STRAY_SHARE)) return Math.floor(chance.between(0, latestMs))
  const earlyMs = lasting ? chance.between(0, lastsMs) : -chance.between(0, 3 * frame.slowestAnswerMs)
  return Math.floor(Math.min(latestMs, Math.max(0, chance.pick(momentsMs) - earlyMs)))
}

function drawLength(chance: Chance, { busyMs, mood }: Frame): number {
  return chance.magnitude(busyMs / 500, Math.min(busyMs / 4, (busyMs / 20) * mood.severity))
}

function drawShare(chance: Chance, { mood }: Frame): number {
  return Math.min(1, chance.between(0.1, 0.9) * mood.severity)
}

function drawNetworkTrouble(chance: Chance, cast: Cast): TroublePlan {
  const { frame, apis, network } = cast
  const what = chance.pick(network)
  const lastsMs = drawLength(chance, frame)
  return {
    kind: 'network',
    atMs: startOf(chance, cast, lastsMs, true),
    lastsMs,
    api: chance.pick(apis),
    what,
    share: drawShare(chance, frame),
    ...(what === 'delayed' && { delayMs: chance.magnitude(50, frame.longestDelayMs) }),
  }
}

const WHOLE: ReadonlySet<ApiTroubleKind> = new Set(['outage', 'unavailable', 'flapping'])

function drawApiTrouble(chance: Chance, cast: Cast): TroublePlan {
  const { frame, apis, api } = cast
  const what = chance.pick(api)
  const longestMs = what === 'flapping' ? LONGEST_FLAPPING_MS : frame.busyMs
  const lastsMs = Math.min(longestMs, drawLength(chance, frame))
  // One refusal suspends a lane until a person resumes it: more would leave nothing else to see.
  const share = WHOLE.has(what) ? 1 : drawShare(chance, frame) * (what === 'unauthorized' ? 0.3 : 1)
  return { kind: 'api', atMs: startOf(chance, cast, lastsMs, true), lastsMs, api: chance.pick(apis), what, share }
}

function longOutage(chance: Chance, cast: Cast, share: readonly [number, number]): TroublePlan {
  const { frame, apis } = cast
  const lastsMs = Math.round(frame.busyMs * chance.between(...share))
  const what = chance.pick(['outage', 'unavailable'] as const)
  return { kind: 'api', atMs: startOf(chance, cast, lastsMs, true), lastsMs, api: chance.pick(apis), what, share: 1 }
}

function drawStoreTrouble(chance: Chance, cast: Cast, machine: string): TroublePlan {
  const { frame, store } = cast
  const lastsMs = drawLength(chance, frame)
  return {
    kind: 'store',
    atMs: startOf(chance, cast, lastsMs, true),
    lastsMs,
    machine,
    what: chance.pick(store),
    share: drawShare(chance, frame),
    // Now and then beyond a lease.
    delayMs: chance.magnitude(5, Math.min(1.5 * frame.leaseMs, frame.busyMs / 20)),
  }
}

function drawRestart(chance: Chance, { frame, apis }: Cast): RestartPlan {
  const changed = chance.yes(0.5) ? chance.some(apis, 0.6, 1) : []
  return {
    kind: 'rolling_restart',
    // Machines take their turns: the last one must be back in time.
    atMs: Math.floor(chance.between(0, 0.7 * frame.busyMs)),
    graceMs: chance.magnitude(50, Math.min(15_000, frame.busyMs / 30)),
    downMs: chance.magnitude(10, Math.min(60_000, frame.busyMs / 60)),
    ...(changed.length > 0 && {
      config: Object.fromEntries(changed.map((name) => [name, drawChange(chance, frame)])),
    }),
  }
}

/** Limits stay: what is counted over all machines cannot be judged while they disagree on it. */
function drawChange(chance: Chance, frame: Frame): Partial<WrittenIntegration> {
  const { retry, breaker, timeouts } = drawPolicies(chance, frame)
  return {
    ...(chance.yes(0.6) && { retry }),
    ...(chance.yes(0.5) && { breaker }),
    ...(chance.yes(0.4) && { timeouts }),
  }
}

function drawJump(chance: Chance, cast: Cast, machine: string): ClockTrouble {
  const { frame } = cast
  const isShared = chance.yes(0.15)
  const isWild = frame.mood.wildClocks === true && chance.yes(0.7)
  const size = isWild ? WILD_JUMP_MS : JUMP_SHARE * frame.leaseMs
  return {
    kind: 'clock_jump',
    atMs: startOf(chance, cast, 0, false),
    ...(!isShared && !isWild && { machine }),
    byMs: Math.round(chance.between(-1, 1) * size) || 1,
  }
}

/** Jumps add up: a later one also takes the earlier ones back, so that no clock drifts away jump by jump. */
function settleClocks(troubles: readonly TroublePlan[]): TroublePlan[] {
  const offMs = new Map<string, number>()
  return troubles
    .toSorted((left, right) => left.atMs - right.atMs)
    .map((trouble) => {
      if (trouble.kind !== 'clock_jump') return trouble
      const clock = trouble.machine ?? '(all)'
      const byMs = trouble.byMs - (offMs.get(clock) ?? 0)
      offMs.set(clock, trouble.byMs)
      return { ...trouble, byMs }
    })
}
