import { buildConnector, Pool } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { createDeadlines } from './deadlines.ts'
import { Exchange, refusalOf } from './exchange.ts'
import type { Transport, TransportRequest, TransportResult } from './transport.ts'

export interface UndiciTransportOptions {
  readonly clock: Clock
  /** Connections per origin and process; further requests wait for a free one. Default 256. */
  readonly connections?: number
  /** An idle connection is closed after this, unless the server names a time of its own. Default 4,000. */
  readonly keepAliveMs?: number
}

interface TimedPool {
  readonly pool: Pool
  /** How long new connections took, in ms, until the next requests tell of them. */
  readonly newConnections: number[]
}

const DEFAULT_CONNECTIONS = 256
const DEFAULT_KEEP_ALIVE_MS = 4000

/**
 * The network, over undici's pools. HTTP/1.1 only: one exchange at a time on a connection is what makes it certain which
 * request a broken connection has hurt. Never follows redirects, never retries, never asks for compression.
 */
export function createUndiciTransport(options: UndiciTransportOptions): Transport {
  const { clock, connections = DEFAULT_CONNECTIONS, keepAliveMs = DEFAULT_KEEP_ALIVE_MS } = options
  const deadlines = createDeadlines(clock)
  const poolsByOrigin = new Map<string, Map<number, TimedPool>>()
  let closed = false

  /** The connect timeout is a property of the pool: endpoints that want another one get a pool of their own. */
  function poolFor(origin: string, connectMs: number): TimedPool {
    let pools = poolsByOrigin.get(origin)
    if (!pools) {
      pools = new Map()
      poolsByOrigin.set(origin, pools)
    }
    let timed = pools.get(connectMs)
    if (!timed) {
      const newConnections: number[] = []
      const connect = timedConnector(connectMs, clock, newConnections)
      const pool = new Pool(origin, {
        connections,
        connect,
        keepAliveTimeout: keepAliveMs,
        allowH2: false,
        pipelining: 1,
      })
      timed = { pool, newConnections }
      pools.set(connectMs, timed)
    }
    return timed
  }

  return {
    send(request: TransportRequest): Promise<TransportResult> {
      const refusal = refusalOf(request, closed)
      if (refusal) return Promise.resolve(refusal)
      return new Promise((resolve) => {
        const { pool, newConnections } = poolFor(request.origin, request.timeouts.connectMs)
        const exchange = new Exchange(request, clock, deadlines, resolve, newConnections)
        pool.dispatch(exchange.options(), exchange)
      })
    },
    async close() {
      closed = true
      const pools = [...poolsByOrigin.values()].flatMap((byTimeout) => [...byTimeout.values()])
      poolsByOrigin.clear()
      await Promise.all(pools.map(({ pool }) => pool.close()))
    },
  }
}

function timedConnector(connectMs: number, clock: Clock, newConnections: number[]): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs, allowH2: false })
  return (options, callback) => {
    const startedMs = clock.monotonicMs()
    connect(options, (...result) => {
      // More than one for each connection can only be those of which no request came to be.
      if (result[0] === null && newConnections.length < DEFAULT_CONNECTIONS) {
        newConnections.push(clock.monotonicMs() - startedMs)
      }
      callback(...result)
    })
  }
}
