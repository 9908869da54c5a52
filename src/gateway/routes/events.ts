/** Live events of this process, as server-sent events. A listener that does not keep up is let go, and told so. */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import type { Timer } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { HoldfastEvent } from '../../core/events.ts'
import type { GatewayParts } from '../parts.ts'
import type { Add } from '../route.ts'

const MOST_STREAMS = 100
/** Events that may wait for one listener. */
const MOST_WAITING = 1000
const HEARTBEAT_MS = 15_000

export interface EventStreams {
  add(add: Add): void
  /** Ends all of them: each is told to come back later. */
  close(): void
}

export function createEventStreams({ holdfast, clock }: GatewayParts): EventStreams {
  const open = new Set<(reason: string) => void>()

  function stream(types: ReadonlySet<string> | undefined): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    let listening: Disposable | undefined
    let timer: Timer | undefined
    let end: ((reason: string) => void) | undefined

    function stop(): void {
      listening?.[Symbol.dispose]()
      timer?.cancel()
      if (end) open.delete(end)
    }

    return new ReadableStream<Uint8Array>(
      {
        start(controller) {
          const send = (text: string) => controller.enqueue(encoder.encode(text))
          const beat = () => {
            if ((controller.desiredSize ?? 0) > 0) send(': heartbeat\n\n')
            timer = clock.setTimer(HEARTBEAT_MS, beat)
          }
          end = (reason) => {
            stop()
            send(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
            controller.close()
          }
          open.add(end)
          listening = holdfast.events.on('*', (event) => {
            if (types && !types.has(event.type)) return
            if ((controller.desiredSize ?? 0) <= 1) end?.(`more than ${MOST_WAITING} events waited to be read`)
            else send(`event: ${event.type}\ndata: ${JSON.stringify(shown(event))}\n\n`)
          })
          send('retry: 3000\n: live events of this process\n\n')
          timer = clock.setTimer(HEARTBEAT_MS, beat)
        },
        cancel: stop,
      },
      { highWaterMark: MOST_WAITING },
    )
  }

  return {
    add(add) {
      add({
        method: 'get',
        path: '/v1/events',
        scope: 'read',
        load: 'exempt',
        summary: 'Live events of this process, as server-sent events',
        description:
          'Each has the name of its kind and its facts as JSON. Nothing is kept: what happened before, or in other processes, is found with /v1/items. A comment every 15 s shows that it lives; `event: end` says why it ends.',
        query: closed({
          types: z
            .string()
            .max(2000)
            .describe('Only these kinds, separated by commas: item.settled,breaker.changed')
            .optional(),
        }),
        answers: { 200: { description: 'A stream.', schema: z.string(), type: 'text/event-stream' } },
        handle({ query }) {
          if (open.size >= MOST_STREAMS) throw tooMany()
          const types =
            query.types === undefined ? undefined : new Set(query.types.split(',').map((type) => type.trim()))
          return new Response(stream(types), {
            headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
          })
        },
      })
    },
    close() {
      for (const end of [...open]) end('the gateway is stopping')
    },
  }
}

/** Causes are errors of whatever kind: their message is told in `message`. */
function shown(event: HoldfastEvent): object {
  if (event.type !== 'engine.trouble') return event
  const { cause: _, ...facts } = event
  return facts
}

function tooMany(): HoldfastError {
  return new HoldfastError({
    code: 'overloaded',
    class: 'transient',
    message: `${MOST_STREAMS} listeners are connected, as many as are allowed`,
    hint: 'Close one, or try again later.',
  })
}
