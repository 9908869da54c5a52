/** Server-sent events. A listener that does not keep up is let go, and told so. */
import type { Clock, Timer } from '../core/clock.ts'
import { HoldfastError } from '../core/errors.ts'

const MOST_STREAMS = 100
/** Events that may wait for one listener. */
const MOST_WAITING = 1000
const HEARTBEAT_MS = 15_000

export interface EventStream {
  send(type: string, data: object): void
  /** Tells why, and ends. Idempotent. */
  end(reason: string): void
}

export interface EventStreams {
  /**
   * @param begin gives what is to be disposed when the listener is gone
   * @throws HoldfastError `overloaded`
   */
  open(greeting: string, begin: (stream: EventStream) => Disposable): Response
  /** Ends all of them: each is told to come back later. */
  close(): void
}

export function createEventStreams(clock: Clock): EventStreams {
  const open = new Set<EventStream>()

  function streamOf(greeting: string, begin: (stream: EventStream) => Disposable): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    let source: Disposable | undefined
    let timer: Timer | undefined
    let stream: EventStream | undefined

    function stop(): void {
      source?.[Symbol.dispose]()
      timer?.cancel()
      if (stream) open.delete(stream)
    }

    return new ReadableStream<Uint8Array>(
      {
        start(controller) {
          const write = (text: string) => controller.enqueue(encoder.encode(text))
          const room = () => controller.desiredSize ?? 0
          const beat = () => {
            if (room() > 0) write(': heartbeat\n\n')
            timer = clock.setTimer(HEARTBEAT_MS, beat)
          }
          const mine: EventStream = {
            send(type, data) {
              if (!open.has(mine)) return
              if (room() <= 1) mine.end(`more than ${MOST_WAITING} events waited to be read`)
              else write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`)
            },
            end(reason) {
              if (!open.has(mine)) return
              stop()
              write(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
              controller.close()
            },
          }
          stream = mine
          open.add(mine)
          write(`retry: 3000\n: ${greeting}\n\n`)
          timer = clock.setTimer(HEARTBEAT_MS, beat)
          source = begin(mine)
        },
        cancel: stop,
      },
      { highWaterMark: MOST_WAITING },
    )
  }

  return {
    open(greeting, begin) {
      if (open.size >= MOST_STREAMS) throw tooMany()
      return new Response(streamOf(greeting, begin), {
        headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
      })
    },
    close() {
      for (const stream of [...open]) stream.end('the gateway is stopping')
    },
  }
}

function tooMany(): HoldfastError {
  return new HoldfastError({
    code: 'overloaded',
    class: 'transient',
    message: `${MOST_STREAMS} listeners are connected, as many as are allowed`,
    hint: 'Close one, or try again later.',
  })
}
