/** Requests in: one record, many records, one call of an integration. All of it is on disk before it is answered. */
import { z } from '@hono/zod-openapi'
import { closed, METHODS } from '../../config/schema-parts.ts'
import type { Json } from '../../core/json.ts'
import type { SingleRequest, SubmitOptions, Submitted } from '../../engine/api.ts'
import { readJson } from '../body.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { jsonAnswer } from '../present.ts'
import { type Add, type Call, mediaTypeOf, requireJson } from '../route.ts'
import { labelPairs, nameParams, receipt } from '../schemas.ts'
import { LINES_TYPE, linesReceipt, submitLines, summary } from './submit-lines.ts'

const LINES = new Set([LINES_TYPE, 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'])

const word = z.string().min(1).max(1000)
const submitHeaders = z.object({
  'callback-secret': z
    .string()
    .describe('What the callback is signed with. Default: that of the configuration.')
    .optional(),
  'idempotency-key': z
    .string()
    .describe('Names the operation: sent again with the same content nothing is added, with other content it is 422.')
    .optional(),
})

const about = {
  batch: word.describe('What the balance is struck per. Default "default".').optional(),
  tenant: word.describe('Whose it is. Default "default".').optional(),
  label: labelPairs.optional(),
  callback: z
    .string()
    .min(1)
    .max(8000)
    .describe('Told by a signed webhook when the run ends, or needs a person.')
    .optional(),
}

const runsQuery = closed({
  ...about,
  key: word.describe('Of NDJSON: the field of each record that names it; dots go down.').optional(),
})

type About = {
  readonly batch?: string | undefined
  readonly tenant?: string | undefined
  readonly label?: Readonly<Record<string, string>> | undefined
  readonly callback?: string | undefined
}

const callback = closed({
  url: z.string().max(8000).describe('Its host must stand in `callbacks.hosts` of the configuration.'),
  secret: z.string().max(1000).describe('Default: that of the configuration.').optional(),
}).openapi('Callback')

function callbackOf(
  request: Request,
  query: { readonly callback?: string | undefined },
  body?: z.output<typeof callback>,
): Pick<SubmitOptions, 'callback'> {
  const url = body?.url ?? query.callback
  const secret = body?.secret ?? request.headers.get('callback-secret') ?? undefined
  return url === undefined ? {} : { callback: { url, ...(secret !== undefined && { secret }) } }
}

/** What all records of a request have in common. */
export function commonOptions({
  request,
  query,
  correlationId,
  hasOwnCorrelation,
}: Call<unknown, About>): SubmitOptions {
  return {
    ...callbackOf(request, query),
    ...(query.batch !== undefined && { batch: query.batch }),
    ...(query.tenant !== undefined && { tenant: query.tenant }),
    ...(query.label && { labels: query.label }),
    ...(hasOwnCorrelation && { correlationId }),
  }
}

export function addSubmitting(add: Add): void {
  add({
    method: 'post',
    path: '/v1/pipelines/{name}/runs',
    scope: 'submit',
    summary: 'Submit one record (JSON), or many (NDJSON, one per line)',
    description:
      'Answered once all of it is on disk. NDJSON may be of any length: lines that are refused are told by their number, the rest goes on. Ask for `application/x-ndjson` to get a receipt per line as each is stored; read it while you send.',
    params: nameParams,
    query: runsQuery,
    headers: submitHeaders,
    content: { 'application/json': z.unknown().describe('The record.'), [LINES_TYPE]: z.string() },
    answers: {
      202: { description: 'It is on disk.', schema: z.union([receipt, summary]) },
      200: {
        description: 'A receipt per line, as each is stored; the last says `end`.',
        schema: linesReceipt,
        type: LINES_TYPE,
      },
    },
    handle: (call) => (LINES.has(mediaTypeOf(call.request)) ? submitLines(call, commonOptions(call)) : submitOne(call)),
  })
  add({
    method: 'post',
    path: '/v1/requests',
    scope: 'submit',
    summary: 'Submit one call of an integration, to be made durably',
    description:
      'Its runs belong to the pipeline `request:INTEGRATION`; the answer of the API is the output of its item.',
    query: closed(about),
    headers: submitHeaders,
    body: closed({
      integration: word,
      method: z.enum(METHODS),
      path: z.string().min(1).max(8000).describe('Below the base URL, encoded.'),
      query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
      headers: z
        .record(z.string(), z.string())
        .describe('Beside those of the integration; none with secrets.')
        .optional(),
      body: z.unknown().describe('JSON').optional(),
      subject: z
        .string()
        .min(1)
        .max(1000)
        .describe('Whose personal data it holds; stored as a keyed hash, for POST /v1/erasures.')
        .optional(),
      callback: callback.describe('Told by a signed webhook when the call has ended, or needs a person.').optional(),
    }).openapi('SingleRequest'),
    answers: { 202: { description: 'It is on disk.', schema: receipt } },
    async handle(call) {
      const key = idempotencyKeyOf(call.request.headers)
      const { subject } = call.body
      const options = {
        ...commonOptions(call),
        ...callbackOf(call.request, call.query, call.body.callback),
        ...(key !== undefined && { key }),
        ...(subject !== undefined && { subject }),
      }
      const submitted = await call.parts.holdfast.submitRequest(requestOf(call.body), options)
      return accepted(submitted)
    },
  })
}

async function submitOne(call: Call<{ name: string }, About>): Promise<Response> {
  const { request, parts } = call
  requireJson(request)
  const key = idempotencyKeyOf(request.headers)
  const input = await readJson(request, { ...call.reading, maxBytes: parts.maxPayloadBytes })
  const options = { ...commonOptions(call), ...(key !== undefined && { key }) }
  return accepted(await parts.holdfast.submit(call.params.name, input, options))
}

function accepted({ runId, duplicate }: Submitted): Response {
  return jsonAnswer({ runId, duplicate }, 202, { location: `/v1/runs/${runId}` })
}

function requestOf({
  integration,
  method,
  path,
  query,
  headers,
  body,
}: {
  integration: string
  method: SingleRequest['method']
  path: string
  query?: Record<string, string | number | boolean> | undefined
  headers?: Record<string, string> | undefined
  body?: unknown
}): SingleRequest {
  return {
    integration,
    method,
    path,
    ...(query && { query }),
    ...(headers && { headers }),
    ...(body !== undefined && { body: body as Json }),
  }
}
