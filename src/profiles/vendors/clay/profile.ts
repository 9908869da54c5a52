/** Clay: the public API, and the addresses ("webhooks") through which rows enter a table. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const API: FactSource = { url: 'https://developers.clay.com/public-api', ...READ, certainty: 'second_hand' }
const ROWS: FactSource = {
  url: 'https://www.clay.com/university/guide/webhook-integration-guide',
  ...READ,
  certainty: 'second_hand',
}
/** Its description in OpenAPI. */
const ROUTINES: FactSource = { url: 'https://developers.clay.com/openapi.json', ...READ, certainty: 'second_hand' }
const SEEN: FactSource = { ...API, certainty: 'unverified' }

const RESULTS_OF_BATCH = 'GET /public/v0/routines/run-batch/{runId}/results'

const RUN: ProfileEndpoint = { idempotency: 'unsafe', source: ROUTINES }
/** Asked again and again until the run is done. */
const POLLED: ProfileEndpoint = { retry: { maxAttempts: 200, cap: '30s' }, source: ROUTINES }

export const clay: Profile = {
  name: 'clay',
  title: 'Clay',
  docs: [API.url, 'https://developers.clay.com/routines/api', ROWS.url],
  baseUrl: 'https://api.clay.com',
  preset: 'enrichment',
  auth: {
    kinds: ['header'],
    header: 'clay-api-key',
    note: 'The key is in the account settings. Addresses of tables take no key, or a token of their own in x-clay-webhook-auth.',
  },
  errorPaths: {
    message: ['message', 'error.message'],
    field: ['error.details[].field'],
  },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '30s' },
      hint: 'Nothing to do: the lane waits. Plans limit rows an hour: set limits.rate to that of yours.',
      source: API,
    },
    {
      id: 'budget-spent',
      status: 402,
      class: 'wait_long',
      certainty: 'not_sent',
      reportAs: 'budget_spent',
      retryAfter: { otherwise: '1h' },
      hint: 'The credits, or the budget of the workspace, are used up: raise the budget or buy credits. It goes on by itself then.',
      source: API,
    },
    {
      id: 'endpoint-retired',
      status: 404,
      message: '/deprecated|no longer (?:available|supported)/',
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH'],
      class: 'configuration',
      reportAs: 'endpoint_retired',
      hint: 'Clay took this endpoint out of service: change the step to the one that its documentation names, then replay the group.',
      source: API,
    },
    {
      id: 'table-address-gone',
      status: [404, 410],
      endpoint: 'POST /v3/sources/webhook/{sourceId}',
      class: 'configuration',
      reportAs: 'table_address_gone',
      hint: 'No table has this address: the table or its source was deleted, or the address was copied wrong. Copy it again from the table, then replay the group.',
      source: SEEN,
    },
    {
      id: 'table-full',
      status: [400, 403, 413, 422],
      endpoint: 'POST /v3/sources/webhook/{sourceId}',
      message:
        '/(?:row|record|submission|webhook|source)s? limit|limit of [0-9,]{1,12} (?:rows|records|submissions)|table is full/',
      class: 'configuration',
      reportAs: 'table_full',
      hint: 'An address takes 50,000 rows in its life, whatever is deleted: make a new source (and table), put its address in, then replay the group.',
      source: { ...ROWS, certainty: 'unverified' },
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      reportAs: 'key_refused',
      hint: 'The key (clay-api-key), or the token of the table (x-clay-webhook-auth), is wrong: put a good one in, then resume the lane.',
      source: API,
    },
    {
      id: 'results-not-ready',
      status: 202,
      method: 'GET',
      class: 'transient',
      reportAs: 'still_running',
      maxRetries: 200,
      countsAgainstBreaker: false,
      retryAfter: { otherwise: '5s' },
      hint: 'Nothing to do: the run goes on. Or name a webhook (webhook_id) when starting it, and wait for that.',
      source: ROUTINES,
    },
    {
      id: 'batch-file-refused',
      status: 200,
      endpoint: RESULTS_OF_BATCH,
      body: { path: 'status', equals: 'validation_failed' },
      class: 'validation',
      reportAs: 'batch_file_refused',
      hint: 'Lines of the uploaded file do not fit the routine, and nothing was run: `error.details` names line and field. Correct them, upload the file again, and start a new run.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: ROUTINES,
    },
    {
      id: 'batch-failed',
      status: 200,
      endpoint: RESULTS_OF_BATCH,
      body: { path: 'status', equals: 'processing_failed' },
      class: 'unknown',
      certainty: 'maybe_applied',
      reportAs: 'batch_failed',
      maxRetries: 0,
      hint: 'The run broke off; part of it may have been done and charged. Look at it in Clay before starting a new one.',
      source: ROUTINES,
    },
    {
      id: 'invalid-data',
      status: [400, 422],
      class: 'validation',
      hint: 'Clay cannot read the inputs; the message tells which. Rows are JSON objects with content-type application/json; a run takes at most 100 items.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: SEEN,
    },
  ],
  endpoints: {
    // Every call is a new row: put an id of your own into it, and let the table find duplicates by it.
    'POST /v3/sources/webhook/{sourceId}': { idempotency: 'unsafe', source: ROWS },
    // Every run costs credits.
    'POST /public/v0/routines/{routineId}/run': RUN,
    'POST /public/v0/routines/{routineId}/run-batch/start': RUN,
    'POST /public/v0/routines/{routineId}/run-batch/upload-url': { idempotency: 'safe', source: ROUTINES },
    'POST /public/v0/*': RUN,
    'GET /public/v0/routines/run/{runId}/results': POLLED,
    [RESULTS_OF_BATCH]: POLLED,
  },
  redact: ['clay-api-key', 'x-clay-webhook-auth', 'phone', 'mobile', 'personalEmail', 'signingSecret'],
}
