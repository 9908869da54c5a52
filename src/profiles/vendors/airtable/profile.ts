/** Airtable: records of bases. */
import type { BatchShape } from '../../../config/batch-shapes.ts'
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const LIMITS: FactSource = { url: 'https://airtable.com/developers/web/api/rate-limits', ...READ, certainty: 'vendor' }
const ERRORS: FactSource = { url: 'https://airtable.com/developers/web/api/errors', ...READ, certainty: 'unverified' }
const TROUBLES: FactSource = {
  url: 'https://support.airtable.com/docs/airtable-api-common-troubleshooting',
  ...READ,
  certainty: 'second_hand',
}
// That there are monthly limits is on the page; the code of the answer is not.
const QUOTA: FactSource = {
  url: 'https://support.airtable.com/docs/managing-api-call-limits-in-airtable',
  ...READ,
  certainty: 'unverified',
}
const UPSERT: FactSource = {
  url: 'https://airtable.com/developers/web/api/update-multiple-records',
  ...READ,
  certainty: 'unverified',
}

/** Up to ten rows: all of them are written, or none. */
const ROWS: BatchShape = {
  envelope: { kind: 'list', at: 'records' },
  answer: {
    lists: [{ at: 'records', match: { by: 'position' }, signs: { goodIfAny: ['id'] } }],
    allOrNothing: true,
  },
}

export const airtable: Profile = {
  name: 'airtable',
  title: 'Airtable',
  docs: [LIMITS.url, ERRORS.url, TROUBLES.url],
  baseUrl: 'https://api.airtable.com',
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://airtable.com/oauth2/v1/token',
    note: 'Personal access tokens do not expire. Refresh tokens of OAuth change with each use.',
  },
  // A base takes five a second on every plan; a token fifty, over all of its bases.
  limits: { values: { rate: '5/1s' }, source: LIMITS },
  errorPaths: {
    code: ['error.type', 'errors[].error', 'error'],
    message: ['error.message', 'errors[].message'],
  },
  rules: [
    {
      id: 'monthly-quota-spent',
      status: 429,
      code: 'PUBLIC_API_BILLING_LIMIT_EXCEEDED',
      class: 'wait_long',
      reportAs: 'monthly_quota_spent',
      retryAfter: { otherwise: '1h', atLeast: '15m' },
      hint: 'The workspace has made all calls of its plan for this month: upgrade it, or wait for the next month.',
      source: QUOTA,
    },
    {
      id: 'base-limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '30s', atLeast: '30s' },
      hint: 'Nothing to do: the base refuses all calls for 30 seconds. If it happens often, something else uses the base too: lower limits.rate, or write ten rows in a call.',
      source: LIMITS,
    },
    {
      id: 'unknown-field',
      status: 422,
      code: 'UNKNOWN_FIELD_NAME',
      class: 'schema',
      hint: 'The table has no such field, or it was renamed: correct the mapping (ids of fields survive renaming), then replay the group.',
      source: ERRORS,
    },
    {
      id: 'unknown-option',
      status: 422,
      code: 'INVALID_MULTIPLE_CHOICE_OPTIONS',
      class: 'schema',
      hint: 'The select field has no such option: add it in Airtable, or send typecast: true, then replay the group.',
      source: ERRORS,
    },
    {
      id: 'row-missing',
      status: [403, 404, 422],
      code: ['ROW_DOES_NOT_EXIST', 'MODEL_ID_NOT_FOUND'],
      method: ['GET', 'POST', 'PATCH', 'PUT'],
      class: 'not_found',
      hint: 'A record, perhaps a linked one, was deleted or is in another base: look its id up again.',
      source: ERRORS,
    },
    {
      id: 'listing-expired',
      status: 422,
      code: ['LIST_RECORDS_ITERATOR_NOT_AVAILABLE', 'INVALID_OFFSET_VALUE'],
      class: 'validation',
      reportAs: 'listing_expired',
      hint: 'The offset of the listing is too old: begin the listing again from its first page.',
      source: ERRORS,
    },
    {
      id: 'value-refused',
      status: 422,
      class: 'validation',
      hint: 'A value does not fit its field (INVALID_VALUE_FOR_COLUMN names it): correct it at its source. One bad row refuses all rows of the call.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: TROUBLES,
    },
    {
      id: 'no-access',
      status: 403,
      class: 'authorization',
      hint: 'The token lacks the scope or the base, or base and table do not exist: Airtable does not tell which. Add the base to the token, then replay.',
      source: TROUBLES,
    },
    {
      id: 'not-found',
      status: 404,
      method: ['GET', 'POST', 'PATCH', 'PUT'],
      class: 'not_found',
      hint: 'Check the ids of base (app...), table (tbl...) and record (rec...) in the path.',
      source: TROUBLES,
    },
    {
      id: 'too-large',
      status: 413,
      class: 'too_large',
      hint: 'Send fewer rows, or shorter texts; attachments go as links.',
      source: TROUBLES,
    },
    {
      // Said where it is down, and where it took too long.
      id: 'not-available',
      status: 503,
      class: 'transient',
      certainty: 'maybe_applied',
      hint: 'Airtable was down, or took too long with this call: look whether the rows are there. Upserts (performUpsert) may be repeated.',
      source: ERRORS,
    },
  ],
  endpoints: {
    'POST /v0/{baseId}/{tableIdOrName}': { idempotency: 'unsafe', batchShape: ROWS, source: UPSERT },
    // Sets fields of rows that are named by id, or by performUpsert's fieldsToMergeOn.
    'PATCH /v0/{baseId}/{tableIdOrName}': { idempotency: 'safe', batchShape: ROWS, source: UPSERT },
    'PUT /v0/{baseId}/{tableIdOrName}': { idempotency: 'safe', batchShape: ROWS, source: UPSERT },
    'PATCH /v0/{baseId}/{tableIdOrName}/{recordId}': { idempotency: 'safe', source: UPSERT },
    'POST /v0/{baseId}/{tableIdOrName}/listRecords': { idempotency: 'safe' },
  },
}
