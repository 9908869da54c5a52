/** How a step looks for a lost effect, as people write it. */
import { z } from 'zod'
import { closed, count, duration, text } from './schema-parts.ts'

/** `request`: the schema of a call, which belongs to that of steps. */
export function reconcileSchema<Request extends z.ZodType>(request: Request) {
  return closed({
    get: z
      .string()
      .regex(/^\/./, { error: 'expected a path below the base URL, such as "/contacts?email={{ input.email }}"' })
      .describe('The read in one line; expressions may stand in path and query.')
      .optional(),
    request: request.describe('The read in full, instead of `get`.').optional(),
    readOnly: z
      .literal(true)
      .describe('Your word that a `request` by POST only searches. Without it, only GET and HEAD are taken.')
      .optional(),
    found: text(
      'Expression over `answer`: what the effect gave where it happened; nothing, null or false where it did not.',
    ),
    externalId: text('Expression over `found` and `answer`: the id that the API gave it. Default none.').optional(),
    newestFirst: closed({
      records: text('Expression over `answer`: all its records.'),
      createdAt: text('Expression over `record`: when it was made. RFC 3339, or seconds or milliseconds since 1970.'),
      within: duration('How far their clock may differ from ours. Default 5m.').optional(),
      size: count('Records of a full answer: with fewer, there are no older ones. Default: unknown.').optional(),
    })
      .describe(
        '`found` picks those that match from a list of the newest records. Only one that was made since our first try is ours; a list that does not reach back so far cannot tell (R095).',
      )
      .optional(),
    looks: count('Looks in a row that must find nothing before it counts as not done. Default 2.', {
      atMost: 100,
    }).optional(),
    delay: duration(
      'Before the first look and between two: longer than the API may take to finish or to show it. Default 2s.',
    ).optional(),
  })
    .refine(({ get, request: full }) => (get === undefined) !== (full === undefined), {
      error: 'expected either `get` or `request`',
    })
    .describe('How to look for an effect whose outcome is unknown (R094, R095).')
}
