/** Counts calls per endpoint, in this process: what the statistics of the last days are made of. */
import type { Failure, FailureClass } from '../../core/failure.ts'
import type { NetworkFault } from '../../policy/classify/classify.ts'
import { type EndpointTally, newTally } from '../../policy/timeouts/endpoint-tally.ts'
import { addLatency } from '../../policy/timeouts/latency-sketch.ts'
import type { OutboundCall } from '../call/call.ts'
import { resolveEndpoint } from '../call/endpoints.ts'
import type { TransportResult } from '../wire/transport.ts'

export interface CallRecorder {
  /** @param latencyMs From sending to the judged answer, or to the failure. */
  count(call: OutboundCall, sent: TransportResult, failure: Failure | undefined, latencyMs: number): void
}

export interface Counted {
  readonly integration: string
  readonly endpoint: string
  readonly tally: EndpointTally
}

/**
 * An API that refuses for such a reason has not done the work, and how fast (or slowly) it refuses says nothing about how
 * long the work takes.
 */
const REFUSED_WITHOUT_WORK: ReadonlySet<FailureClass> = new Set<FailureClass>([
  'transient',
  'rate_limited',
  'wait_long',
  'authentication',
])

const OWN_TIMEOUTS: Readonly<Record<string, keyof EndpointTally['cutOff']>> = {
  timeout_connect: 'connect',
  timeout_headers: 'headers',
  timeout_body: 'body',
  timeout_total: 'total',
}

/** As many as there are endpoints, which `resolveEndpoint` bounds; those in use since the last {@link take}. */
export class EndpointRecorder implements CallRecorder {
  readonly #onFirst: () => void
  #tallies = new Map<string, Map<string, EndpointTally>>()

  /** @param onFirst Called when there is something to take. */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
  }

  count(call: OutboundCall, sent: TransportResult, failure: Failure | undefined, latencyMs: number): void {
    if (!sent.ok && (failure?.class === 'cancelled' || sent.fault.phase === 'before_send')) return
    const tally = this.#tallies.get(call.integration.name)?.get(call.endpoint.endpoint) ?? this.#newTally(call)
    tally.calls += 1
    if (sent.connectMs !== undefined) addLatency(tally.connect, sent.connectMs)
    if (failure) tally.failures += 1
    if (!sent.ok) {
      countFault(tally, call, sent.fault)
      return
    }
    if (failure && REFUSED_WITHOUT_WORK.has(failure.class)) return
    addLatency(tally.total, latencyMs)
    if (sent.headersMs !== undefined) addLatency(tally.headers, sent.headersMs)
  }

  /** What was counted since the last time. */
  take(): Counted[] {
    const taken = this.#tallies
    this.#tallies = new Map()
    return [...taken].flatMap(([integration, byEndpoint]) =>
      [...byEndpoint].map(([endpoint, tally]) => ({ integration, endpoint, tally })),
    )
  }

  #newTally({ integration, endpoint }: OutboundCall): EndpointTally {
    if (this.#tallies.size === 0) this.#onFirst()
    const known = this.#tallies.get(integration.name) ?? new Map<string, EndpointTally>()
    const tally = newTally()
    this.#tallies.set(integration.name, known.set(endpoint.endpoint, tally))
    return tally
  }
}

function countFault(tally: EndpointTally, call: OutboundCall, { code, phase }: NetworkFault): void {
  const timeout = OWN_TIMEOUTS[code]
  if (timeout === undefined || (timeout === 'total' && isCallersDeadline(call))) return
  tally.cutOff[timeout] += 1
  if (timeout !== 'connect' && phase !== 'reading_body') tally.unanswered += 1
}

/** A caller without patience cut it off: it says nothing about the timeout of the endpoint. */
function isCallersDeadline({ integration, method, endpoint }: OutboundCall): boolean {
  const path = endpoint.endpoint.slice(endpoint.endpoint.indexOf(' ') + 1)
  return resolveEndpoint(integration, method, path).timeouts.totalMs > endpoint.timeouts.totalMs
}
