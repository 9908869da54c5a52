import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const send = '/gmail/v1/users/{userId}/messages/send'
const files = '/drive/v3/files'
const events = '/calendar/v3/calendars/{calendarId}/events'

/** The older form. */
function reason(status: number, why: string, message: string, path: string, domain = 'usageLimits'): RuleSample {
  return {
    status,
    path,
    body: { error: { code: status, message, errors: [{ domain, reason: why, message }] } },
  }
}

/** The newer form. */
function info(status: number, name: string, message: string, path: string, ...details: readonly Json[]): RuleSample {
  return { status, path, body: { error: { code: status, message, status: name, details: [...details] } } }
}

function errorInfo(why: string, service: string): Json {
  return {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: why,
    domain: 'googleapis.com',
    metadata: { service },
  }
}

export const googleSamples: ProfileSamples = {
  'unregistered-calls': [
    reason(
      403,
      'dailyLimitExceededUnreg',
      'Daily Limit for Unauthenticated Use Exceeded. Continued use requires signup.',
      files,
    ),
  ],
  'daily-quota-spent': [
    reason(403, 'dailyLimitExceeded', 'Daily Limit Exceeded', files),
    reason(
      403,
      'quotaExceeded',
      'The request cannot be completed because you have exceeded your quota.',
      '/youtube/v3/videos',
      'youtube.quota',
    ),
  ],
  'daily-quota-spent-by-message': [
    info(429, 'RESOURCE_EXHAUSTED', "Quota exceeded for quota metric 'Queries' and limit 'Queries per day'.", events),
  ],
  limited: [
    {
      ...reason(429, 'rateLimitExceeded', 'User-rate limit exceeded.  Retry after 2026-11-22T15:04:12.391Z', send),
      note: 'Gmail tells the time in the text.',
    },
    reason(403, 'userRateLimitExceeded', 'User Rate Limit Exceeded', files),
    info(
      429,
      'RESOURCE_EXHAUSTED',
      "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per user'.",
      '/v4/spreadsheets/{spreadsheetId}:batchUpdate',
      errorInfo('RATE_LIMIT_EXCEEDED', 'sheets.googleapis.com'),
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '31.5s' },
    ),
  ],
  'storage-full': [reason(403, 'storageQuotaExceeded', "The user's Drive storage quota has been exceeded.", files)],
  'api-not-enabled': [
    reason(403, 'accessNotConfigured', 'Access Not Configured. The API is not enabled for your project.', events),
    info(
      403,
      'PERMISSION_DENIED',
      'People API has not been used in project 1001 before or it is disabled.',
      '/v1/people:createContact',
      errorInfo('SERVICE_DISABLED', 'people.googleapis.com'),
    ),
  ],
  'domain-policy': [
    reason(403, 'domainPolicy', 'The domain administrators have disabled Drive apps.', files, 'global'),
  ],
  'scope-missing': [
    reason(403, 'insufficientPermissions', 'Insufficient Permission', send, 'global'),
    info(
      403,
      'PERMISSION_DENIED',
      'Request had insufficient authentication scopes.',
      send,
      errorInfo('ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'gmail.googleapis.com'),
    ),
  ],
  'no-access': [
    reason(
      403,
      'insufficientFilePermissions',
      'The user does not have sufficient permissions for this file.',
      files,
      'global',
    ),
    info(
      403,
      'PERMISSION_DENIED',
      'The caller does not have permission',
      '/v4/spreadsheets/{spreadsheetId}:batchUpdate',
    ),
  ],
  'grant-refused': [
    {
      status: 400,
      path: '/token',
      body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
    },
  ],
  'token-expired': [
    reason(401, 'authError', 'Invalid Credentials', send, 'global'),
    info(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.', send),
  ],
  'failed-inside': [
    reason(500, 'internalError', 'Internal Error', files, 'global'),
    reason(503, 'backendError', 'Backend Error', events, 'global'),
    info(500, 'INTERNAL', 'Internal error encountered.', '/v1/people:createContact'),
  ],
  'full-sync-needed': [
    {
      ...reason(410, 'fullSyncRequired', 'Sync token is no longer valid, a full sync is required.', events, 'calendar'),
      method: 'GET',
    },
  ],
  'id-exists': [
    reason(409, 'duplicate', 'The requested identifier already exists.', events, 'global'),
    info(409, 'ALREADY_EXISTS', 'Requested entity already exists', '/v1/projects/{projectId}/topics'),
  ],
  aborted: [info(409, 'ABORTED', 'Too much contention on these documents. Please try again.', '/v1/documents:commit')],
  'changed-meanwhile': [
    {
      ...reason(
        412,
        'conditionNotMet',
        'Precondition Failed',
        '/calendar/v3/calendars/{calendarId}/events/{eventId}',
        'global',
      ),
      method: 'PATCH',
    },
  ],
  'rows-refused': [
    {
      status: 200,
      path: '/bigquery/v2/projects/{projectId}/datasets/{datasetId}/tables/{tableId}/insertAll',
      body: {
        kind: 'bigquery#tableDataInsertAllResponse',
        insertErrors: [
          { index: 0, errors: [{ reason: 'stopped', location: '', debugInfo: '', message: '' }] },
          {
            index: 1,
            errors: [{ reason: 'invalid', location: 'shoe_size', debugInfo: '', message: 'no such field: shoe_size.' }],
          },
        ],
      },
    },
  ],
}
