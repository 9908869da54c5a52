/** The network as one process sees it: what leaves is noted when its first byte does, what arrives when the process hears of it. */
import type { Transport, TransportRequest, TransportResult } from '../../client/wire/transport.ts'
import type { FactBody } from './fact.ts'
import type { ProcessGate } from './process-gate.ts'
import { type BatchRecord, CALL_HEADER } from './twin-batches.ts'

export interface ProcessTransportParts {
  readonly process: string
  /** What arrives through it has passed the gate. */
  readonly network: Transport
  readonly gate: ProcessGate
  readonly record: (fact: FactBody) => void
  readonly nextCall: () => number
  /** From the start of the world. */
  readonly trueMs: () => number
  /** Name of the API behind an origin. */
  readonly apiOf: (origin: string) => string
}

/** Steps of simulated pipelines say in this header which item they work for. */
export const ITEM_HEADER = 'x-item'

export function createProcessTransport(parts: ProcessTransportParts): Transport {
  const { process, network, gate, record } = parts

  return {
    send(request) {
      if (!gate.leave()) return new Promise(() => undefined)
      const startedAtMs = parts.trueMs()
      const about = {
        process,
        call: parts.nextCall(),
        api: parts.apiOf(request.origin),
        endpoint: endpointOf(request),
        ...itemsOf(request),
      }
      const mayBegin = (): boolean => {
        if (!gate.leave() || request.mayBegin?.() === false) return false
        const { method, path, headers } = request
        record({ kind: 'sent', ...about, startedAtMs, method, path, idempotencyKey: headers['idempotency-key'] })
        return true
      }
      return new Promise((resolve) => {
        const headers = { ...request.headers, [CALL_HEADER]: String(about.call) }
        void network.send({ ...request, headers, mayBegin }).then((result) => {
          if (gate.state === 'dead') return
          record({ kind: 'answered', ...about, ...answerOf(result) })
          resolve(result)
        })
      })
    },
    close: () => network.close(),
  }
}

/** Calls with several records name their items in the body (`twin-batches.ts`). */
function itemsOf({ headers, body }: TransportRequest): { itemId: string | undefined; shared?: readonly string[] } {
  const itemId = headers[ITEM_HEADER]
  if (itemId !== undefined || typeof body !== 'string' || !body.startsWith('[')) return { itemId }
  const shared = (JSON.parse(body) as readonly BatchRecord[]).map(({ item }) => item)
  return { itemId: shared[0], shared }
}

function answerOf(result: TransportResult) {
  if (result.ok) return { status: result.answer.status, headers: result.answer.headers, fault: undefined }
  return { status: result.fault.status, headers: {}, fault: `${result.fault.code} (${result.fault.phase})` }
}

/** `PUT /things/item-1` and `GET /records?operation=x` are endpoints `PUT /things/{id}` and `GET /records`. */
function endpointOf({ method, path }: TransportRequest): string {
  const [, collection = '', id] = (path.split('?')[0] as string).split('/')
  return `${method} /${collection}${id === undefined ? '' : '/{id}'}`
}
