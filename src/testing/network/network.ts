/** Twins that are reached without sockets: the network, in this process and on its clock. */
import { createDeadlines } from '../../client/wire/deadlines.ts'
import { Exchange, refusalOf } from '../../client/wire/exchange.ts'
import type { Transport, TransportRequest, TransportResult } from '../../client/wire/transport.ts'
import type { Clock } from '../../core/clock.ts'
import { type Random, randomBetween, seededRandom } from '../../core/random.ts'
import { createFaultyCore, type FaultyService } from '../faults/faulty-service.ts'
import type { TwinDefinition } from '../twin/options.ts'
import { createTwin, type TwinState } from '../twin/twin.ts'
import { type Disturbance, drawFate, UNDISTURBED } from './disturbance.ts'
import { type ReachableApi, SimulatedConnection } from './simulated-connection.ts'
import type { SimulatedWire } from './simulated-wire.ts'
import { nameNotFound } from './wire-errors.ts'

export interface SimulatedNetworkOptions {
  /** True time: of the network and of every API on it. */
  readonly clock: Clock
  readonly random: Random
}

/** Times are drawn from ranges, evenly, for each request. */
export interface SimulatedTwinOptions extends Omit<TwinDefinition, 'clock' | 'random'> {
  /** From the request written to the answer's first byte: a part of it on the way there, the rest on the way back. Default none. */
  readonly latencyMs?: readonly [low: number, high: number]
  /** Until a connection stands. Default none. */
  readonly connectMs?: readonly [low: number, high: number]
}

/** A twin on a simulated network: all that a {@link Twin} is, but for its port. */
export interface SimulatedTwin extends FaultyService, TwinState {
  /** As it was given: `https://api.crm.test/v3`. */
  readonly address: string
}

export interface SimulatedTransportOptions {
  /** Of the calling process: its timeouts run on it. Default the network's. */
  readonly clock?: Clock
  /**
   * What reaches the process, and the moment when it may write, comes through here: a process that stands still lets it
   * wait, one that is gone lets it drop. Default: at once.
   */
  readonly deliver?: (arrival: () => void) => void
}

export interface SimulatedNetwork {
  /**
   * Puts a twin on the network. Addresses may have a path, which its routes then do not name; the longest that fits is taken.
   * @throws HoldfastError `unknown_route` for faults of a route that is not there
   */
  twin(address: string, options?: SimulatedTwinOptions): SimulatedTwin
  /** The network as one process uses it: the real client's exchange with its timeouts, over no socket. */
  transport(options?: SimulatedTransportOptions): Transport
  /** Until it is disposed of, this happens to requests for an address. What is on its way already is spared. */
  disturb(address: string, disturbance: Disturbance): Disposable
}

/** A twin at its address. */
interface Site extends ReachableApi {
  readonly basePath: string
  readonly disturbances: Set<Disturbance>
  /** How long the parts of the next exchange take. */
  drawTimes(): { readonly connectMs: number; readonly thereMs: number; readonly backMs: number }
  readonly chance: Random
}

export function createSimulatedNetwork({ clock, random }: SimulatedNetworkOptions): SimulatedNetwork {
  const seed = Buffer.from(random.bytes(16)).toString('hex')
  const sitesByOrigin = new Map<string, Site[]>()
  const disturbancesByAddress = new Map<string, Set<Disturbance>>()

  function disturbancesOf(address: string): Set<Disturbance> {
    const known = disturbancesByAddress.get(address) ?? new Set()
    disturbancesByAddress.set(address, known)
    return known
  }

  function twin(given: string, options: SimulatedTwinOptions = {}): SimulatedTwin {
    const { origin, basePath, address } = parseAddress(given)
    const chanceOf = (purpose: string): Random => seededRandom(`${seed}:${address}:${purpose}`)
    const { definition, api, counters, face } = createTwin({ ...options, clock, random: chanceOf('twin') })
    const open = new Set<SimulatedWire>()
    const core = createFaultyCore(definition, api, counters, {
      async goAway() {
        for (const wire of open) void wire.breakOff()
      },
      async comeBack() {},
    })
    const site: Site = {
      basePath,
      open,
      accept: core.accept,
      answersDoor: core.answersDoor,
      disturbances: disturbancesOf(address),
      drawTimes: timesFrom(options, chanceOf('times')),
      chance: chanceOf('disturbances'),
    }
    const sites = [...(sitesByOrigin.get(origin) ?? []), site]
    // The longest path first: it is the most particular.
    sitesByOrigin.set(
      origin,
      sites.sort((left, right) => right.basePath.length - left.basePath.length),
    )
    return { ...face(core.service), address: given }
  }

  function siteOf(origin: string, path: string): Site | undefined {
    return sitesByOrigin.get(origin)?.find(({ basePath }) => isBelow(basePath, path))
  }

  function transport(options: SimulatedTransportOptions = {}): Transport {
    const { clock: callerClock = clock, deliver = (arrival) => arrival() } = options
    const deadlines = createDeadlines(callerClock)
    const whenQuiet: (() => void)[] = []
    let open = 0
    let closed = false

    function begin(request: TransportRequest, exchange: Exchange): void {
      const api = siteOf(request.origin, request.path)
      if (!api) {
        exchange.onResponseError(null, nameNotFound(new URL(request.origin).hostname))
        return
      }
      const { disturbances, chance, basePath } = api
      new SimulatedConnection({
        exchange,
        request,
        target: basePath === '' ? request.path : request.path.slice(basePath.length) || '/',
        trueClock: clock,
        callerClock,
        deliver,
        drawFate: () => (disturbances.size === 0 ? UNDISTURBED : drawFate(disturbances, chance)),
        ...api.drawTimes(),
        api,
      }).open()
    }

    function ended(): void {
      open--
      if (closed && open === 0) for (const resolve of whenQuiet.splice(0)) resolve()
    }

    return {
      send(request: TransportRequest): Promise<TransportResult> {
        const refusal = refusalOf(request, closed)
        if (refusal) return Promise.resolve(refusal)
        open++
        return new Promise((resolve) => {
          const end = (result: TransportResult): void => {
            resolve(result)
            ended()
          }
          begin(request, new Exchange(request, callerClock, deadlines, end))
        })
      },
      close() {
        closed = true
        return open === 0 ? Promise.resolve() : new Promise((resolve) => whenQuiet.push(resolve))
      },
    }
  }

  return {
    twin,
    transport,
    disturb(address, disturbance) {
      const disturbances = disturbancesOf(parseAddress(address).address)
      // A copy: the same object may be given twice.
      const own = { ...disturbance }
      disturbances.add(own)
      return { [Symbol.dispose]: () => void disturbances.delete(own) }
    },
  }
}

function parseAddress(given: string): { origin: string; basePath: string; address: string } {
  const { origin, pathname } = new URL(given)
  const basePath = pathname.replace(/\/+$/, '')
  return { origin, basePath, address: origin + basePath }
}

function isBelow(basePath: string, path: string): boolean {
  if (!path.startsWith(basePath)) return false
  const next = path[basePath.length]
  return basePath === '' || next === undefined || next === '/' || next === '?'
}

function timesFrom({ latencyMs, connectMs }: SimulatedTwinOptions, chance: Random): Site['drawTimes'] {
  return () => {
    const wholeMs = latencyMs ? randomBetween(chance, ...latencyMs) : 0
    const thereMs = latencyMs ? chance.next() * wholeMs : 0
    return {
      connectMs: connectMs ? randomBetween(chance, ...connectMs) : 0,
      thereMs,
      backMs: wholeMs - thereMs,
    }
  }
}
