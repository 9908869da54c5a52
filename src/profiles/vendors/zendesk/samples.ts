import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const tickets = '/api/v2/tickets'
const users = '/api/v2/users'
const headers = {
  'x-zendesk-request-id': '7c1d0e0a52f34f8e9c7b',
  'x-rate-limit': '700',
  'x-rate-limit-remaining': '512',
}

function invalid(field: string, error: string | undefined, description: string, path = users): RuleSample {
  const detail: Json = { description, ...(error !== undefined && { error }) }
  return {
    status: 422,
    headers,
    path,
    body: { error: 'RecordInvalid', description: 'Record validation errors', details: { [field]: [detail] } },
  }
}

function job(status: string, results: Json): RuleSample {
  return {
    status: 200,
    headers,
    method: 'GET',
    path: '/api/v2/job_statuses/{jobId}',
    body: {
      job_status: { id: '8b726e606741012ffc2d782bcb7848fe', status, total: 3, progress: 2, message: null, results },
    },
  }
}

export const zendeskSamples: ProfileSamples = {
  'one-record-limited': [
    {
      status: 429,
      path: '/api/v2/users/create_or_update',
      body: 'You have exceeded the rate limit for updating a single unique user. user email: ada@example.com',
    },
  ],
  'too-many-jobs': [
    {
      status: 429,
      headers,
      path: '/api/v2/tickets/create_many',
      body: { error: 'TooManyJobs', description: 'You have too many queued jobs. Try again later.' },
    },
  ],
  limited: [
    {
      status: 429,
      headers: { ...headers, 'x-rate-limit-remaining': '0', 'retry-after': '38' },
      path: tickets,
      body: { error: 'APIRateLimitExceeded', description: 'Number of allowed API requests per minute exceeded' },
    },
    { status: 429, path: '/api/v2/search', method: 'GET', body: 'Rate limit exceeded' },
  ],
  'not-available': [
    { status: 503, headers: { 'retry-after': '120' }, path: tickets, body: 'Service Unavailable' },
    {
      status: 503,
      headers,
      path: tickets,
      body: { error: 'ServiceUnavailable', description: 'Try again in a moment' },
    },
  ],
  'idempotency-key-reused': [
    {
      status: 400,
      headers,
      path: tickets,
      body: {
        error: 'IdempotentRequestError',
        description: 'The parameters of this request do not match those that the key was first used with.',
      },
    },
  ],
  'ticket-changed-meanwhile': [
    {
      status: 409,
      headers,
      method: 'PUT',
      path: '/api/v2/tickets/{ticketId}',
      body: { error: 'UpdateConflict', description: 'Safe Update prevented the update due to outdated ticket data.' },
    },
  ],
  'saved-at-once': [
    {
      status: 409,
      headers,
      path: '/api/v2/organizations/create_or_update',
      body: { error: 'DatabaseConflict', description: 'Database collision' },
    },
  ],
  'value-taken': [
    invalid('email', 'DuplicateValue', 'Email: ada@example.com is already being used by another user'),
    invalid('name', 'DuplicateValue', 'Name: Example has already been taken', '/api/v2/organizations'),
  ],
  'ticket-closed': [
    {
      ...invalid('status', undefined, 'Status: closed prevents ticket update', '/api/v2/tickets/{ticketId}'),
      method: 'PUT',
    },
  ],
  'invalid-data': [
    invalid('email', 'InvalidFormat', 'Email: ada@ is not properly formatted'),
    invalid('base', undefined, 'Description: cannot be blank', tickets),
  ],
  'endpoint-unknown': [
    {
      status: 404,
      headers,
      path: '/api/v2/ticketz',
      body: { error: 'InvalidEndpoint', description: 'Not found' },
    },
  ],
  'not-found': [
    {
      status: 404,
      headers,
      method: 'PUT',
      path: '/api/v2/tickets/{ticketId}',
      body: { error: 'RecordNotFound', description: 'Not found' },
    },
  ],
  'not-allowed': [
    {
      status: 403,
      headers,
      path: tickets,
      body: { error: { title: 'Forbidden', message: 'You do not have access to this page.' } },
    },
  ],
  'token-expired': [
    {
      status: 401,
      headers,
      path: tickets,
      body: {
        error: 'invalid_token',
        error_description: 'The access token provided is expired, revoked, malformed or invalid.',
      },
    },
  ],
  'credential-refused': [{ status: 401, headers, path: tickets, body: { error: "Couldn't authenticate you" } }],
  'job-under-way': [job('queued', null), job('working', null)],
  'job-failed': [
    job('failed', null),
    job('killed', [{ index: 0, id: 81, action: 'create', status: 'Created', success: true }]),
  ],
  'job-partly-failed': [
    job('completed', [
      { index: 0, id: 81, action: 'create', status: 'Created', success: true },
      { index: 1, error: 'RecordInvalid', details: 'Description: cannot be blank' },
    ]),
  ],
}
