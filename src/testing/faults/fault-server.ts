/**
 * What the twin and the proxy have in common: an HTTP server whose every request may meet a fault before it reaches what
 * is behind.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
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
import { type Counters, createCounters, type RequestCounts } from './counts.ts'
import { bodyReader, type Exchange, send, type WireAnswer } from './exchange.ts'
import type { FaultKind, FaultRule } from './fault.ts'
import { createFaultPlan, type ScriptStep, type ScriptTarget } from './fault-plan.ts'
import { listen } from './listener.ts'
import { performFault, resetConnection, statusAnswer } from './perform.ts'

export interface FaultServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  readonly clock: Clock
  readonly random: Random
  readonly faults?: readonly FaultRule[]
  /** Time that every request takes before anything else happens. Default none. */
  readonly latency?: Duration
}

/** The part of the twin and of the proxy that makes trouble. */
export interface FaultServer extends AsyncDisposable {
  /** `http://127.0.0.1:4190` */
  readonly url: string
  readonly port: number
  readonly requests: RequestCounts
  /** How often each fault happened. */
  readonly faults: ReadonlyMap<FaultKind, number>
  /** The next requests of a route, or with an effect key, meet these faults one after the other. */
  script(target: ScriptTarget, steps: readonly ScriptStep[]): void
  /** Goes away, now or later. Resolves when it is away, or planned. */
  outage(options?: OutageOptions): Promise<ActivePeriod>
  brownOut(options?: BrownOutOptions): Promise<ActivePeriod>
  /** Resolves as soon as `predicate` holds; asks after every request and effect. Lets tests wait without sleeping. */
  until(predicate: () => boolean): Promise<void>
  /** Ends all connections; nothing is executed any more. Idempotent. */
  close(): Promise<void>
}

/** One request, as what is behind the faults sees it. */
export interface Handling {
  /** Names the request in counts and rules: `POST /contacts/{id}`. */
  readonly route: string
  /** The effect key, for scripts and chance. May read the body. */
  key(): Promise<string>
  /** A refusal that comes before everything else, such as a rate limit. */
  refuse(): WireAnswer | undefined
  execute(): Promise<WireAnswer>
  /** Without any fault. Resolves to the status that was sent. */
  serve(): Promise<number>
  /** The answer when executing failed by itself. */
  trouble(error: unknown): WireAnswer
}

/** A request that has just arrived. */
export interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readBody(): Promise<Buffer>
  /** Aborts when the server closes. */
  readonly closing: AbortSignal
}

/** Looks at a new request; must not read its body yet. */
export type Handler = (arrival: Arrival) => Handling

export async function startFaultServer(
  options: FaultServerOptions,
  handler: Handler,
  counters: Counters = createCounters(),
): Promise<FaultServer> {
  const { clock } = options
  const plan = createFaultPlan(options.faults ?? [], options.random)
  const latencyMs = durationMs(options.latency ?? 0)
  const closing = new AbortController()
  const outages = new Set<{ readonly mode: OutageMode }>()
  const brownOuts = new Set<BrownOutOptions>()
  let lastTrouble: unknown

  async function answer(exchange: Exchange, handling: Handling): Promise<string> {
    const nth = counters.arrived(handling.route, clock.wallMs())
    const [outage] = outages
    if (outage) return duringOutage(exchange, outage.mode)
    if (latencyMs > 0) await clock.sleep(latencyMs, closing.signal)
    const refusal = handling.refuse()
    if (refusal) {
      await send(exchange.response, refusal)
      return 'rate_limited'
    }
    let choice = plan.onArrival(handling.route, nth)
    if (choice === undefined && (plan.wantsKey() || brownOuts.size > 0)) {
      const key = await handling.key()
      if (await brownedOut(exchange, key)) return 'brown_out'
      choice = plan.onceRead(handling.route, nth, key)
    }
    if (choice === undefined || choice === 'ok') return `http_${await handling.serve()}`
    counters.fired(choice.kind)
    await performFault(exchange, choice)
    return choice.kind
  }

  async function brownedOut(exchange: Exchange, key: string): Promise<boolean> {
    for (const brownOut of brownOuts) {
      if (brownOut.latency !== undefined) await clock.sleep(durationMs(brownOut.latency), closing.signal)
      if (plan.draw('brown-out', key) >= (brownOut.share ?? 0.3)) continue
      await send(exchange.response, statusAnswer({ status: brownOut.status ?? 503 }))
      return true
    }
    return false
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const arrival = { request, response, readBody: bodyReader(request), closing: closing.signal }
    const handling = handler(arrival)
    const execute = (): Promise<WireAnswer> => {
      closing.signal.throwIfAborted()
      return handling.execute()
    }
    // A caller who has left cannot be told anything; that it left is counted below.
    response.on('error', () => {})
    answer({ ...arrival, clock, execute }, handling)
      .catch((error: unknown) => afterTrouble(arrival, () => handling.trouble(error)))
      .then(counters.ended)
      .catch((error: unknown) => {
        lastTrouble = error
      })
  }

  async function afterTrouble({ request, response }: Arrival, trouble: () => WireAnswer): Promise<string> {
    if (closing.signal.aborted) return 'closed'
    if (request.destroyed && !request.complete) return 'caller_left'
    if (response.headersSent) response.destroy()
    else await send(response, trouble())
    return 'failed'
  }

  const host = options.host ?? '127.0.0.1'
  const listener = await listen(host, options.port ?? 0, onRequest)
  const schedule = createSchedule(clock, (error) => {
    lastTrouble = error
  })

  async function updateListener(): Promise<void> {
    const refused = [...outages].some(({ mode }) => mode === 'refused')
    await (refused || closing.signal.aborted ? listener.goAway() : listener.comeBack())
  }

  async function close(): Promise<void> {
    closing.abort()
    await schedule.clear()
    await listener.goAway()
    if (lastTrouble !== undefined) throw lastTrouble
  }

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${listener.port}`,
    port: listener.port,
    requests: counters.requests,
    faults: counters.faults,
    script: plan.script,
    outage(period = {}) {
      const outage = { mode: period.mode ?? 'refused' }
      return schedule.plan(period, ...membership(outages, outage, updateListener))
    },
    brownOut: (period = {}) => schedule.plan(period, ...membership(brownOuts, period, async () => {})),
    until: counters.until,
    close,
    [Symbol.asyncDispose]: close,
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

async function duringOutage(exchange: Exchange, mode: OutageMode): Promise<string> {
  if (mode === 'reset') resetConnection(exchange)
  else if (mode === 'unavailable') await send(exchange.response, statusAnswer({ status: 503 }))
  return `outage_${mode}`
}
