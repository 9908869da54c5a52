import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const request_id = '000sampleSampleSample'

function answer(status: number, code: string, message: string, path = '/contacts'): RuleSample {
  return { status, path, body: { type: 'error.list', request_id, errors: [{ code, message }] } }
}

export const intercomSamples: ProfileSamples = {
  limited: [
    {
      ...answer(429, 'rate_limit_exceeded', 'Exceeded rate limit of 167 in 10_seconds'),
      headers: {
        'x-ratelimit-limit': '167',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '1795359608',
      },
    },
    answer(429, 'too_many_requests', 'The server is receiving too many requests for this resource'),
  ],
  'asked-to-wait': [answer(400, 'retry_after', 'Wait before trying again')],
  'timed-out': [
    answer(408, 'request_timeout', 'The server timed out while processing the request'),
    answer(504, 'request_timeout', 'The server timed out while processing the request'),
  ],
  'contact-blocked': [answer(400, 'not_restorable', 'This contact was blocked and cannot be created again')],
  'already-exists': [answer(409, 'resource_conflict', 'The resource exists', '/tickets')],
  'contact-exists': [
    answer(409, 'conflict', 'A contact matching those details already exists with id=640000000000000000000001'),
  ],
  clashes: [answer(409, 'conflict', 'The data clashes with existing data', '/companies')],
  'token-not-allowed': [
    answer(403, 'token_unauthorized', 'Not authorized to access resource'),
    answer(403, 'action_forbidden', 'This action is not allowed'),
  ],
  'plan-too-small': [answer(403, 'api_plan_restricted', 'Active subscription needed.')],
  'token-refused': [
    answer(401, 'unauthorized', 'Access Token Invalid'),
    answer(401, 'token_revoked', 'The token has been revoked'),
  ],
  'unknown-attribute': [answer(400, 'parameter_invalid', "Custom attribute 'shoe_size' does not exist")],
  'wrong-type': [answer(400, 'type_mismatch', 'signed_up_at must be a Unix time')],
  'version-invalid': [answer(400, 'intercom_version_invalid', 'The requested version could not be found')],
}
