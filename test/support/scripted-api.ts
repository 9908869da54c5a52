/**
 * An API in this process: a transport whose answers a test scripts, on whatever clock the test runs. It keeps what a real
 * API keeps, its effects, so that duplicates and losses can be counted.
 */
import type { Transport, TransportRequest, TransportResult } from '../../src/client/wire/transport.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { NetworkFault } from '../../src/policy/classify/classify.ts'

export type Reply =
  | {
      readonly status: number
      readonly body?: unknown
      readonly headers?: Record<string, string>
      readonly delayMs?: number
    }
  /** The effect happens, the answer is lost. */
  | { readonly lost: 'after_execution'; readonly delayMs?: number }
  /** The connection breaks before the API reads anything. */
  | { readonly lost: 'before_execution'; readonly delayMs?: number }
  | { readonly refused: true }

export interface SeenRequest {
  readonly origin: string
  readonly method: string
  readonly path: string
  readonly body: unknown
  /** The body as it came; empty where it is no text. */
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
  readonly atMs: number
}

export interface ScriptedApi extends Transport {
  readonly requests: SeenRequest[]
  /** Bodies of writes that were carried out, in order. */
  readonly effects: SeenRequest[]
  reply: (request: SeenRequest, count: number) => Reply
  /** Effects with the same body, beyond the first. */
  duplicates(): number
}

export function scriptedApi(
  clock: Clock,
  reply: ScriptedApi['reply'] = () => ({ status: 200, body: {} }),
): ScriptedApi {
  const requests: SeenRequest[] = []
  const effects: SeenRequest[] = []
  const api: ScriptedApi = {
    requests,
    effects,
    reply,
    async send(request) {
      const seen = seenRequest(request, clock)
      requests.push(seen)
      const answer = api.reply(
        seen,
        requests.filter((other) => other.path === seen.path && other.method === seen.method).length,
      )
      if ('refused' in answer) return fault('ECONNREFUSED', 'connect', 'connect')
      if (answer.delayMs) await clock.sleep(answer.delayMs)
      if ('lost' in answer) {
        if (answer.lost === 'after_execution') effects.push(seen)
        return fault('ECONNRESET', 'waiting_for_headers', 'read')
      }
      if (answer.status < 400 && seen.method !== 'GET') effects.push(seen)
      return {
        ok: true,
        answer: {
          status: answer.status,
          headers: { 'content-type': 'application/json', ...answer.headers },
          body: new TextEncoder().encode(JSON.stringify(answer.body ?? {})),
          stream: undefined,
        },
      }
    },
    async close() {},
    duplicates() {
      const bodies = effects.map((effect) => JSON.stringify([effect.path, effect.body]))
      return bodies.length - new Set(bodies).size
    },
  }
  return api
}

function seenRequest(request: TransportRequest, clock: Clock): SeenRequest {
  const text = typeof request.body === 'string' ? request.body : undefined
  return {
    origin: request.origin,
    method: request.method,
    path: request.path,
    headers: request.headers,
    body: text === undefined ? undefined : JSON.parse(text),
    text: text ?? '',
    atMs: clock.wallMs(),
  }
}

function fault(code: string, phase: NetworkFault['phase'], syscall: string): TransportResult {
  return {
    ok: false,
    fault: { code, phase, syscall, message: code, ...(phase !== 'connect' && { bytesWritten: 120 }) },
  }
}
