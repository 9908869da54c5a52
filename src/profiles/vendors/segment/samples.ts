import type { ProfileSamples } from '../../../config/profile.ts'

export const segmentSamples: ProfileSamples = {
  limited: [
    {
      status: 429,
      headers: { 'retry-after': '5', 'x-ratelimit-reset': '5' },
      path: '/v1/batch',
      body: { success: false, message: 'Too Many Requests' },
    },
    { status: 429, headers: { 'x-ratelimit-reset': '12' }, path: '/v1/track', body: '' },
  ],
  'too-large': [
    { status: 400, path: '/v1/track', body: { success: false, message: 'Message exceeds the maximum size of 32KB' } },
    { status: 413, path: '/v1/batch', body: 'Request Entity Too Large' },
  ],
  'not-json': [
    { status: 400, path: '/v1/identify', body: { success: false, message: 'Malformed JSON' } },
    { status: 400, path: '/v1/track', body: '' },
  ],
  'key-refused': [{ status: 401, path: '/v1/track', body: { success: false, message: 'Unauthorized' } }],
  'not-accepted': [{ status: 200, path: '/v1/track', body: { success: false } }],
}
