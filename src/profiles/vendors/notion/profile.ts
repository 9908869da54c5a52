/** Notion: pages, blocks, data sources. */
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const STATUSES: FactSource = {
  url: 'https://developers.notion.com/reference/status-codes',
  read: '2026-11-22',
  certainty: 'vendor',
}
const LIMITS: FactSource = {
  url: 'https://developers.notion.com/reference/request-limits',
  read: '2026-11-22',
  certainty: 'vendor',
}
const CLIENT: FactSource = {
  url: 'https://github.com/makenotion/notion-sdk-js',
  read: '2026-11-22',
  certainty: 'vendor',
}
const MESSAGES: FactSource = { ...STATUSES, certainty: 'unverified' }

export const notion: Profile = {
  name: 'notion',
  title: 'Notion',
  docs: [STATUSES.url, LIMITS.url, 'https://developers.notion.com/reference/versioning'],
  baseUrl: 'https://api.notion.com',
  headers: { 'Notion-Version': '2025-09-03' },
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://api.notion.com/v1/oauth/token',
    note: 'Tokens of internal integrations do not expire. Pages must be shared with the integration one by one.',
  },
  // Notion gives up after a minute.
  timeouts: { headers: '65s', total: '70s' },
  errorPaths: { code: ['code'], message: ['message'] },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '10s', atLeast: '1s' },
      hint: 'Nothing to do: the lane waits. additional_data.rate_limit_reason tells whether this connection or the whole workspace made too many calls.',
      source: LIMITS,
    },
    {
      id: 'overloaded',
      status: 529,
      class: 'transient',
      // Refused before anything was done: Notion's own client repeats every method.
      certainty: 'not_sent',
      retryAfter: { otherwise: '5s' },
      hint: 'Nothing to do: Notion is overloaded and refuses calls for a moment.',
      source: LIMITS,
    },
    {
      id: 'database-not-available',
      status: 503,
      code: 'database_connection_unavailable',
      class: 'transient',
      certainty: 'not_sent',
      hint: 'Nothing to do: Notion cannot reach its database. If it lasts, look at status.notion.so.',
      source: STATUSES,
    },
    {
      // Also said where a call took longer than a minute, which may have done its work.
      id: 'not-available',
      status: 503,
      class: 'transient',
      certainty: 'maybe_applied',
      hint: 'Notion was down, or took longer than 60 seconds: look whether the page has the change. Smaller calls help.',
      source: STATUSES,
    },
    {
      id: 'failed-inside',
      status: [500, 504],
      class: 'transient',
      certainty: 'maybe_applied',
      maxRetries: 3,
      hint: 'It may have been done: Notion itself repeats only reads and deletions after this. Look at the page before a replay.',
      source: CLIENT,
    },
    {
      id: 'changed-at-the-same-time',
      status: 409,
      class: 'conflict',
      reportAs: 'version_conflict',
      maxRetries: 3,
      hint: 'Something else changed the same page or block: if it lasts, send changes of one page one after another.',
      source: STATUSES,
    },
    {
      id: 'grant-refused',
      status: 400,
      code: 'invalid_grant',
      class: 'authentication',
      hint: 'The authorisation or refresh token is used, revoked or of another client: connect the workspace again, then resume the lane.',
      source: STATUSES,
    },
    {
      id: 'version-missing',
      status: 400,
      code: 'missing_version',
      class: 'configuration',
      hint: 'Send the header Notion-Version: it is in this profile, and something took it out.',
      source: STATUSES,
    },
    {
      id: 'request-unusable',
      status: 400,
      code: ['invalid_json', 'invalid_request_url', 'invalid_request'],
      class: 'configuration',
      hint: 'Compare path and body of this endpoint with the reference of the Notion-Version that is sent.',
      source: STATUSES,
    },
    {
      id: 'unknown-property',
      status: 400,
      message: 'is not a property that exists',
      class: 'schema',
      reportAs: 'unknown_property',
      hint: 'The database has no such property, or it was renamed: correct the mapping, then replay the group.',
      source: MESSAGES,
    },
    {
      id: 'too-long',
      status: 400,
      message: '/length should be (?:≤|<=|less)/',
      class: 'too_large',
      reportAs: 'too_long',
      hint: 'Split it: 2,000 characters in a rich text, 100 blocks or rich texts in a list, 1,000 blocks and 500 KB in a call.',
      source: MESSAGES,
    },
    {
      id: 'not-permitted',
      status: 403,
      class: 'authorization',
      hint: 'Give the integration the capability (read, update, insert content) in its settings, then replay.',
      source: STATUSES,
    },
    {
      id: 'not-found-or-not-shared',
      status: 404,
      method: ['GET', 'POST', 'PATCH', 'PUT'],
      class: 'not_found',
      hint: 'Mostly a page that is not shared with the integration: add the connection to it in Notion, then replay.',
      source: STATUSES,
    },
  ],
  endpoints: {
    'POST /v1/search': { idempotency: 'safe', source: CLIENT },
    'POST /v1/data_sources/{data_source_id}/query': { idempotency: 'safe', source: CLIENT },
    'POST /v1/databases/{database_id}/query': { idempotency: 'safe', source: CLIENT },
    // They set values; appending children does not.
    'PATCH /v1/pages/{page_id}': { idempotency: 'safe' },
    'PATCH /v1/blocks/{block_id}': { idempotency: 'safe' },
    'PATCH /v1/data_sources/{data_source_id}': { idempotency: 'safe' },
    'PATCH /v1/databases/{database_id}': { idempotency: 'safe' },
    'PATCH /v1/blocks/{block_id}/children': { idempotency: 'unsafe' },
    'POST /v1/pages': { idempotency: 'unsafe', source: CLIENT },
  },
}
