import type { ProfileSamples } from '../../../config/profile.ts'

const headers = { 'request-id': 'req_SampleSampleA1', 'stripe-version': '2026-10-29.sample' }
const path = '/v1/payment_intents'

export const stripeSamples: ProfileSamples = {
  'key-in-use': [
    {
      status: 409,
      headers,
      path,
      body: {
        error: {
          type: 'idempotency_error',
          code: 'idempotency_key_in_use',
          message: 'Another request with this idempotency key is still being handled.',
        },
      },
    },
  ],
  'key-reused': [
    {
      status: 400,
      headers,
      path,
      body: {
        error: {
          type: 'idempotency_error',
          message: 'Keys for idempotent requests go with the parameters they were first used with. Use another key.',
        },
      },
    },
  ],
  'concurrent-request': [
    {
      status: 409,
      headers,
      path: '/v1/subscriptions/{id}',
      body: { error: { type: 'invalid_request_error', message: 'The object was changed by another request.' } },
    },
  ],
  'object-locked': [
    {
      status: 429,
      headers,
      path: '/v1/customers/{id}',
      body: {
        error: {
          type: 'invalid_request_error',
          code: 'lock_timeout',
          message: 'This object is being used by another request or Stripe process. Try again.',
        },
      },
    },
  ],
  'too-many-requests': [
    {
      status: 429,
      headers: { ...headers, 'stripe-rate-limited-reason': 'global-rate' },
      path,
      body: {
        error: { type: 'invalid_request_error', code: 'rate_limit', message: 'Too many requests in a short time.' },
      },
    },
    {
      status: 429,
      headers: { ...headers, 'stripe-rate-limited-reason': 'endpoint-concurrency' },
      path: '/v2/billing/meter_events',
      body: { error: { type: 'rate_limit', code: 'rate_limit', message: 'Too many requests at the same time.' } },
    },
  ],
  'too-many-requests-as-400': [
    {
      status: 400,
      headers,
      path,
      body: { error: { type: 'invalid_request_error', code: 'rate_limit', message: 'Request rate limit exceeded.' } },
    },
  ],
  'card-processing-error': [
    {
      status: 402,
      headers,
      path,
      body: {
        error: {
          type: 'card_error',
          code: 'processing_error',
          message: 'The card could not be processed. Try again in a little bit.',
        },
      },
    },
  ],
  'customer-must-authenticate': [
    {
      status: 402,
      headers,
      path,
      body: {
        error: {
          type: 'card_error',
          code: 'authentication_required',
          decline_code: 'authentication_required',
          message: 'The card was declined. The transaction needs authentication.',
        },
      },
    },
  ],
  'card-declined': [
    {
      status: 402,
      headers,
      path,
      body: {
        error: {
          type: 'card_error',
          code: 'card_declined',
          decline_code: 'insufficient_funds',
          message: 'The card has insufficient funds.',
        },
      },
    },
    {
      status: 402,
      headers,
      path: '/v1/charges',
      body: {
        error: { type: 'card_error', code: 'expired_card', param: 'exp_month', message: 'The card has expired.' },
      },
    },
  ],
  'key-expired': [
    {
      status: 401,
      headers,
      body: {
        error: { type: 'invalid_request_error', code: 'api_key_expired', message: 'The API key has expired.' },
      },
    },
  ],
  'key-lacks-permission': [
    {
      status: 403,
      headers,
      path: '/v1/refunds',
      body: {
        error: {
          type: 'invalid_request_error',
          message: 'This restricted key lacks the "rak_charge_write" permission for this endpoint.',
        },
      },
    },
  ],
  'wrong-mode': [
    {
      status: 400,
      headers,
      path,
      body: {
        error: {
          type: 'invalid_request_error',
          code: 'livemode_mismatch',
          message: 'Live mode keys cannot be used with test mode objects.',
        },
      },
    },
  ],
  'object-missing': [
    {
      status: 404,
      headers,
      method: 'GET',
      path: '/v1/customers/{id}',
      body: {
        error: {
          type: 'invalid_request_error',
          code: 'resource_missing',
          param: 'id',
          message: "No such customer: 'cus_Sample'",
        },
      },
    },
    {
      status: 400,
      headers,
      path: '/v1/subscriptions',
      body: {
        error: {
          type: 'invalid_request_error',
          code: 'resource_missing',
          param: 'items[0][price]',
          message: "No such price: 'price_Sample'; a similar object exists in live mode.",
        },
      },
    },
  ],
  'unknown-parameter': [
    {
      status: 400,
      headers,
      path: '/v1/customers',
      body: {
        error: {
          type: 'invalid_request_error',
          code: 'parameter_unknown',
          param: 'vat_number',
          message: 'Received unknown parameter: vat_number',
        },
      },
    },
  ],
  'outside-dependency-failed': [
    {
      status: 424,
      headers,
      path: '/v1/payouts',
      body: { error: { type: 'api_error', message: 'A service outside Stripe could not complete the request.' } },
    },
  ],
  'stored-server-error': [
    {
      status: 500,
      headers: { ...headers, 'idempotent-replayed': 'true' },
      path,
      body: { error: { type: 'api_error', message: 'Something went wrong on our end.' } },
    },
  ],
  'server-error-of-v2': [
    {
      status: 500,
      headers,
      path: '/v2/core/accounts',
      body: { error: { type: 'api_error', message: 'An unexpected error occurred.' } },
    },
  ],
  'server-error': [
    {
      status: 500,
      headers,
      path,
      body: { error: { type: 'api_error', message: 'Something went wrong on our end.' } },
    },
  ],
}
