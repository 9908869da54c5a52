import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const request_id = '5b0c9a1e-2f47-4c6d-8a35-1e9d7c3b6f20'

function answer(
  status: number,
  code: string,
  message: string,
  more: { readonly [name: string]: Json } = {},
): RuleSample {
  return { status, path: '/v1/pages', body: { object: 'error', status, code, message, ...more, request_id } }
}

export const notionSamples: ProfileSamples = {
  limited: [
    {
      ...answer(429, 'rate_limited', 'You have been rate limited. Please try again in a few minutes.', {
        additional_data: { rate_limit_reason: 'workspace' },
      }),
      headers: { 'retry-after': '14' },
    },
  ],
  overloaded: [
    {
      ...answer(529, 'service_overload', 'The service is overloaded. Please try again later.'),
      headers: { 'retry-after': '5' },
    },
  ],
  'database-not-available': [
    answer(503, 'database_connection_unavailable', 'The database of the service cannot be queried at this time.'),
  ],
  'not-available': [
    answer(503, 'service_unavailable', 'Notion is unavailable, please try again later.'),
    { status: 503, path: '/v1/pages', body: '<html><head><title>503 Service Unavailable</title></head></html>' },
  ],
  'failed-inside': [
    answer(500, 'internal_server_error', 'Unexpected error occurred.'),
    answer(504, 'gateway_timeout', 'Notion timed out while completing this request.'),
  ],
  'changed-at-the-same-time': [
    { ...answer(409, 'conflict_error', 'Conflict occurred while saving. Please try again.'), method: 'PATCH' },
  ],
  'grant-refused': [
    { ...answer(400, 'invalid_grant', 'Invalid refresh token: it has been revoked.'), path: '/v1/oauth/token' },
  ],
  'version-missing': [answer(400, 'missing_version', 'Notion-Version header failed validation: it should be defined.')],
  'request-unusable': [
    answer(400, 'invalid_json', 'Error parsing JSON body.'),
    answer(400, 'invalid_request_url', 'Invalid request URL.'),
  ],
  'unknown-property': [answer(400, 'validation_error', 'Lead score is not a property that exists.')],
  'too-long': [
    answer(
      400,
      'validation_error',
      'body failed validation: body.children[0].paragraph.rich_text[0].text.content.length should be ≤ `2000`, instead was `2315`.',
    ),
  ],
  'not-permitted': [
    answer(
      403,
      'restricted_resource',
      'Insufficient permissions for this endpoint: the integration cannot insert content.',
    ),
  ],
  'not-found-or-not-shared': [
    answer(
      404,
      'object_not_found',
      'Could not find data source. Make sure the relevant pages and databases are shared with your integration.',
    ),
  ],
}
