/** Erasing what the store holds of one subject (see docs/privacy.md). */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import type { EraseRequest } from '../../engine/api.ts'
import { jsonAnswer } from '../present.ts'
import type { Add } from '../route.ts'

const MOST_RUNS = 1000

const erasure = closed({
  subject: z
    .string()
    .min(1)
    .max(1000)
    .describe('Whose data: what the `subject` of a pipeline gave, or the key of a run.')
    .optional(),
  runIds: z.array(z.string().min(1).max(200)).max(MOST_RUNS).optional(),
  tenant: z.string().min(1).max(200).describe('Only what is held for this tenant. Default: for all.').optional(),
  notEnded: z
    .enum(['refuse', 'cancel'])
    .describe('Runs that have not ended: leave and name them, or end them first. Default refuse.')
    .optional(),
  dryRun: z.boolean().describe('Only say what would be erased.').optional(),
  scrub: z
    .boolean()
    .describe(
      'Also clear what was overwritten from the files of the store; with SQLite nothing else is written meanwhile. Default false.',
    )
    .optional(),
}).openapi('Erasure')

const report = z
  .object({
    runs: z.int().describe('That hold it.'),
    items: z.int(),
    erased: z.array(z.string()).describe('Ids of the runs that are erased now, or would be.'),
    refused: z.array(z.object({ runId: z.string(), why: z.string() })),
    jobs: z.array(z.string()).describe('Under way, and their patch names it: they keep that until they end.'),
    scrubbed: z.boolean(),
    dryRun: z.boolean(),
  })
  .openapi('ErasureReport')

export function addErasing(add: Add): void {
  add({
    method: 'post',
    path: '/v1/erasures',
    scope: 'admin',
    summary: 'Erase what is held of one subject, for good; history and balance stay',
    body: erasure,
    answers: { 200: { description: 'What was erased, and what was left.', schema: report } },
    async handle({ body, operations, principal }) {
      const { subject, runIds, tenant, notEnded, dryRun, scrub = false } = body
      const request: EraseRequest = {
        ...(subject !== undefined && { subject }),
        ...(runIds && { runIds }),
        ...(tenant !== undefined && { tenant }),
        ...(notEnded && { notEnded }),
        ...(dryRun && { dryRun }),
        scrub,
        by: principal.by,
      }
      return jsonAnswer(await operations.erase(request))
    },
  })
}
