/** What requests and answers look like: the one source of the checks and of the contract. Names as on the command line. */
import { z } from '@hono/zod-openapi'
import { closed } from '../config/schema-parts.ts'
import { ITEM_STATES } from '../core/item-state.ts'
import type { Selection } from '../engine/api.ts'
import type { ItemFilter } from '../ledger/port.ts'

export const atMs = z.number().describe('Milliseconds since the epoch.')
const labels = z.record(z.string(), z.string())
const state = z.enum(ITEM_STATES)
const json = z.unknown().describe('JSON; the values of secret fields are replaced by "[redacted]".')
const word = z.string().min(1).max(1000)

export const idParams = z.object({ id: z.string().min(1).max(200) })
export const nameParams = z.object({ name: z.string().min(1).max(200) })
export const keyParams = z.object({ key: z.string().min(1).max(1000) })

// --- in the query ---------------------------------------------------------------------------------------------------------

export const labelPairs = z
  .union([z.string(), z.array(z.string())])
  .transform((texts, context) => {
    const pairs = [texts].flat().map((text): [string, string] => {
      const at = text.indexOf('=')
      if (at < 1) context.addIssue({ code: 'custom', message: 'expected NAME=VALUE' })
      return [text.slice(0, at), text.slice(at + 1)]
    })
    return Object.fromEntries(pairs)
  })
  .openapi({ type: 'array', items: { type: 'string' }, description: 'NAME=VALUE; may be repeated.' })

const stateQuery = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(state))
  .openapi({ type: 'string', description: `Separated by commas: ${ITEM_STATES.join(', ')}.` })

export const pageSize = z
  .string()
  .regex(/^\d{1,4}$/, { error: 'expected a whole number' })
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= 1000, { error: 'expected 1 to 1000' })
  .openapi({ type: 'integer', minimum: 1, maximum: 1000, default: 50 })

const paging = {
  limit: pageSize.optional(),
  cursor: z.string().max(2000).describe('Of the page before.').optional(),
}

export const pageQuery = closed(paging)

const filterWords = {
  pipeline: word.optional(),
  step: word.optional(),
  batch: word.optional(),
  lane: word.optional(),
  endpoint: word.describe('`POST /contacts`').optional(),
  key: word.optional(),
  run: word.describe('Id of a run.').optional(),
  tenant: word.optional(),
}

export const itemsQuery = closed({
  state: stateQuery.optional(),
  ...filterWords,
  label: labelPairs.optional(),
  ...paging,
})
export const deadLettersQuery = closed({
  ...filterWords,
  group: word.describe('Fingerprint of a group.').optional(),
  label: labelPairs.optional(),
  ...paging,
})
export const exportQuery = closed({
  ...filterWords,
  group: word.describe('Fingerprint of a group.').optional(),
  label: labelPairs.optional(),
})
export const groupsQuery = closed({ ...filterWords, label: labelPairs.optional() })
export const statsQuery = closed({ batch: word.optional(), pipeline: word.optional(), label: labelPairs.optional() })

/** From the words of a query to the ledger's. */
export function filterOf(
  query: {
    readonly [Name in keyof typeof filterWords]?: string | undefined
  } & {
    readonly state?: ItemFilter['states'] | undefined
    readonly group?: string | undefined
    readonly label?: Readonly<Record<string, string>> | undefined
  },
): ItemFilter {
  const {
    state: states,
    run: runId,
    group: fingerprint,
    label,
    pipeline,
    step,
    batch,
    lane,
    endpoint,
    key,
    tenant,
  } = query
  const filter = { states, runId, fingerprint, labels: label, pipeline, step, batch, lane, endpoint, key, tenant }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as ItemFilter
}

export function pageOf({
  limit,
  cursor,
}: {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}) {
  return { ...(limit !== undefined && { limit }), ...(cursor !== undefined && { cursor }) }
}

// --- in the body ----------------------------------------------------------------------------------------------------------

export const selectionSchema = z
  .union(
    [
      closed({ items: z.array(word).min(1).max(10_000).describe('Ids.') }),
      closed({ group: word.describe('Fingerprint of a group.') }),
      closed({
        filter: closed({ ...filterWords, labels: labels.optional() })
          .refine((filter) => Object.keys(filter).length > 0, {
            error: 'an empty filter finds all: say { "all": true }',
          })
          .describe('What is left out is not asked.'),
      }),
      closed({ all: z.literal(true).describe('All dead letters.') }),
    ],
    { error: 'expected one of { "items": [...] }, { "group": "..." }, { "filter": {...} }, { "all": true }' },
  )
  .openapi('Selection')

export function selectionOf(written: z.output<typeof selectionSchema>): Selection {
  if ('items' in written) return { itemIds: written.items }
  if ('group' in written) return { fingerprint: written.group }
  if ('all' in written) return { filter: {} }
  const { labels: label, ...filter } = written.filter
  return { filter: filterOf({ ...filter, label }) }
}

export const reason = z.string().trim().min(1).max(2000).describe('Why, for those who come later.')

// --- in answers -----------------------------------------------------------------------------------------------------------

const deadLetterFacts = {
  fingerprint: z.string().describe('Equal for the same root cause.'),
  summary: z.string(),
  hint: z.string(),
  cause: z.string(),
}

const summaryFields = {
  itemId: z.string(),
  runId: z.string(),
  tenant: z.string(),
  pipeline: z.string(),
  step: z.string(),
  key: z.string(),
  lane: z.string(),
  endpoint: z.string(),
  state,
  reason: z.string(),
  dueAtMs: atMs.optional(),
  counters: z.object({ attempts: z.int(), deferrals: z.int(), crashes: z.int(), replays: z.int() }),
  createdAtMs: atMs,
  firstAttemptAtMs: atMs.optional(),
  endedAtMs: atMs.optional(),
  updatedAtMs: atMs,
  lease: z.object({ workerId: z.string(), untilMs: atMs, startedAtMs: atMs }).optional(),
  deadLetter: z.object({ ...deadLetterFacts, sinceMs: atMs }).optional(),
  externalId: z.string().optional(),
  labels,
  batch: z.string(),
  optional: z.boolean(),
}

export const itemSummary = z.object(summaryFields).openapi('ItemSummary')

export const failure = z
  .looseObject({
    class: z.string(),
    code: z.string(),
    message: z.string(),
    certainty: z.string(),
    hint: z.string(),
    rule: z.string(),
  })
  .openapi('Failure')

export const itemRecord = z
  .object({
    ...summaryFields,
    input: json,
    edits: z.array(z.object({ input: json, by: z.string(), atMs, replay: z.int() })),
    output: json.optional(),
    after: z.array(z.string()),
    dependents: z.array(z.string()),
    attempts: z.array(
      z.object({
        number: z.int(),
        startedAtMs: atMs,
        endedAtMs: atMs,
        outcome: z.enum(['succeeded', 'failed', 'reconciled', 'not_found', 'crashed']),
        counts: z.boolean(),
        status: z.int().optional(),
        failure: failure.optional(),
        idempotencyKey: z.string().optional(),
        note: z.string().optional(),
      }),
    ),
    operations: z.array(z.object({ what: z.string(), by: z.string(), atMs, note: z.string() })),
    correlationId: z.string(),
    slowLaneTries: z.int(),
    cancelRequested: z.boolean(),
  })
  .openapi('Item')

export const explanation = z
  .object({
    itemId: z.string(),
    headline: z.string(),
    lines: z.array(z.object({ atMs: atMs.optional(), text: z.string() })),
    next: z.string(),
    hint: z.string(),
  })
  .openapi('Explanation')

export const run = z
  .object({
    id: z.string(),
    tenant: z.string(),
    pipeline: z.string(),
    key: z.string(),
    input: json,
    labels,
    batch: z.string(),
    correlationId: z.string(),
    createdAtMs: atMs,
    items: z.array(itemSummary),
  })
  .openapi('Run')

export const cursor = z.string().nullable().describe('For the next page; null on the last.')

export const itemPage = z.object({ items: z.array(itemSummary), cursor })

export const group = z
  .object({
    ...deadLetterFacts,
    count: z.int(),
    states: z.record(z.string(), z.int()),
    pipelines: z.array(z.string()),
    endpoints: z.array(z.string()),
    firstMs: atMs,
    lastMs: atMs,
    exampleItemId: z.string(),
    willRetry: z.int().describe('How many are tried again, or looked for, by themselves.'),
  })
  .openapi('DeadLetterGroup')

export const lane = z
  .object({
    lane: z.string(),
    gateUntilMs: atMs,
    gateReason: z.string(),
    suspended: z.object({ reason: z.string(), atMs }).optional(),
    processing: z.int(),
  })
  .openapi('Lane')

export const breaker = z
  .looseObject({ key: z.string(), phase: z.enum(['closed', 'open', 'half_open', 'ramping']), reason: z.string() })
  .openapi('Breaker')

export const disabledAddress = z
  .object({
    address: z.string().describe('Names the URL, which may be a secret.'),
    integration: z.string(),
    sinceMs: atMs,
    itemId: z.string().describe('The callback that was answered with 410; its input has the URL.'),
  })
  .openapi('DisabledAddress')

export const integration = z
  .object({
    name: z.string(),
    baseUrl: z.string(),
    lanes: z.array(lane),
    breakers: z.array(breaker),
    due: z.int().describe('Channels with work that is due.'),
  })
  .openapi('Integration')

export const balance = z
  .object({
    accepted: z.int(),
    states: z.record(state, z.int()),
    needsPerson: z.int(),
    balanced: z.boolean(),
  })
  .openapi('Balance')

export const auditReport = z
  .object({
    balanced: z.boolean(),
    balance,
    batches: z.array(balance.extend({ batch: z.string() })),
    checks: z.array(
      z.object({ name: z.string(), description: z.string(), violations: z.int(), examples: z.array(z.string()) }),
    ),
  })
  .openapi('Audit')

export const action = z
  .object({
    id: z.string(),
    atMs,
    by: z.string(),
    from: z.string(),
    what: z.string(),
    target: z.string(),
    reason: z.string(),
    details: z.unknown(),
    outcome: z.enum(['begun', 'done', 'failed']),
  })
  .openapi('Action')

export const actionPage = z.object({ actions: z.array(action), cursor })

export const sample = z.object({ itemId: z.string(), before: json, after: json })

export const replayReport = z
  .object({
    selected: z.int(),
    replayed: z.int(),
    refused: z.array(z.object({ itemId: z.string(), why: z.string() })),
    stopped: z.object({ itemId: z.string(), why: z.string() }).nullable().describe('A canary that did not end well.'),
    dryRun: z.boolean(),
    samples: z.array(sample),
    itemIds: z.array(z.string()),
  })
  .openapi('ReplayReport')

export const receipt = z
  .object({
    runId: z.string(),
    duplicate: z.boolean().describe('True: it was already known, and nothing was added.'),
  })
  .openapi('Receipt')
