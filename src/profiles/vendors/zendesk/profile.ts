/** Zendesk: tickets, users, organisations. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { ZENDESK_DOCS, zendeskRules } from './rules.ts'

/** The key is for making tickets only; it is kept for two hours, as far as is known. */
const KEYED: ProfileEndpoint = {
  idempotency: { key: 'Idempotency-Key', lifetime: '2h' },
  source: ZENDESK_DOCS.idempotency,
}
/** Finds the record by e-mail address or external id, or makes it. */
const UPSERT: ProfileEndpoint = { idempotency: 'safe', source: ZENDESK_DOCS.requests }
/** A comment in the update would be added again, although it is a PUT. */
const MAY_COMMENT: ProfileEndpoint = { idempotency: 'unsafe', source: ZENDESK_DOCS.tickets }
const JOB: ProfileEndpoint = { idempotency: 'unsafe', source: ZENDESK_DOCS.jobs }
/** Asked again and again until the job is done. */
const POLLED: ProfileEndpoint = { retry: { maxAttempts: 200, cap: '30s' }, source: ZENDESK_DOCS.jobs }

export const zendesk: Profile = {
  name: 'zendesk',
  title: 'Zendesk',
  docs: [
    ZENDESK_DOCS.requests.url,
    ZENDESK_DOCS.limits.url,
    ZENDESK_DOCS.idempotency.url,
    ZENDESK_DOCS.jobs.url,
    'https://developer.zendesk.com/api-reference/introduction/security-and-auth/',
  ],
  auth: {
    kinds: ['basic', 'bearer', 'refresh_token'],
    note: 'Every account has an address of its own (SUBDOMAIN.zendesk.com), its tokens at /oauth/tokens there. The user name of an API token is EMAIL/token. OAuth tokens may expire after 30 minutes.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'account',
      limit: 'x-rate-limit',
      remaining: 'x-rate-limit-remaining',
      window: { rolling: '1m' },
    },
    {
      kind: 'headers',
      name: 'account',
      limit: 'ratelimit-limit',
      remaining: 'ratelimit-remaining',
      reset: { header: 'ratelimit-reset', unit: 'delta_seconds' },
    },
  ],
  errorPaths: {
    code: ['details.*[].error', 'error', 'errors[].code'],
    message: [
      'details.*[].description',
      'description',
      'error_description',
      'job_status.message',
      'job_status.results[].error',
      'job_status.status',
      'error.message',
      'errors[].title',
      'error.title',
      'error',
    ],
    field: ['details.{field}', 'details[].field'],
  },
  rules: zendeskRules,
  endpoints: {
    'POST /api/v2/tickets': KEYED,
    'POST /api/v2/tickets.json': KEYED,
    'PUT /api/v2/tickets/{ticketId}': MAY_COMMENT,
    'PUT /api/v2/tickets/{ticketId}.json': MAY_COMMENT,
    'PUT /api/v2/tickets/update_many': MAY_COMMENT,
    'PUT /api/v2/tickets/update_many.json': MAY_COMMENT,
    'POST /api/v2/requests': { idempotency: 'unsafe' },
    'POST /api/v2/users/create_or_update': UPSERT,
    'POST /api/v2/users/create_or_update.json': UPSERT,
    'POST /api/v2/users/create_or_update_many': UPSERT,
    'POST /api/v2/users/create_or_update_many.json': UPSERT,
    'POST /api/v2/organizations/create_or_update': UPSERT,
    'POST /api/v2/organizations/create_or_update.json': UPSERT,
    'POST /api/v2/tickets/create_many': JOB,
    'POST /api/v2/tickets/create_many.json': JOB,
    'POST /api/v2/users/create_many': JOB,
    'POST /api/v2/imports/tickets/create_many': JOB,
    'GET /api/v2/job_statuses/{jobId}': POLLED,
    'GET /api/v2/job_statuses/{jobId}.json': POLLED,
  },
  redact: [
    'requester',
    'html_body',
    'plain_body',
    'phone',
    'shared_phone_number',
    'recipient',
    'access_token',
    'refresh_token',
  ],
}
