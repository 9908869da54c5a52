import { durationMs } from '../../core/duration.ts'
import { messageOf } from '../../core/errors.ts'
import type { Handler } from '../faults/faulty-service.ts'
import { type WireAnswer, wireAnswer } from '../faults/wire.ts'
import type { Effect } from './effects.ts'
import type { KeyMemory, KeyVerdict } from './idempotency.ts'
import type { Arrival, ArrivedRequest, SentProblem, TwinDefinition } from './options.ts'
import { createRateLimiter, type RateLimiter, type RateLimitOptions, type RateVerdict } from './rate-limit.ts'
import { type RecordStore, randomLetters } from './record-store.ts'
import { parseRequest, parseTarget, type Target, type TwinRequest } from './request.ts'
import {
  effectKeys,
  findRoute,
  type IdempotencyOptions,
  type RouteMatch,
  refusal,
  route,
  type TwinResponse,
  type TwinRoute,
} from './route.ts'

/** What a twin remembers. */
export interface TwinMemory {
  readonly store: RecordStore
  readonly keys: KeyMemory
  addEffect(effect: Effect): void
  /** One request is done: keeps what it did. */
  keep(): void
}

const DEFAULT_IDEMPOTENCY_HEADER = 'idempotency-key'

/** One execution of a request. */
interface Execution {
  readonly of: TwinRoute
  readonly request: TwinRequest
  readonly closing: AbortSignal
  readonly copy: boolean
}

/** The API itself, behind the faults: finds the route, enforces limits and keys, applies, remembers. */
export function createApi(options: TwinDefinition, memory: TwinMemory): Handler {
  const { clock, random } = options
  const limiterOf = createLimiters(options)
  const guard = options.guard?.({ clock, random })

  async function run(execution: Execution): Promise<TwinResponse> {
    const { of, request } = execution
    const refused = refuse(of, request)
    if (refused) return refused
    const idempotency = idempotencyOf(of)
    if (!idempotency) return apply(execution)
    const key = request.idempotencyKey
    if (key === undefined) return idempotency.required ? keyMissing() : apply(execution)
    const verdict = memory.keys.begin(key, request)
    if (verdict.type !== 'go') return answerForKey(verdict)
    let response: TwinResponse | undefined
    try {
      response = await apply(execution)
      return response
    } finally {
      memory.keys.finish(key, request, response, idempotency)
    }
  }

  function refuse(of: TwinRoute, request: TwinRequest): TwinResponse | undefined {
    if (request.malformed) return refusal(400, 'malformed_json', 'The body is not valid JSON')
    const fields = of.validate?.(request, memory.store) ?? []
    return fields.length > 0 ? refusal(422, 'validation_failed', 'Some fields are not valid', { fields }) : undefined
  }

  /** Functions that find keys may rely on a valid request. */
  function keyOf(of: TwinRoute, request: TwinRequest): string {
    const keys = refuse(of, request) ? [] : effectKeys(of, request, { status: 200 })
    return keys[0] ?? `${of.name} ${request.path}`
  }

  async function apply(execution: Execution): Promise<TwinResponse> {
    const { of, request, closing } = execution
    if (of.work !== undefined) await clock.sleep(durationMs(of.work), closing)
    const response = (await of.apply?.(request, memory.store)) ?? { status: 200, body: { ok: true } }
    if (response.status < 400) for (const key of effectKeys(of, request, response)) addEffect(execution, key)
    return response
  }

  function addEffect({ of, request, copy }: Execution, key: string): void {
    const { method, path, body, correlationId, idempotencyKey } = request
    const effect: Effect = {
      key,
      route: of.name,
      method,
      path,
      body,
      atMs: clock.wallMs(),
      ...(correlationId !== undefined && { correlationId }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      ...(copy && { copy }),
    }
    memory.addEffect(effect)
    options.onEffect?.(effect, request)
  }

  function toWire(response: TwinResponse, arrived: ArrivedRequest, limit?: RateVerdict, arrival?: Arrival): WireAnswer {
    const requestId = `req_${randomLetters(random, 16)}`
    const told = tellProblem(response, arrived, requestId)
    const { status, headers, body } = arrival?.finish(told) ?? told
    const server = options.name ?? 'twin'
    return wireAnswer(status, body, { server, 'x-request-id': requestId, ...limit?.headers, ...headers })
  }

  function tellProblem(response: TwinResponse, arrived: ArrivedRequest, requestId: string): TwinResponse {
    const { problem, ...rest } = response
    if (!problem) return response
    const sent = { ...problem, status: response.status, requestId }
    return options.answerProblem?.(sent, arrived) ?? { ...rest, body: (options.errorBody ?? defaultErrorBody)(sent) }
  }

  return (wire, closing) => {
    const target = parseTarget(wire.target)
    const { route: of, params } = matchOf(wire.method, target, options)
    const limiter = limiterOf(of)
    const arrived = { route: of.name, method: wire.method, target: wire.target, headers: wire.headers }
    let limit: RateVerdict | undefined
    let arrival: Arrival | undefined
    let parsed: Promise<TwinRequest> | undefined
    let executions = 0
    if (!of.exempt) options.onRequest?.(arrived)

    function parse(): Promise<TwinRequest> {
      const header = idempotencyOf(of)?.header ?? DEFAULT_IDEMPOTENCY_HEADER
      parsed ??= wire.readBody().then((body) => parseRequest(wire, target, body, params, header))
      return parsed
    }
    async function execute(): Promise<WireAnswer> {
      try {
        const request = await parse()
        wire.executing()
        const copy = wire.copy || executions++ > 0
        return toWire(await run({ of, request, closing, copy }), arrived, limit, arrival)
      } finally {
        memory.keep()
      }
    }

    return {
      route: of.name,
      key: async () => keyOf(of, await parse()),
      ...(of.exempt && { exempt: true }),
      refuse() {
        limit = limiter?.(wire.headers['authorization'] ?? '')
        if (limit && !limit.allowed) {
          const answer = toWire(refusal(limit.status, 'rate_limited', 'Too many requests'), arrived, limit)
          return { answer, outcome: 'rate_limited' }
        }
        arrival = guard?.arrive(arrived)
        if (!arrival?.refusal) return undefined
        return { answer: toWire(arrival.refusal, arrived, limit), outcome: arrival.outcome ?? 'refused' }
      },
      execute,
      async serve() {
        const answer = await execute()
        await wire.send(answer)
        return answer.status
      },
      trouble: (error) => toWire(refusal(500, 'twin_route_failed', messageOf(error)), arrived),
    }
  }
}

/** Unknown paths are routes too: they answer 404, and are counted together. */
function matchOf(method: string, { path }: Target, { routes = [], otherwise }: TwinDefinition): RouteMatch {
  const match = findRoute(routes, method, path)
  if (typeof match === 'object') return match
  const other = otherwise?.(method, path)
  if (other) return { route: other, params: {} }
  const answer =
    match === 'other_method'
      ? refusal(405, 'method_not_allowed', `${method} is not allowed here`)
      : refusal(404, 'route_not_found', `This API has no ${path}`)
  return { route: route(method, '(unknown)', { apply: () => answer }), params: {} }
}

type Limiter = (credential: string) => RateVerdict

/** The limit of the whole twin first, then that of the route. */
function createLimiters(options: TwinDefinition): (of: TwinRoute) => Limiter | undefined {
  const limiters = new Map<RateLimitOptions, RateLimiter>()
  function limiterFor(limit: RateLimitOptions): RateLimiter {
    const limiter = limiters.get(limit) ?? createRateLimiter(limit, options.clock)
    limiters.set(limit, limiter)
    return limiter
  }
  return (of) => {
    const limits = [options.rateLimit, of.rateLimit].filter((limit) => limit !== undefined)
    if (limits.length === 0) return undefined
    return (credential) => {
      let verdict: RateVerdict | undefined
      for (const limit of limits) {
        verdict = limiterFor(limit).take(credential)
        if (!verdict.allowed) break
      }
      return verdict as RateVerdict
    }
  }
}

function idempotencyOf(of: TwinRoute): IdempotencyOptions | undefined {
  if (!of.idempotency) return undefined
  return of.idempotency === true ? {} : of.idempotency
}

function answerForKey(verdict: Exclude<KeyVerdict, { type: 'go' }>): TwinResponse {
  if (verdict.type === 'in_flight') {
    return refusal(409, 'idempotency_key_in_use', 'A request with this idempotency key is still being processed')
  }
  if (verdict.type === 'other_request') {
    return refusal(422, 'idempotency_key_reused', 'This idempotency key was used with another request')
  }
  return { ...verdict.response, headers: { ...verdict.response.headers, 'idempotent-replayed': 'true' } }
}

function keyMissing(): TwinResponse {
  return refusal(400, 'idempotency_key_missing', 'This request needs an idempotency key')
}

function defaultErrorBody({ status, ...problem }: SentProblem): unknown {
  return problem
}
