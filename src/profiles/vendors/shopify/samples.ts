import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const orders = '/admin/api/{version}/orders.json'
const customers = '/admin/api/{version}/customers.json'
const headers = {
  'x-request-id': '3f1c7a52-6b0d-4e8a-9a41-7f2d5c8e9b10-1795359600',
  'x-shopify-shop-api-call-limit': '7/40',
}

function refusal(status: number, errors: string): RuleSample {
  return { status, headers, path: orders, body: { errors } }
}

export const shopifyStatusSamples: ProfileSamples = {
  'looks-malicious': [{ status: 430, headers, path: orders, body: '' }],
  'shop-frozen': [refusal(402, 'Unavailable Shop')],
  'shop-locked': [refusal(423, 'This shop is locked')],
  'token-refused': [
    refusal(401, '[API] Invalid API key or access token (unrecognized login or wrong password)'),
    {
      status: 401,
      headers,
      path: '/admin/oauth/access_token',
      body: { error: 'invalid_token', error_description: 'The token has expired.' },
    },
  ],
  'scope-missing': [refusal(403, '[API] This action requires merchant approval for write_orders scope.')],
}

export const shopifySamples: ProfileSamples = {
  ...shopifyStatusSamples,
  limited: [
    {
      ...refusal(
        429,
        'Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.',
      ),
      headers: { ...headers, 'x-shopify-shop-api-call-limit': '40/40', 'retry-after': '2.0' },
    },
  ],
  'value-taken': [{ status: 422, headers, path: customers, body: { errors: { email: ['has already been taken'] } } }],
  'invalid-data': [
    { status: 422, headers, path: customers, body: { errors: { email: ['is invalid'], phone: ['is too short'] } } },
    { status: 400, headers, path: orders, body: { errors: { order: 'Required parameter missing or invalid' } } },
  ],
}
