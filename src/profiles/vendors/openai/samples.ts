import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const headers = { 'x-request-id': 'req_00000000000000000000000000000001', 'openai-processing-ms': '41' }
const path = '/v1/chat/completions'

function answer(
  status: number,
  type: string,
  code: string | null,
  message: string,
  param: string | null = null,
): RuleSample {
  return { status, headers, path, body: { error: { message, type, param, code } } }
}

function failedResponse(code: string, message: string): RuleSample {
  return {
    status: 200,
    headers,
    path: '/v1/responses',
    body: {
      id: 'resp_sample',
      object: 'response',
      status: 'failed',
      error: { code, message },
      output: [],
      model: 'gpt-5',
    },
  }
}

export const openaiSamples: ProfileSamples = {
  'money-spent': [
    answer(429, 'insufficient_quota', 'insufficient_quota', 'You exceeded your current quota, check plan and billing.'),
    answer(
      429,
      'insufficient_quota',
      'project_spend_limit_exceeded',
      'This project has reached its monthly spend limit.',
    ),
    answer(400, 'invalid_request_error', 'billing_hard_limit_reached', 'Billing hard limit has been reached.'),
  ],
  'never-fits-the-limit': [
    answer(
      429,
      'tokens',
      'rate_limit_exceeded',
      'Request too large for gpt-5 in project proj_sample on tokens per min (TPM): Limit 30000, Requested 41210.',
    ),
  ],
  'slow-down': [answer(429, 'rate_limit_error', 'slow_down', 'Your request rate rose too quickly. Slow down.')],
  'too-many-requests': [
    {
      ...answer(
        429,
        'tokens',
        'rate_limit_exceeded',
        'Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 29870, Requested 900. Please try again in 1.54s.',
      ),
      headers: {
        ...headers,
        'retry-after-ms': '1540',
        'retry-after': '2',
        'x-ratelimit-limit-requests': '500',
        'x-ratelimit-remaining-requests': '499',
        'x-ratelimit-reset-requests': '120ms',
        'x-ratelimit-limit-tokens': '30000',
        'x-ratelimit-remaining-tokens': '130',
        'x-ratelimit-reset-tokens': '1.54s',
      },
    },
  ],
  overloaded: [answer(503, 'service_unavailable_error', 'server_is_overloaded', 'The model is currently overloaded.')],
  'too-many-tokens': [
    answer(
      400,
      'invalid_request_error',
      'context_length_exceeded',
      'The maximum context length of this model is 128000 tokens, and the messages have 131044.',
      'messages',
    ),
  ],
  'refused-by-policy': [
    {
      ...answer(
        400,
        'image_generation_user_error',
        'moderation_blocked',
        'The request was rejected by the safety system.',
      ),
      path: '/v1/images/generations',
    },
  ],
  'unknown-parameter': [
    answer(400, 'invalid_request_error', 'unknown_parameter', "Unknown parameter: 'max_token'.", 'max_token'),
    answer(
      400,
      'invalid_request_error',
      'unsupported_value',
      "'temperature' does not take 0.2 with this model.",
      'temperature',
    ),
  ],
  'address-not-allowed': [
    answer(
      403,
      'request_forbidden',
      'unsupported_country_region_territory',
      'Country, region, or territory not supported',
    ),
  ],
  'key-refused': [answer(401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.')],
  'no-such-model': [
    answer(
      404,
      'invalid_request_error',
      'model_not_found',
      'The model `gpt-x` does not exist or you do not have access to it.',
    ),
  ],
  'response-limited': [failedResponse('rate_limit_exceeded', 'Rate limit reached while generating.')],
  'response-failed-inside': [failedResponse('server_error', 'The model failed to generate a response.')],
  'response-failed': [failedResponse('invalid_image', 'The image could not be read.')],
}
