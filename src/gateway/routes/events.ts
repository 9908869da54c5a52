/** Live events of this process, as server-sent events. */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import type { HoldfastEvent } from '../../core/events.ts'
import type { EventStreams } from '../event-stream.ts'
import type { Add } from '../route.ts'

export function addEvents(add: Add, streams: EventStreams): void {
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
    handle({ query, parts }) {
      const types = query.types === undefined ? undefined : new Set(query.types.split(',').map((type) => type.trim()))
      return streams.open('live events of this process', (stream) =>
        parts.holdfast.events.on('*', (event) => {
          if (!types || types.has(event.type)) stream.send(event.type, shown(event))
        }),
      )
    },
  })
}

/** Causes are errors of whatever kind: their message is told in `message`. */
function shown(event: HoldfastEvent): object {
  if (event.type !== 'engine.trouble') return event
  const { cause: _, ...facts } = event
  return facts
}
