/** The proxy as a Web-standard handler. */
import { createProxyCore, type ProxyParts, REPLAYABLE_BODY_BYTES } from './proxy.ts'
import type { AnswerHeaders } from './response-headers.ts'

export type ProxyHandler = (
  request: Request,
  integration: string,
  path: string,
  /** Default: the caller's own, or a new one. */
  correlationId?: string,
  more?: {
    /** See `ProxyTarget`. Default `/proxy/{integration}`. */
    readonly base?: string
    /** Whose request it is. */
    readonly caller?: string
  },
) => Promise<Response>

/**
 * @returns a handler that takes the request, the integration, and the path below it as it stood in the request line (see
 *   `proxyTarget`): the URL of a Request is no longer what was sent.
 */
export function createProxy(parts: ProxyParts): ProxyHandler {
  const proxy = createProxyCore(parts)
  return async function handle(request, integration, path, correlationId, more = {}) {
    const { status, headers, body } = await proxy({
      method: request.method,
      integration,
      path,
      base: more.base ?? `/proxy/${integration}`,
      caller: more.caller,
      correlationId,
      headers: Object.fromEntries(request.headers),
      body: () => bodyOf(request),
      origin: new URL(request.url).origin,
      signal: request.signal,
    })
    return new Response((body ?? null) as ConstructorParameters<typeof Response>[0], {
      // Response takes nothing outside of this range, and APIs have been seen to send it.
      status: status >= 200 && status <= 599 ? status : 502,
      headers: pairsOf(headers),
    })
  }
}

async function bodyOf(request: Request): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  const length = request.headers.get('content-length')
  if (length === null || Number(length) > REPLAYABLE_BODY_BYTES) return request.body ?? undefined
  if (Number(length) === 0) return undefined
  return new Uint8Array(await request.arrayBuffer())
}

function pairsOf(headers: AnswerHeaders): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value]] : value.map((one): [string, string] => [name, one]),
  )
}
