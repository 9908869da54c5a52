/**
 * Webhooks and the proxy on `node:http` itself: they carry the traffic, and making `Request` and `Response` objects would take
 * a third of it (decision 029). What stands before them, and around their answers, is what stands around every route.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isHoldfastError } from '../core/errors.ts'
import type { PlainAnswer } from '../webhooks/problem.ts'
import type { Principal } from './access.ts'
import { correlationOf } from './correlation.ts'
import type { Entrance, Guarded } from './entrance.ts'
import { headOfIncoming, originOf } from './head.ts'
import { allHeaders } from './headers.ts'
import type { ReadIncoming } from './incoming-body.ts'
import type { GatewayParts } from './parts.ts'
import { problemResponse, statusOf } from './problems.ts'
import type { Arriving } from './proxy/node.ts'
import { hostTarget, proxyTarget } from './proxy/target.ts'

export interface DirectRoutes {
  /** False: it is for somebody else, and was not touched. */
  serve(incoming: IncomingMessage, outgoing: ServerResponse): boolean
}

export interface DirectParts {
  readonly parts: GatewayParts
  readonly entrance: Entrance
  readonly readBody: ReadIncoming
  /** Of bodies that the proxy reads. */
  readonly arriving: Arriving
  readonly isDraining: () => boolean
}

/** What is known of a request that was let in. */
interface Letin {
  readonly principal: Principal
  readonly correlationId: string
}

type Work = (letIn: Letin) => Promise<PlainAnswer | undefined>

const WEBHOOKS = '/webhooks/'
/** Of a body that nobody wants, what is waited for so that its connection can go on. */
const MOST_IGNORED_BYTES = 1024 * 1024

export function createDirectRoutes(direct: DirectParts): DirectRoutes {
  const { webhooks, proxy, proxyHosts = new Map() } = direct.parts
  return {
    serve(incoming, outgoing) {
      const { url = '', headers } = incoming
      const named = proxy && hostTarget(proxyHosts, headers.host, url)
      const source = webhooks && !named && url.startsWith(WEBHOOKS) ? sourceOf(url) : undefined
      if (webhooks && source !== undefined) {
        void answer(direct, incoming, outgoing, { scope: 'none' }, () => receive(direct, webhooks, source, incoming))
        return true
      }
      const target = named ?? (proxy ? proxyTarget(url) : undefined)
      if (!proxy || !target) return false
      void answer(direct, incoming, outgoing, { scope: 'submit' }, async ({ principal, correlationId }) => {
        const decorated = (headers: Record<string, string | string[]>) =>
          allHeaders(headers, correlationId, mustClose(incoming, direct.isDraining()))
        const { arriving } = direct
        await proxy(incoming, outgoing, target, { caller: principal.by, correlationId, decorated, arriving })
        return undefined
      })
      return true
    },
  }
}

/** `undefined`: no name of a source can be meant. */
function sourceOf(url: string): string | undefined {
  const end = url.indexOf('?')
  const source = url.slice(WEBHOOKS.length, end < 0 ? undefined : end)
  return /^[\w.-]{1,200}$/.test(source) ? source : undefined
}

async function receive(
  { readBody }: DirectParts,
  webhooks: NonNullable<GatewayParts['webhooks']>,
  source: string,
  incoming: IncomingMessage,
): Promise<PlainAnswer> {
  const { method = '', url = '', headers } = incoming
  return webhooks(source).receiveFrom({ method, url: originOf(incoming) + url, headers }, async (maxBytes) => {
    try {
      return { ok: true, bytes: await readBody(incoming, maxBytes) }
    } catch (error) {
      // Of this sender's making, and for the source to answer; the rest is about the gateway.
      if (isHoldfastError(error) && error.code === 'payload_too_large') return { ok: false, why: 'too_large' }
      if (isHoldfastError(error) && error.code === 'body_incomplete') return { ok: false, why: 'incomplete' }
      throw error
    }
  })
}

async function answer(
  { parts, entrance, isDraining }: DirectParts,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  guarded: Guarded,
  work: Work,
): Promise<void> {
  const head = headOfIncoming(incoming)
  const { id: correlationId } = correlationOf(head, parts.newId)
  try {
    const { principal, place } = entrance.enter(head, guarded)
    using _place = place
    const plain = await work({ principal, correlationId })
    if (plain) send(incoming, outgoing, plain, correlationId, isDraining())
  } catch (error) {
    if (!isHoldfastError(error) || statusOf(error) === 500) parts.onTrouble({ correlationId, error })
    send(incoming, outgoing, await plainOf(problemResponse(error, correlationId)), correlationId, isDraining())
  }
}

async function plainOf(response: Response): Promise<PlainAnswer> {
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
}

function send(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, headers, body }: PlainAnswer,
  correlationId: string,
  isDraining: boolean,
): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy()
    return
  }
  const all = allHeaders(headers, correlationId, mustClose(incoming, isDraining))
  all['content-length'] = String(Buffer.byteLength(body))
  outgoing.writeHead(status, all)
  outgoing.end(incoming.method === 'HEAD' ? undefined : body)
}

/** What is not read cannot be followed by another request; a little of it is read and forgotten. */
function mustClose({ complete, headers }: IncomingMessage, isDraining: boolean): boolean {
  if (isDraining) return true
  return !complete && !(Number(headers['content-length']) <= MOST_IGNORED_BYTES)
}
