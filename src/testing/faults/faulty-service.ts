/**
 * What everything that makes trouble has in common, however it is reached: each request may meet a fault, an outage or a
 * brown-out before it gets to what is behind.
 */
import type { Clock } from '../../core/clock.ts'
import { type Duration, durationMs } from '../../core/duration.ts'
import type { Random } from '../../core/random.ts'
import {
  type ActivePeriod,
  type BrownOutOptions,
  createSchedule,
  type OutageMode,
  type OutageOptions,
} from './availability.ts'
import type { Counters, RequestCounts } from './counts.ts'
import type { FaultKind, FaultRule } from './fault.ts'
import { createFaultPlan, type ScriptStep, type ScriptTarget } from './fault-plan.ts'
import { type Exchange, performFault, statusAnswer } from './perform.ts'
import type { Wire, WireAnswer } from './wire.ts'

export interface FaultOptions {
  readonly clock: Clock
  readonly random: Random
  readonly faults?: readonly FaultRule[]
  /** Time that every request takes before anything else happens. Default none. */
  readonly latency?: Duration
}

/** The part of a twin, or of the proxy, that makes trouble. */
export interface FaultyService extends AsyncDisposable {
  readonly requests: RequestCounts
  /** How often each fault happened. */
  readonly faults: ReadonlyMap<FaultKind, number>
  /** The next requests of a route, or with an effect key, meet these faults one after the other. */
  script(target: ScriptTarget, steps: readonly ScriptStep[]): void
  /** From now on this rule holds too, after those that hold already, until it is disposed of. */
  disturb(rule: FaultRule): Disposable
  /** Goes away, now or later. Resolves when it is away, or planned. */
  outage(options?: OutageOptions): Promise<ActivePeriod>
  brownOut(options?: BrownOutOptions): Promise<ActivePeriod>
  /** Resolves as soon as `predicate` holds; asks after every request and effect. Lets tests wait without sleeping. */
  until(predicate: () => boolean): Promise<void>
  /** Ends all connections; nothing is executed any more. Idempotent. */
  close(): Promise<void>
}

export interface Refusal {
  readonly answer: WireAnswer
  readonly outcome: string
}

/** One request, as what is behind the faults sees it. */
export interface Handling {
  /** Names the request in counts and rules: `POST /contacts/{id}`. */
  readonly route: string
  /** The effect key, for scripts and chance. May read the body. */
  key(): Promise<string>
  /** A refusal that comes before everything else, such as a rate limit, and how it is counted. */
  refuse(): Refusal | undefined
  /** About the service itself: nothing goes wrong with it, and it is not counted. */
  readonly exempt?: boolean
  execute(): Promise<WireAnswer>
  /** Without any fault. Resolves to the status that was sent. */
  serve(): Promise<number>
  /** The answer when executing failed by itself. */
  trouble(error: unknown): WireAnswer
}

/** Looks at a new request; must not read its body yet. `closing` aborts when the service closes. */
export type Handler<AnyWire extends Wire = Wire> = (wire: AnyWire, closing: AbortSignal) => Handling

/** Where requests come in. */
export interface Door {
  /** Ends all connections; connections are refused from now on. */
  goAway(): Promise<void>
  comeBack(): Promise<void>
}

/** The service, and how requests get to it. */
export interface FaultyCore<AnyWire extends Wire> {
  readonly service: FaultyService
  accept(wire: AnyWire): void
  /** For a network that can be asked: a connection is wanted. False: nobody listens. */
  answersDoor(): boolean
}

export function createFaultyCore<AnyWire extends Wire>(
  options: FaultOptions,
  handler: Handler<AnyWire>,
  counters: Counters,
  door: Door,
): FaultyCore<AnyWire> {
  const { clock } = options
  const plan = createFaultPlan(options.faults ?? [], options.random)
  const latencyMs = durationMs(options.latency ?? 0)
  const closing = new AbortController()
  const outages = new Set<OutageOptions & { readonly mode: OutageMode }>()
  const brownOuts = new Set<BrownOutOptions>()
  let lastTrouble: unknown
  const schedule = createSchedule(clock, (error) => {
    lastTrouble = error
  })

  async function answer(exchange: Exchange, handling: Handling): Promise<string> {
    const nth = counters.arrived(handling.route, clock.wallMs())
    const [outage] = outages
    if (outage) return duringOutage(exchange.wire, outage)
    if (latencyMs > 0) await clock.sleep(latencyMs, closing.signal)
    const refusal = handling.refuse()
    if (refusal) {
      await exchange.wire.send(refusal.answer)
      return refusal.outcome
    }
    let choice = plan.onArrival(handling.route, nth)
    if (choice === undefined && (plan.wantsKey() || brownOuts.size > 0)) {
      const key = await handling.key()
      if (await brownedOut(exchange.wire, key)) return 'brown_out'
      choice = plan.onceRead(handling.route, nth, key)
    }
    if (choice === undefined || choice === 'ok') return `http_${await handling.serve()}`
    counters.fired(choice.kind)
    await performFault(exchange, choice)
    return choice.kind
  }

  async function brownedOut(wire: Wire, key: string): Promise<boolean> {
    for (const brownOut of brownOuts) {
      if (brownOut.latency !== undefined) await clock.sleep(durationMs(brownOut.latency), closing.signal)
      if (plan.draw('brown-out', key) >= (brownOut.share ?? 0.3)) continue
      brownOut.onFired?.()
      await wire.send(statusAnswer({ status: brownOut.status ?? 503 }))
      return true
    }
    return false
  }

  function accept(wire: AnyWire): void {
    const handling = handler(wire, closing.signal)
    if (handling.exempt) {
      handling.serve().catch((error: unknown) => afterTrouble(wire, () => handling.trouble(error)))
      return
    }
    const execute = (): Promise<WireAnswer> => {
      closing.signal.throwIfAborted()
      return handling.execute()
    }
    answer({ wire, clock, closing: closing.signal, execute }, handling)
      .catch((error: unknown) => afterTrouble(wire, () => handling.trouble(error)))
      .then(counters.ended)
      .catch((error: unknown) => {
        lastTrouble = error
      })
  }

  async function afterTrouble(wire: Wire, trouble: () => WireAnswer): Promise<string> {
    if (closing.signal.aborted) return 'closed'
    if (wire.cutOff) return 'caller_left'
    if (wire.begun) await wire.breakOff()
    else await wire.send(trouble())
    return 'failed'
  }

  function isAway(): boolean {
    return closing.signal.aborted || [...outages].some(({ mode }) => mode === 'refused')
  }
  const moveDoor = (): Promise<void> => (isAway() ? door.goAway() : door.comeBack())

  async function close(): Promise<void> {
    closing.abort()
    await schedule.clear()
    await door.goAway()
    if (lastTrouble !== undefined) throw lastTrouble
  }

  const service: FaultyService = {
    requests: counters.requests,
    faults: counters.faults,
    script: plan.script,
    disturb: plan.addRule,
    outage(period = {}) {
      const outage = { ...period, mode: period.mode ?? 'refused' }
      return schedule.plan(period, ...membership(outages, outage, moveDoor))
    },
    brownOut: (period = {}) => schedule.plan(period, ...membership(brownOuts, { ...period }, async () => {})),
    until: counters.until,
    close,
    [Symbol.asyncDispose]: close,
  }
  return {
    service,
    accept,
    answersDoor() {
      if (!isAway()) return true
      for (const outage of outages) if (outage.mode === 'refused') outage.onFired?.()
      return false
    },
  }
}

/** The begin and the end of a period: being in a set. */
function membership<Value>(
  set: Set<Value>,
  value: Value,
  changed: () => Promise<void>,
): [begin: () => Promise<void>, end: () => Promise<void>] {
  return [
    () => {
      set.add(value)
      return changed()
    },
    () => {
      set.delete(value)
      return changed()
    },
  ]
}

async function duringOutage(wire: Wire, outage: OutageOptions & { readonly mode: OutageMode }): Promise<string> {
  outage.onFired?.()
  if (outage.mode === 'reset') wire.reset()
  else if (outage.mode === 'unavailable') await wire.send(statusAnswer({ status: 503 }))
  return `outage_${outage.mode}`
}
