import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const limits = {
  'x-ratelimit-limit': '10000',
  'x-ratelimit-remaining': '9120, 19011',
  'x-ratelimit-reset': '1795363200',
}

function refusal(status: number, id: string, title: string, detail: string, pointer?: string): RuleSample {
  const error = { id, title, detail, ...(pointer !== undefined && { source: { pointer } }) }
  return { status, headers: limits, path: '/prospects', body: { errors: [error] } }
}

export const outreachSamples: ProfileSamples = {
  'refreshed-too-often': [
    {
      status: 429,
      path: '/oauth/token',
      body: { error: 'rate_limited', error_description: 'One token may be asked for per minute.' },
    },
  ],
  limited: [
    {
      ...refusal(429, 'rateLimitExceeded', 'Rate Limit Exceeded', 'You have made too many requests in this hour.'),
      headers: { ...limits, 'x-ratelimit-remaining': '0, 10000' },
    },
  ],
  'grant-refused': [
    {
      status: 400,
      path: '/oauth/token',
      body: {
        error: 'invalid_grant',
        error_description:
          'The provided authorization grant is invalid, expired, revoked, or was issued to another client.',
      },
    },
  ],
  'token-expired': [refusal(401, 'unauthorizedRequest', 'Unauthorized Request', 'The access token has expired.')],
  'scope-missing': [
    refusal(
      403,
      'unauthorizedOauthScope',
      'Unauthorized OAuth Scope',
      'Your app needs one of: prospects.write, prospects.all.',
    ),
  ],
  'wrong-content-type': [
    refusal(415, 'unsupportedMediaType', 'Unsupported Media Type', 'Content-Type must be application/vnd.api+json.'),
    refusal(406, 'notAcceptable', 'Not Acceptable', 'Accept must be application/vnd.api+json.'),
  ],
  'prospect-exists': [
    refusal(
      422,
      'validationError',
      'Validation Error',
      'Contacts contact is using an email address that has already been taken.',
      '/data',
    ),
  ],
  'sequence-refuses': [
    {
      ...refusal(
        422,
        'validationError',
        'Validation Error',
        'Prospect has opted out of emails.',
        '/data/relationships/prospect',
      ),
      path: '/sequenceStates',
    },
  ],
  'unknown-attribute': [
    refusal(
      400,
      'invalidRequestBody',
      'Invalid Request Body',
      'Unknown attribute: shoeSize.',
      '/data/attributes/shoeSize',
    ),
  ],
  'invalid-data': [
    refusal(422, 'validationError', 'Validation Error', 'First name is too long.', '/data/attributes/firstName'),
  ],
}
