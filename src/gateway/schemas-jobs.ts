/** What requests and answers about jobs look like. */
import { z } from '@hono/zod-openapi'
import { closed } from '../config/schema-parts.ts'
import { ITEM_STATES } from '../core/item-state.ts'
import { atMs, cursor, pageSize, reason, sample, selectionSchema } from './schemas.ts'

const kind = z.enum(['replay', 'discard', 'cancel'])

const replaying = {
  patch: z
    .record(z.string(), z.unknown())
    .describe('RFC 7396 merge patch for each payload; null removes a field.')
    .optional(),
  canary: z.int().min(0).max(1000).describe('This many first; the rest only if all of them succeed.').optional(),
  notApplied: z.boolean().describe('Unknown outcomes too: your word that they did not happen.').optional(),
}

export const jobOrder = closed({
  what: kind.describe('`replay` and `discard`: dead letters; `cancel`: what has not ended.'),
  selection: selectionSchema,
  reason: reason.describe('Needed by `discard` and `cancel`.').optional(),
  ...replaying,
})
  .refine(({ what, reason: why }) => what === 'replay' || why !== undefined, {
    error: 'this needs a reason',
    path: ['reason'],
  })
  .refine((order) => order.what === 'replay' || Object.keys(replaying).every((name) => !(name in order)), {
    error: 'patch, canary and notApplied belong to "replay"',
  })
  .openapi('JobOrder')

const count = z.int()

export const job = z
  .object({
    id: z.string(),
    what: kind,
    phase: z.enum(['planning', 'running', 'done', 'stopped', 'cancelled']),
    target: z.string().describe('`group 3f2a`, `filter`, `12 items`'),
    by: z.string(),
    reason: z.string(),
    patched: z.boolean(),
    canary: count,
    createdAtMs: atMs,
    endedAtMs: atMs.optional(),
    ended: z.object({ why: z.string(), by: z.string() }).optional(),
    stopped: z.object({ itemId: z.string(), why: z.string() }).describe('Of a canary: what failed.').optional(),
    counts: z.object({
      total: count,
      waiting: count.describe('Have not had their turn; of a job that has ended: were left as they were.'),
      underWay: count.describe('Put back, and not ended yet.'),
      succeeded: count,
      failed: count.describe('In need of a person again, or ended otherwise.'),
      refused: count.describe('Could not be done; the items tell why.'),
      forgotten: count.describe('Forgotten by retention after they had ended.'),
    }),
  })
  .openapi('Job')

export const jobPage = z.object({ jobs: z.array(job), cursor })

export const jobPlan = z
  .object({
    selected: count,
    ready: count.describe('Would be done.'),
    refused: z.array(z.object({ why: z.string(), count, exampleItemId: z.string() })),
    groups: z.array(z.object({ fingerprint: z.string().optional(), summary: z.string(), count })),
    lanes: z.array(
      z.object({
        lane: z.string(),
        count,
        perSecond: z.number().describe('Calls, at most; missing where nobody knows.').optional(),
        estimatedMs: z.number().optional(),
      }),
    ),
    estimatedMs: z.number().nullable().describe('Of the slowest lane at its full rate.'),
    samples: z.array(sample),
  })
  .openapi('JobPlan')

export const jobItemsQuery = closed({
  after: z
    .string()
    .regex(/^\d{1,9}$/, { error: 'expected a position' })
    .transform(Number)
    .openapi({ type: 'integer', description: 'The position of the last item of the page before.' })
    .optional(),
  limit: pageSize.optional(),
})

export const jobItemPage = z.object({
  items: z.array(
    z.object({
      position: count,
      itemId: z.string(),
      replaysBefore: count,
      replays: count,
      state: z.enum(ITEM_STATES).optional(),
      refused: z.string().optional(),
    }),
  ),
})
