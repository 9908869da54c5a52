import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const headers = { 'x-correlation-id': '3d2f6b0a-7c41-4b8e-9f15-6a0e2c8d4b73' }

function answer(status: number, code: string, message: string, details?: Json): RuleSample {
  const error = { code, message, ...(details !== undefined && { details }) }
  return { status, headers, path: '/records', body: { success: false, error } }
}

export const genericEnvelopeSamples: ProfileSamples = {
  'token-expired': [answer(401, 'CDP_ETL.AUTH.TOKEN_EXPIRED', 'Token has expired')],
  'token-invalid': [answer(401, 'CDP_ETL.AUTH.TOKEN_INVALID', 'Token is malformed or not recognized')],
  'unknown-field': [
    answer(422, 'CDP_ETL.VALIDATION.REQUEST_SCHEMA', 'records[0].shoe_size: no such field', {
      path: 'records[0].shoe_size',
    }),
  ],
  'request-invalid': [
    answer(400, 'CDP_ETL.VALIDATION.REQUEST_INVALID', 'records[4].email: not an email address', {
      path: 'records[4].email',
      value: 'ada(at)example.com',
    }),
  ],
  'already-exists': [answer(409, 'CONFLICT', 'A record with this customer_id already exists')],
  'written-at-the-same-time': [answer(409, 'CDP_ETL.CONFLICT', 'The key was written by another request')],
  'limited-with-good-status': [answer(200, 'RATE_LIMITED', 'Too many calls')],
  'not-authenticated-with-good-status': [answer(200, 'UNAUTHORIZED', 'The token is missing')],
  'failed-inside-with-good-status': [answer(200, 'INTERNAL_ERROR', 'Something went wrong')],
  'refused-with-good-status': [
    answer(200, 'LIST_CLOSED', 'The list takes no more records'),
    { status: 201, path: '/records', body: { success: false, message: 'Nothing was saved' } },
  ],
  'not-ok-with-good-status': [{ status: 200, path: '/records', body: { ok: false, error: 'list_closed' } }],
  'jsend-fail': [{ status: 200, path: '/records', body: { status: 'fail', data: { email: 'An e-mail is required' } } }],
  'jsend-error': [{ status: 200, path: '/records', body: { status: 'error', message: 'Cannot reach the database' } }],
}
