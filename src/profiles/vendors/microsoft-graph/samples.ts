import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const ids = {
  date: '2026-11-22T15:00:00',
  'request-id': '0f7a3c52-6b0d-4e8a-9a41-7f2d5c8e9b10',
  'client-request-id': '0f7a3c52-6b0d-4e8a-9a41-7f2d5c8e9b10',
}
const headers = { 'request-id': ids['request-id'] }
const items = '/{version}/drives/{id}/items/{itemId}'
const users = '/{version}/users'
const members = '/{version}/groups/{id}/members/$ref'

function refusal(status: number, code: string, message: string, path = users, inner: Json = {}): RuleSample {
  const innerError = { ...ids, ...(inner as { readonly [name: string]: Json }) }
  return { status, headers, path, body: { error: { code, message, innerError } } }
}

/** As files answer: one code in another. */
function nested(status: number, code: string, innermost: string, message: string, path = items): RuleSample {
  return {
    status,
    headers,
    path,
    body: { error: { code, message, innererror: { code: 'intermediate', innererror: { code: innermost, ...ids } } } },
  }
}

export const microsoftGraphSamples: ProfileSamples = {
  'throttled-by-code': [
    {
      ...nested(429, 'tooManyRequests', 'activityLimitReached', 'The app or user has been throttled.'),
      headers: { ...headers, 'retry-after': '32' },
    },
    {
      ...nested(503, 'serviceNotAvailable', 'throttledRequest', 'Too many requests.'),
      headers: { ...headers, 'retry-after': '10' },
    },
    refusal(429, 'TooManyRequests', 'Too many requests, please try again later.'),
  ],
  throttled: [
    refusal(429, 'UnknownError', 'Application is over its MailboxConcurrency limit.', '/{version}/me/sendMail'),
    { status: 429, path: users, headers: { 'retry-after': '5' }, body: '' },
  ],
  'bandwidth-exceeded': [refusal(509, 'bandwidthLimitExceeded', 'The bandwidth limit of the app is reached.', items)],
  'claims-challenge': [
    {
      ...refusal(403, 'insufficient_claims', 'The user has to meet a conditional access policy.'),
      headers: { ...headers, 'www-authenticate': 'Bearer error="insufficient_claims", claims="c2FtcGxl"' },
    },
  ],
  'claims-challenge-by-message': [
    refusal(403, 'Forbidden', 'error=insufficient_claims: a conditional access policy applies.', items),
  ],
  'grant-refused': [
    {
      status: 400,
      path: '/common/oauth2/v2.0/token',
      body: {
        error: 'invalid_grant',
        error_description: 'AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks.',
        error_codes: [70043],
      },
    },
    {
      status: 401,
      path: '/common/oauth2/v2.0/token',
      body: {
        error: 'invalid_client',
        error_description: 'AADSTS7000222: The provided client secret keys are expired.',
      },
    },
  ],
  'token-expired': [
    refusal(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.'),
    nested(401, 'unauthenticated', 'expiredToken', 'The caller needs to authenticate.'),
  ],
  'permission-missing': [
    refusal(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.'),
    nested(403, 'accessDenied', 'itemAccessDenied', 'The caller does not have permission to perform the action.'),
    refusal(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.', '/{version}/me/sendMail'),
  ],
  'full-sync-needed': [
    {
      ...nested(
        410,
        'resyncRequired',
        'resyncChangesApplyDifferences',
        'Resync required.',
        '/{version}/drives/{id}/root/delta',
      ),
      method: 'GET',
    },
    {
      ...refusal(410, 'syncStateNotFound', 'The sync state generation is not found.', '/{version}/users/delta'),
      method: 'GET',
    },
  ],
  'quota-spent': [
    { ...nested(403, 'notAllowed', 'quotaLimitReached', 'The user has reached their quota limit.'), method: 'PUT' },
    { ...nested(507, 'quotaLimitReached', 'accountStorageFull', 'Insufficient space available.'), method: 'PUT' },
  ],
  'storage-full': [refusal(507, 'UnknownError', 'The directory object quota limit for the tenant has been exceeded.')],
  'directory-busy': [
    refusal(409, 'Directory_ConcurrencyViolation', 'Another change of this object is under way.', members),
  ],
  'name-exists': [
    nested(
      409,
      'nameAlreadyExists',
      'nameConflict',
      'The specified item name already exists.',
      '/{version}/drives/{id}/root/children',
    ),
  ],
  'value-taken': [
    {
      status: 400,
      headers,
      path: users,
      body: {
        error: {
          code: 'Request_BadRequest',
          message: 'Another object with the same value for property userPrincipalName already exists.',
          details: [
            {
              code: 'ObjectConflict',
              message: 'Another object with the same value for property userPrincipalName already exists.',
              target: 'userPrincipalName',
            },
          ],
          innerError: ids,
        },
      },
    },
  ],
  'already-member': [
    refusal(
      400,
      'Request_BadRequest',
      "One or more added object references already exist for the following modified properties: 'members'.",
      members,
    ),
  ],
  'changed-meanwhile': [
    {
      ...nested(412, 'resourceModified', 'eTagMismatch', 'The resource has changed since it was read.'),
      method: 'PATCH',
    },
    {
      ...refusal(
        409,
        'ErrorIrresolvableConflict',
        'The change key does not match the current one.',
        '/{version}/me/events/{id}',
      ),
      method: 'PATCH',
    },
  ],
  locked: [
    {
      ...nested(423, 'notAllowed', 'resourceLocked', 'The resource you are attempting to access is locked.'),
      method: 'PATCH',
    },
  ],
  'not-accepted-file': [
    nested(403, 'accessDenied', 'malwareDetected', 'Malware was detected in the requested resource.'),
  ],
  'no-mailbox': [
    refusal(
      404,
      'MailboxNotEnabledForRESTAPI',
      'The mailbox is either inactive, soft-deleted, or is hosted on-premise.',
      '/{version}/users/{id}/sendMail',
    ),
  ],
  'dependency-failed': [
    {
      status: 424,
      path: '/{version}/$batch',
      body: {
        error: { code: 'FailedDependency', message: 'A request that this one depends on failed.', innerError: ids },
      },
      note: 'One response of a batch.',
    },
  ],
  'unknown-property': [
    {
      ...refusal(
        400,
        'RequestBroker--ParseUri',
        "Could not find a property named 'shoeSize' on type 'microsoft.graph.user'.",
      ),
      method: 'GET',
    },
    refusal(400, 'BadRequest', "Resource not found for the segment 'mesages'.", '/{version}/me/mesages'),
  ],
  'some-requests-failed': [
    {
      status: 200,
      headers,
      path: '/{version}/$batch',
      body: {
        responses: [
          { id: '2', status: 201, headers: {}, body: { id: 'AAMkAGSample' } },
          {
            id: '1',
            status: 429,
            headers: { 'Retry-After': '12' },
            body: { error: { code: 'TooManyRequests', message: 'Too many requests', innerError: ids } },
          },
        ],
      },
    },
  ],
}
