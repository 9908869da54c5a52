/** Redirects as the Fetch standard has them ("HTTP-redirect fetch"), below the integration's own origin only. */
import { HoldfastError } from '../../core/errors.ts'
import { effectOf } from '../../policy/classify/classify-shared.ts'
import { factsOf } from '../attempt/attempt.ts'
import type { Answer, OutboundCall } from '../call/call.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const MOST_REDIRECTS = 20
const BODY_HEADERS = ['content-encoding', 'content-language', 'content-location', 'content-type', 'content-length']

/**
 * Where to go from an answer; `undefined`: it is for the caller. That includes redirects to another origin: neither the
 * credentials nor the limits and breakers of this integration are for it.
 * @throws TypeError as `fetch` does
 */
export async function redirectTarget(
  answer: Answer,
  { call, request, url, redirects }: { call: OutboundCall; request: Request; url: URL; redirects: number },
): Promise<URL | undefined> {
  if (!REDIRECTS.has(answer.status) || request.redirect === 'manual') return undefined
  if (request.redirect === 'error') return refuse(call, answer, 'unexpected redirect')
  const location = answer.headers['location']
  const target = location === undefined ? null : URL.parse(location, url.href)
  if (!target || target.origin !== url.origin) return undefined
  if (redirects >= MOST_REDIRECTS) return refuse(call, answer, 'redirect count exceeded')
  if (target.username !== '' || target.password !== '') return refuse(call, answer, 'URL with credentials')
  if (answer.status !== 303 && call.body instanceof ReadableStream) {
    return refuse(call, answer, 'the body is a stream, which cannot be sent again')
  }
  await discard(answer)
  if (target.hash === '') target.hash = url.hash
  return target
}

/** The request to make there. */
export function redirected(
  call: OutboundCall,
  request: Request,
  status: number,
  target: URL,
): { request: Request; body: OutboundCall['body'] } {
  const becomesGet = status === 303 ? !/^(?:GET|HEAD)$/.test(call.method) : status < 303 && call.method === 'POST'
  const headers = new Headers(request.headers)
  // The same operation: so the same key, also where it was ours.
  const { idempotency } = call.endpoint
  if (idempotency.kind === 'key' && call.idempotencyKey !== undefined && !becomesGet) {
    headers.set(idempotency.header, call.idempotencyKey)
  }
  if (becomesGet) for (const name of BODY_HEADERS) headers.delete(name)
  const next = new Request(target, { method: becomesGet ? 'GET' : call.method, headers, redirect: request.redirect })
  return { request: next, body: becomesGet ? undefined : call.body }
}

async function refuse(call: OutboundCall, answer: Answer, why: string): Promise<never> {
  await discard(answer)
  const cause = new HoldfastError({
    code: 'redirect_refused',
    class: 'unknown',
    certainty: effectOf(factsOf(call), 'maybe_applied'),
    message: `${call.endpoint.endpoint} was answered ${answer.status}, a redirect that is not followed: ${why}`,
    hint: 'Check the baseUrl of the integration and that of the SDK: APIs redirect where the address is not quite right.',
    details: { status: answer.status, endpoint: call.endpoint.endpoint },
  })
  throw new TypeError('fetch failed', { cause })
}

async function discard({ data }: Answer): Promise<void> {
  if (data instanceof ReadableStream) await data.cancel()
}
