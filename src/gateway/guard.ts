/** What stands before every route: who asks, whether they may, and whether there is room. */
import type { Context } from 'hono'
import type { Scope } from '../config/gateway-settings.ts'
import type { Access, Principal } from './access.ts'
import type { Admission } from './admission.ts'

/** What is known of a request before its route is. */
export interface RequestFacts {
  /** The caller's network address. */
  readonly from: string
  readonly correlationId: string
  /** False: made here. */
  readonly hasOwnCorrelation: boolean
}

export type Env = { Bindings: RequestFacts }

export interface Guarded {
  /** `none`: open to everybody. */
  readonly scope: Scope | 'none'
  /** `exempt`: served whatever the load, and not waited for at the end. Default `counted`. */
  readonly load?: 'counted' | 'exempt'
}

export type Guard = (
  context: Context<Env>,
  guarded: Guarded,
  work: (principal: Principal) => Promise<Response> | Response,
) => Promise<Response>

export function createGuard(access: Access, admission: Admission): Guard {
  return async (context, { scope, load }, work) => {
    const { from } = context.env
    const request = context.req.raw
    const principal = scope === 'none' ? { by: 'anybody', from } : access.authorize(request, scope, from)
    if (load === 'exempt') return work(principal)
    // Callers without a token of their own are told apart by where they are.
    const isNamed = principal.by.startsWith('token:')
    const admitted = admission.enter(isNamed ? principal.by : from)
    try {
      return whenSent(await work(principal), admitted)
    } catch (error) {
      admitted[Symbol.dispose]()
      throw error
    }
  }
}

/** A request is under way until its answer has been read, or nobody reads it any more. */
function whenSent(response: Response, admitted: Disposable): Response {
  const leave = () => admitted[Symbol.dispose]()
  if (!response.body || response.headers.get('content-type') === 'application/json') {
    leave()
    return response
  }
  const reader = response.body.getReader()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          leave()
          controller.close()
        } catch (error) {
          leave()
          controller.error(error)
        }
      },
      async cancel(reason) {
        leave()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  const { status, statusText, headers } = response
  return new Response(body, { status, statusText, headers })
}
