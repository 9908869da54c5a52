/** OpenAI: responses, chat, embeddings, files and batches. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const CODES: FactSource = {
  url: 'https://platform.openai.com/docs/guides/error-codes',
  ...READ,
  certainty: 'second_hand',
}
const LIMITS: FactSource = {
  url: 'https://platform.openai.com/docs/guides/rate-limits',
  ...READ,
  certainty: 'second_hand',
}
const MESSAGES: FactSource = { ...CODES, certainty: 'unverified' }
const CLIENT: FactSource = { url: 'https://github.com/openai/openai-node', ...READ, certainty: 'vendor' }

/** A repeat costs tokens again, and changes nothing. The answer begins when all of it is thought out. */
const GENERATION: ProfileEndpoint = {
  idempotency: 'safe',
  timeouts: { headers: '10m', body: '60s', total: '10m' },
  breaker: { probeLease: '11m' },
  source: CLIENT,
}

export const openai: Profile = {
  name: 'openai',
  title: 'OpenAI',
  docs: [CODES.url, LIMITS.url, 'https://platform.openai.com/docs/api-reference/introduction'],
  baseUrl: 'https://api.openai.com',
  auth: {
    kinds: ['bearer'],
    note: 'Keys belong to a project; limits and spending are those of the project and its organisation.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      scope: 'endpoint',
      limit: 'x-ratelimit-limit-requests',
      remaining: 'x-ratelimit-remaining-requests',
      reset: { header: 'x-ratelimit-reset-requests', unit: 'duration' },
    },
    {
      kind: 'headers',
      name: 'tokens',
      unit: 'points',
      scope: 'endpoint',
      limit: 'x-ratelimit-limit-tokens',
      remaining: 'x-ratelimit-remaining-tokens',
      reset: { header: 'x-ratelimit-reset-tokens', unit: 'duration' },
    },
  ],
  errorPaths: { code: ['error.code', 'error.type'], message: ['error.message'], field: ['error.param'] },
  rules: [
    {
      // The same status as "too fast", and waiting a second does not help: the limit headers count something else.
      id: 'money-spent',
      status: [400, 402, 403, 429],
      code: [
        'insufficient_quota',
        'credit_balance_exhausted',
        'organization_spend_limit_exceeded',
        'project_spend_limit_exceeded',
        'organization_usage_limit_exceeded',
        'billing_hard_limit_reached',
        'billing_not_active',
      ],
      class: 'wait_long',
      retryAfter: { otherwise: '1h', atLeast: '15m' },
      hint: 'Credits or a spend limit are used up: add credits, or raise the limit of the project or organisation. Until then nothing works.',
      source: CODES,
    },
    {
      id: 'never-fits-the-limit',
      status: 429,
      message: 'request too large',
      class: 'too_large',
      reportAs: 'request_too_large',
      hint: 'This one request needs more tokens than the model allows in a minute: shorten it, or ask for a higher limit.',
      source: MESSAGES,
    },
    {
      id: 'slow-down',
      status: [429, 503],
      code: 'slow_down',
      class: 'rate_limited',
      certainty: 'not_sent',
      retryAfter: { otherwise: '60s', atLeast: '5s' },
      hint: 'Traffic rose too fast: go back to the earlier rate for at least 15 minutes, then raise it step by step.',
      source: CODES,
    },
    {
      id: 'too-many-requests',
      status: 429,
      class: 'rate_limited',
      hint: 'Nothing to do: the lane waits. The message tells which limit: requests or tokens, per minute or per day.',
      source: LIMITS,
    },
    {
      id: 'overloaded',
      status: 503,
      class: 'transient',
      hint: 'Nothing to do: the model is overloaded. If it lasts, look at status.openai.com, or use another model.',
      source: CODES,
    },
    {
      id: 'too-many-tokens',
      status: 400,
      code: ['context_length_exceeded', 'string_above_max_length'],
      class: 'too_large',
      hint: 'The prompt is longer than the model takes: shorten it, or use a model with a larger context.',
      userMessage: 'The text is too long.',
      source: MESSAGES,
    },
    {
      id: 'refused-by-policy',
      status: 400,
      code: ['content_policy_violation', 'moderation_blocked', 'invalid_prompt', 'content_filter'],
      class: 'validation',
      hint: 'The safety system refused this prompt: look at it and change it, or discard. Many of these can get the account limited.',
      userMessage: 'This request cannot be fulfilled. Please word it differently.',
      source: MESSAGES,
    },
    {
      id: 'unknown-parameter',
      status: 400,
      code: ['unknown_parameter', 'unsupported_parameter', 'unsupported_value'],
      class: 'schema',
      hint: 'This model does not take the parameter or value in `param`: correct the request of the step, then replay the group.',
      source: MESSAGES,
    },
    {
      id: 'address-not-allowed',
      status: [401, 403],
      code: ['ip_not_authorized', 'unsupported_country_region_territory'],
      class: 'authorization',
      hint: 'OpenAI refuses the address that calls come from: look at the IP allow-list of the project, and where the traffic leaves.',
      source: MESSAGES,
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      hint: 'The key is wrong, deleted, or of another organisation: put a new one in, then resume the lane.',
      source: CODES,
    },
    {
      id: 'no-such-model',
      status: [403, 404],
      code: 'model_not_found',
      method: ['GET', 'POST'],
      class: 'configuration',
      hint: 'The model was switched off, or the project has no access to it: correct the model of the step, then replay the group.',
      source: MESSAGES,
    },
    {
      id: 'response-limited',
      status: 200,
      endpoint: 'POST /v1/responses',
      body: [
        { path: 'status', equals: 'failed' },
        { path: 'error.code', equals: 'rate_limit_exceeded' },
      ],
      class: 'rate_limited',
      certainty: 'maybe_applied',
      retryAfter: { otherwise: '20s' },
      hint: 'Nothing to do: the response began, ran into a limit, and is asked for again.',
      source: MESSAGES,
    },
    {
      id: 'response-failed-inside',
      status: 200,
      endpoint: 'POST /v1/responses',
      body: [
        { path: 'status', equals: 'failed' },
        { path: 'error.code', equals: ['server_error', 'vector_store_timeout'] },
      ],
      class: 'transient',
      maxRetries: 3,
      hint: 'Nothing to do: the response broke off at OpenAI, and is asked for again.',
      source: MESSAGES,
    },
    {
      id: 'response-failed',
      status: 200,
      endpoint: 'POST /v1/responses',
      body: { path: 'status', equals: 'failed' },
      class: 'validation',
      hint: 'The response could not be made from this input: read error.message, then correct it or discard.',
      source: MESSAGES,
    },
  ],
  endpoints: {
    'POST /v1/responses': GENERATION,
    'POST /v1/chat/completions': GENERATION,
    'POST /v1/completions': GENERATION,
    'POST /v1/images/generations': GENERATION,
    'POST /v1/audio/speech': GENERATION,
    'POST /v1/audio/transcriptions': GENERATION,
    'POST /v1/embeddings': { idempotency: 'safe', timeouts: { headers: '60s', total: '90s' }, source: CLIENT },
    'POST /v1/moderations': { idempotency: 'safe', timeouts: { headers: '30s' }, source: CLIENT },
    // A second one is a second job, which costs.
    'POST /v1/batches': { idempotency: 'unsafe' },
    'POST /v1/files': { idempotency: 'unsafe' },
    'POST /v1/fine_tuning/jobs': { idempotency: 'unsafe' },
  },
}
