import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const request_id = 'req_011SampleSampleSample01'
const headers = { 'request-id': request_id }

function answer(
  status: number,
  type: string,
  message: string,
  more: { readonly [name: string]: Json } = {},
): RuleSample {
  const error = { type, message, ...more }
  return { status, headers, path: '/v1/messages', body: { type: 'error', error, request_id } }
}

export const anthropicSamples: ProfileSamples = {
  'spend-limit-of-the-tier': [
    answer(429, 'rate_limit_error', 'Your organization has reached the monthly spend limit of its usage tier.', {
      details: { error_code: 'enforced_spend_limit_reached' },
    }),
  ],
  'own-spend-limit': [
    answer(
      400,
      'invalid_request_error',
      'You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.',
    ),
  ],
  'credits-spent': [
    answer(400, 'invalid_request_error', 'Your credit balance is too low to access the API. Go to Plans & Billing.'),
  ],
  billing: [answer(402, 'billing_error', 'There is a problem with the billing of your organization.')],
  'too-many-requests': [
    {
      ...answer(429, 'rate_limit_error', 'This request would exceed the rate limit of 40,000 input tokens per minute.'),
      headers: {
        ...headers,
        'retry-after': '18',
        'anthropic-ratelimit-requests-limit': '50',
        'anthropic-ratelimit-requests-remaining': '31',
        'anthropic-ratelimit-requests-reset': '2026-11-22T15:00:22Z',
        'anthropic-ratelimit-input-tokens-limit': '40000',
        'anthropic-ratelimit-input-tokens-remaining': '0',
        'anthropic-ratelimit-input-tokens-reset': '2026-11-22T15:00:18Z',
      },
    },
  ],
  overloaded: [answer(529, 'overloaded_error', 'Overloaded')],
  'took-too-long': [answer(504, 'timeout_error', 'The request timed out while it was processed.')],
  'body-too-large': [
    answer(413, 'request_too_large', 'Request exceeds the maximum size'),
    {
      status: 413,
      path: '/v1/messages',
      body: '<html><head><title>413 Request Entity Too Large</title></head></html>',
    },
  ],
  'prompt-too-long': [answer(400, 'invalid_request_error', 'prompt is too long: 204310 tokens > 200000 maximum')],
  'unknown-field': [answer(400, 'invalid_request_error', 'max_token: Extra inputs are not permitted')],
  'no-such-model': [answer(404, 'not_found_error', 'model: claude-none')],
  'key-refused': [answer(401, 'authentication_error', 'invalid x-api-key')],
}
