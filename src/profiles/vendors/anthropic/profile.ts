/** Anthropic: the Claude API. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'
import type { RateLimitReading } from '../../../config/rate-limits.ts'

const READ = { read: '2026-11-22' } as const
const ERRORS: FactSource = { url: 'https://docs.claude.com/en/api/errors', ...READ, certainty: 'vendor' }
const LIMITS: FactSource = { url: 'https://docs.claude.com/en/api/rate-limits', ...READ, certainty: 'second_hand' }
const SPENDING: FactSource = {
  url: 'https://learn.microsoft.com/microsoft-cloud/dev/dev-proxy/concepts/anthropic-529-overloaded-error',
  ...READ,
  certainty: 'second_hand',
}
const CREDITS: FactSource = {
  url: 'https://github.com/anthropics/claude-code/issues/66314',
  ...READ,
  certainty: 'second_hand',
}
const BILLING: FactSource = { ...ERRORS, certainty: 'unverified' }
const CLIENT: FactSource = {
  url: 'https://github.com/anthropics/anthropic-sdk-typescript',
  ...READ,
  certainty: 'vendor',
}

/** A repeat costs tokens again, and changes nothing. The answer begins when all of it is written. */
const GENERATION: ProfileEndpoint = {
  idempotency: 'safe',
  timeouts: { headers: '10m', body: '60s', total: '10m' },
  breaker: { probeLease: '11m' },
  source: CLIENT,
}

const TOKENS: readonly RateLimitReading[] = [
  tokenReading('tokens'),
  tokenReading('input-tokens'),
  tokenReading('output-tokens'),
]

export const anthropic: Profile = {
  name: 'anthropic',
  title: 'Anthropic',
  docs: [ERRORS.url, LIMITS.url, 'https://docs.claude.com/en/docs/build-with-claude/batch-processing'],
  baseUrl: 'https://api.anthropic.com',
  headers: { 'anthropic-version': '2023-06-01' },
  auth: { kinds: ['header', 'bearer'], header: 'x-api-key' },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      limit: 'anthropic-ratelimit-requests-limit',
      remaining: 'anthropic-ratelimit-requests-remaining',
      reset: { header: 'anthropic-ratelimit-requests-reset', unit: 'rfc3339' },
    },
    ...TOKENS,
  ],
  errorPaths: { code: ['error.details.error_code', 'error.type'], message: ['error.message'] },
  rules: [
    {
      // Called a rate limit, without Retry-After: it lasts until the next month.
      id: 'spend-limit-of-the-tier',
      status: 429,
      code: 'enforced_spend_limit_reached',
      class: 'wait_long',
      reportAs: 'spend_limit_reached',
      retryAfter: { otherwise: '1h', atLeast: '15m' },
      hint: 'The monthly spend limit of the usage tier is reached: move to a higher tier, or wait until the first of the month (UTC).',
      source: SPENDING,
    },
    {
      id: 'own-spend-limit',
      status: 400,
      message: '/usage limits|spend limit/',
      class: 'wait_long',
      reportAs: 'spend_limit_reached',
      retryAfter: { otherwise: '1h', atLeast: '15m' },
      hint: 'The spend limit that was set for the organisation or workspace is reached: raise it in the console, or wait for the date in the message.',
      source: SPENDING,
    },
    {
      id: 'credits-spent',
      status: 400,
      message: 'credit balance is too low',
      class: 'wait_long',
      reportAs: 'credits_spent',
      retryAfter: { otherwise: '1h', atLeast: '15m' },
      hint: 'Buy credits in the console (Plans & Billing); until then nothing works.',
      source: CREDITS,
    },
    {
      id: 'billing',
      status: 402,
      class: 'authorization',
      hint: 'Look at the payment details and invoices in the console, then replay the group.',
      source: BILLING,
    },
    {
      id: 'too-many-requests',
      status: 429,
      class: 'rate_limited',
      hint: 'Nothing to do: the lane waits. Requests, input and output tokens have limits of their own; traffic that rises very fast meets a limit too.',
      source: ERRORS,
    },
    {
      id: 'overloaded',
      status: 529,
      class: 'transient',
      certainty: 'not_sent',
      retryAfter: { otherwise: '2s' },
      hint: 'Nothing to do: the API is overloaded for everybody. If it lasts, look at status.claude.com, or use another model.',
      source: ERRORS,
    },
    {
      id: 'took-too-long',
      status: 504,
      class: 'transient',
      certainty: 'maybe_applied',
      maxRetries: 3,
      hint: 'The request ran into a timeout: use streaming or message batches for long work, or a smaller max_tokens.',
      source: BILLING,
    },
    {
      id: 'body-too-large',
      status: 413,
      class: 'too_large',
      hint: 'At most 32 MB in a message and 256 MB in a batch: send files by the Files API, or less at once.',
      source: ERRORS,
    },
    {
      id: 'prompt-too-long',
      status: 400,
      message: '/prompt is too long|exceed(?:s)? context limit/',
      class: 'too_large',
      reportAs: 'prompt_too_long',
      hint: 'The prompt is longer than the model takes: shorten or summarise it.',
      userMessage: 'The text is too long.',
      source: BILLING,
    },
    {
      id: 'unknown-field',
      status: 400,
      message: 'extra inputs are not permitted',
      class: 'schema',
      reportAs: 'unknown_field',
      hint: 'The API does not know the field that the message names: correct the request of the step, or send the anthropic-beta header that it needs.',
      source: BILLING,
    },
    {
      id: 'no-such-model',
      status: 404,
      method: 'POST',
      message: 'model',
      class: 'configuration',
      reportAs: 'model_not_found',
      hint: 'The model was retired or misspelled: correct the model of the step, then replay the group.',
      source: BILLING,
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      hint: 'The key is wrong, deleted or disabled: put a new one in as x-api-key, then resume the lane.',
      source: ERRORS,
    },
  ],
  endpoints: {
    'POST /v1/messages': GENERATION,
    'POST /v1/complete': GENERATION,
    'POST /v1/messages/count_tokens': { idempotency: 'safe', source: CLIENT },
    // A second one is a second job, which costs; each request of it has its own result.
    'POST /v1/messages/batches': { idempotency: 'unsafe' },
    'POST /v1/messages/batches/{message_batch_id}/cancel': { idempotency: 'safe' },
    'POST /v1/files': { idempotency: 'unsafe' },
  },
}

function tokenReading(name: string): RateLimitReading {
  return {
    kind: 'headers',
    name,
    unit: 'points',
    limit: `anthropic-ratelimit-${name}-limit`,
    remaining: `anthropic-ratelimit-${name}-remaining`,
    reset: { header: `anthropic-ratelimit-${name}-reset`, unit: 'rfc3339' },
  }
}
