/** The vendors of a simulated world: their twins on the simulated network, and what goes wrong with either. */
import type { Transport } from '../../client/wire/transport.ts'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { FaultInput } from '../faults/fault.ts'
import { createSimulatedNetwork, type SimulatedTwin } from '../network/network.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import type { FactBody } from './fact.ts'
import { ITEM_HEADER } from './process-transport.ts'
import type { ApiPlan, ApiTrouble, ApiTroubleKind, NetworkTrouble, Scenario } from './scenario.ts'
import { CALL_HEADER } from './twin-batches.ts'
import { ERROR_IN_200, isRepeatable, twinRoutes } from './twin-routes.ts'

export interface SimulatedApis {
  /** The network as one process uses it. */
  transport(clock: Clock, deliver: (arrival: () => void) => void): Transport
  /** Name of the API behind an origin. */
  nameOf(origin: string): string
  /** Begins a trouble; call the result to end it. */
  disturb(trouble: NetworkTrouble | ApiTrouble): () => void
  /** Ends every trouble. */
  calm(): void
  /** The effect of a code step. */
  act(api: string, key: string, itemId: string): void
  has(api: string, key: string): boolean
  effects(): ReadonlyMap<string, readonly EffectSeen[]>
}

interface EffectSeen {
  readonly key: string
  readonly route: string
  readonly atMs: number
}

export interface ApiParts {
  readonly scenario: Scenario
  readonly clock: VirtualClock
  readonly random: (purpose: string) => Random
  readonly record: (fact: FactBody) => void
}

/** Flapping: so long up, so long down. */
const FLAP_MS = 10_000
/** What code steps do is named after them, and is no request. */
const CODE_ROUTE = 'code'

/** Drawn integrations have no profile to take it from. */
function addressOf({ name, integration }: ApiPlan): string {
  return integration.baseUrl ?? `https://${name}.test`
}

export function createApis({ scenario, clock, random, record }: ApiParts): SimulatedApis {
  const network = createSimulatedNetwork({ clock, random: random('network') })
  const plans = new Map(scenario.apis.map((plan) => [plan.name, plan]))
  const names = new Map(scenario.apis.map((plan) => [new URL(addressOf(plan)).origin, plan.name]))
  const twins = new Map<string, SimulatedTwin>()
  const effects = new Map<string, EffectSeen[]>()
  const keys = new Map<string, Set<string>>()
  const ends = new Set<() => void>()

  for (const plan of scenario.apis) {
    effects.set(plan.name, [])
    keys.set(plan.name, new Set())
    twins.set(plan.name, twinOf(plan))
  }

  function twinOf(plan: ApiPlan): SimulatedTwin {
    return network.twin(addressOf(plan), {
      name: plan.name,
      routes: twinRoutes(),
      latencyMs: plan.latencyMs,
      connectMs: [0, Math.ceil(plan.latencyMs[0] / 2)],
      ...(plan.rateLimit && { rateLimit: plan.rateLimit }),
      onEffect({ key, route }, { headers }) {
        keep(plan.name, key, route)
        record({
          kind: 'effect',
          api: plan.name,
          route,
          key,
          // What shares a call is named after its item.
          itemId: textOf(headers[ITEM_HEADER]) ?? key,
          repeatable: isRepeatable(route),
          call: Number(textOf(headers[CALL_HEADER])),
        })
      },
    })
  }

  function keep(api: string, key: string, route: string): void {
    effects.get(api)?.push({ key, route, atMs: clock.monotonicMs() })
    keys.get(api)?.add(key)
  }

  function disturb(trouble: NetworkTrouble | ApiTrouble): () => void {
    const plan = plans.get(trouble.api)
    const twin = twins.get(trouble.api)
    if (!plan || !twin) return () => undefined
    const onFired = (): void => record({ kind: 'trouble', what: 'fired', trouble })
    const active =
      trouble.kind === 'network'
        ? network.disturb(addressOf(plan), { ...trouble, onFired })
        : disturbApi(plan, twin, trouble, onFired)
    const end = (): void => {
      if (ends.delete(end)) active[Symbol.dispose]()
    }
    ends.add(end)
    return end
  }

  function disturbApi(plan: ApiPlan, twin: SimulatedTwin, trouble: ApiTrouble, onFired: () => void): Disposable {
    switch (trouble.what) {
      case 'outage':
        return period(twin.outage({ mode: 'refused', onFired }))
      case 'unavailable':
        return period(twin.outage({ mode: 'unavailable', onFired }))
      case 'brown_out':
        return period(twin.brownOut({ share: trouble.share, latency: plan.latencyMs[1], onFired }))
      case 'flapping':
        return flap(() => period(twin.outage({ mode: 'refused', onFired })))
      default:
        return twin.disturb({ fault: faultOf(trouble.what, plan), probability: trouble.share, onFired })
    }
  }

  function flap(fall: () => Disposable): Disposable {
    let down: Disposable | undefined = fall()
    const turn = (): void => {
      if (down) down[Symbol.dispose]()
      down = down ? undefined : fall()
      timer = clock.setTimer(FLAP_MS, turn)
    }
    let timer = clock.setTimer(FLAP_MS, turn)
    return {
      [Symbol.dispose]() {
        timer.cancel()
        down?.[Symbol.dispose]()
      },
    }
  }

  return {
    transport: (processClock, deliver) => network.transport({ clock: processClock, deliver }),
    nameOf: (origin) => names.get(origin) ?? origin,
    disturb,
    calm() {
      for (const end of [...ends]) end()
    },
    act(api, key, itemId) {
      keep(api, key, CODE_ROUTE)
      record({ kind: 'effect', api, route: CODE_ROUTE, key, itemId, repeatable: false })
    },
    has: (api, key) => keys.get(api)?.has(key) ?? false,
    effects: () => effects,
  }
}

/** A period that may be ended before the twin has said that it has begun. */
function period(begun: Promise<{ end(): Promise<void> }>): Disposable {
  return { [Symbol.dispose]: () => void begun.then((active) => active.end()) }
}

type RequestTroubleKind = Exclude<ApiTroubleKind, 'outage' | 'unavailable' | 'brown_out' | 'flapping'>

function faultOf(what: RequestTroubleKind, plan: ApiPlan): FaultInput {
  switch (what) {
    case 'server_error':
      return { kind: 'status', status: 500 }
    case 'executed_then_error':
      return { kind: 'executed_then_status', status: 502 }
    case 'error_in_200':
      return { kind: 'status', status: 200, body: ERROR_IN_200 }
    case 'html':
      return 'html_ok'
    case 'malformed':
      return 'malformed_json'
    case 'empty':
      return 'empty_body'
    case 'hang':
      return 'executed_then_hang'
    case 'unauthorized':
      return { kind: 'status', status: 401, body: { code: 'bad_token', message: `No such token: ${tokenOf(plan)}` } }
    case 'throttled':
      return { kind: 'status', status: 429, headers: { 'retry-after': '7' }, body: { code: 'throttled' } }
  }
}

/** Some APIs repeat in their errors what they were sent. It must not get any further (rule 7). */
function tokenOf({ integration }: ApiPlan): string {
  return integration.auth?.type === 'bearer' ? integration.auth.token : 'none'
}

function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0]
}
