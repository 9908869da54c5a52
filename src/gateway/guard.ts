/** The entrance, before routes that answer `Request` objects. */
import type { Context } from 'hono'
import type { Principal } from './access.ts'
import type { Entrance, Guarded } from './entrance.ts'
import { headOfRequest } from './head.ts'

/** What is known of a request before its route is. */
export interface RequestFacts {
  /** The caller's network address. */
  readonly from: string
  readonly correlationId: string
  /** False: made here. */
  readonly hasOwnCorrelation: boolean
}

export type Env = { Bindings: RequestFacts }

export type Guard = (
  context: Context<Env>,
  guarded: Guarded,
  work: (principal: Principal) => Promise<Response> | Response,
) => Promise<Response>

export function createGuard(entrance: Entrance): Guard {
  return async (context, guarded, work) => {
    const { principal, place } = entrance.enter(headOfRequest(context.req.raw, context.env.from), guarded)
    try {
      return whenSent(await work(principal), place)
    } catch (error) {
      place[Symbol.dispose]()
      throw error
    }
  }
}

/** A request is under way until its answer has been read, or nobody reads it any more. */
function whenSent(response: Response, place: Disposable): Response {
  const leave = () => place[Symbol.dispose]()
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
