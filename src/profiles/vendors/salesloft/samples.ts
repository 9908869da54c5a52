import type { ProfileSamples } from '../../../config/profile.ts'
import type { Json } from '../../../core/json.ts'

const limits = { 'x-ratelimit-endpoint-cost': '1', 'x-ratelimit-remaining-minute': '418' }

function refusal(status: number, body: Json, path = '/people') {
  return { status, headers: limits, path, body }
}

export const salesloftSamples: ProfileSamples = {
  limited: [
    {
      status: 429,
      headers: { 'x-ratelimit-endpoint-cost': '30', 'x-ratelimit-remaining-minute': '0' },
      method: 'GET',
      path: '/people',
      body: { error: 'Rate limit exceeded' },
      note: 'A page above 500 costs 30 points.',
    },
    { status: 429, path: '/people', body: 'Too Many Requests' },
  ],
  'grant-refused': [
    refusal(
      400,
      { error: 'invalid_grant', error_description: 'The refresh token is invalid or was revoked.' },
      '/oauth/token',
    ),
  ],
  'token-expired': [refusal(401, { error: 'Invalid Bearer token' })],
  'not-allowed': [refusal(403, { error: 'You are not authorized to perform this action' })],
  'not-found': [refusal(404, { error: 'Resource not found' }, '/people/{id}')],
  'already-taken': [refusal(422, { errors: { email_address: ['has already been taken'] } })],
  'cadence-refuses': [refusal(422, { errors: { person: ['is marked as do not contact'] } }, '/cadence_memberships')],
  'invalid-data': [
    refusal(422, { errors: { email_address: ['is not a valid email address'], last_name: ["can't be blank"] } }),
  ],
}
