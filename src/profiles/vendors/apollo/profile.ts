/** Apollo: search and enrichment of people and companies, contacts. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const LIMITS: FactSource = { url: 'https://docs.apollo.io/reference/rate-limits', ...READ, certainty: 'second_hand' }
const ERRORS: FactSource = { url: 'https://docs.apollo.io/reference/status-codes', ...READ, certainty: 'second_hand' }
const ENRICH: FactSource = {
  url: 'https://docs.apollo.io/reference/people-enrichment',
  ...READ,
  certainty: 'second_hand',
}
const CONTACTS: FactSource = {
  url: 'https://docs.apollo.io/reference/create-a-contact',
  ...READ,
  certainty: 'second_hand',
}
const SEEN: FactSource = { ...ERRORS, certainty: 'unverified' }

/** Reads, although by POST; nothing is charged. */
const SEARCH: ProfileEndpoint = { idempotency: 'safe', source: ERRORS }
/** Every answer may cost credits. */
const CHARGED: ProfileEndpoint = { idempotency: 'unsafe', source: ENRICH }

export const apollo: Profile = {
  name: 'apollo',
  title: 'Apollo',
  docs: [LIMITS.url, ERRORS.url, ENRICH.url, CONTACTS.url],
  baseUrl: 'https://api.apollo.io/api/v1',
  preset: 'enrichment',
  auth: {
    kinds: ['header', 'refresh_token'],
    header: 'x-api-key',
    tokenUrl: 'https://app.apollo.io/api/v1/oauth/token',
    note: 'Keys are given for single endpoints; a master key is good for all. Apps of partners use OAuth.',
  },
  rateLimits: [
    // Windows open with the first call, not on the clock, and each endpoint has its own.
    {
      kind: 'headers',
      name: 'minute',
      scope: 'endpoint',
      limit: 'x-rate-limit-minute',
      used: 'x-minute-usage',
      remaining: 'x-minute-requests-left',
      window: { rolling: '1m' },
    },
    {
      kind: 'headers',
      name: 'hour',
      scope: 'endpoint',
      limit: 'x-rate-limit-hourly',
      used: 'x-hourly-usage',
      remaining: 'x-hourly-requests-left',
      window: { rolling: '1h' },
    },
    {
      kind: 'headers',
      name: 'day',
      scope: 'endpoint',
      limit: 'x-rate-limit-24-hour',
      used: 'x-24-hour-usage',
      remaining: 'x-24-hour-requests-left',
      window: { rolling: '24h' },
    },
  ],
  errorPaths: {
    code: ['error_code', 'status'],
    message: ['error_message', 'error', 'message', 'error_details'],
    field: ['errors.{field}'],
  },
  rules: [
    {
      id: 'daily-calls-spent',
      status: 429,
      header: { name: 'x-24-hour-requests-left', value: '0' },
      class: 'wait_long',
      reportAs: 'daily_quota_spent',
      retryAfter: { otherwise: '1h', ignoreLimits: true },
      hint: 'The calls that the plan gives for 24 hours are used up: find what uses them, take bulk enrichment (10 in a call), or change the plan.',
      source: LIMITS,
    },
    {
      id: 'hourly-calls-spent',
      status: 429,
      header: { name: 'x-hourly-requests-left', value: '0' },
      class: 'rate_limited',
      reportAs: 'hourly_quota_spent',
      // The window began with its first call; nothing tells when.
      retryAfter: { otherwise: '10m', ignoreLimits: true },
      hint: 'The calls that the plan gives for an hour are used up: lower limits.rate of this integration.',
      source: LIMITS,
    },
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '60s' },
      hint: 'Nothing to do: the lane waits for a minute. If it happens often, lower limits.rate: enrichment and other endpoints have limits of their own.',
      source: LIMITS,
    },
    {
      // A 404 that is none: the enrichment goes on in the background.
      id: 'result-pending',
      status: 404,
      code: 'result_pending',
      class: 'transient',
      certainty: 'not_sent',
      reportAs: 'result_pending',
      maxRetries: 60,
      countsAgainstBreaker: false,
      retryAfter: { path: 'retry_after_seconds', otherwise: '10s' },
      hint: 'Nothing to do: Apollo still looks for the data, and has it at a later call.',
      source: ENRICH,
    },
    {
      id: 'key-lacks-endpoint',
      status: 403,
      code: 'API_INACCESSIBLE',
      class: 'authorization',
      reportAs: 'key_lacks_endpoint',
      hint: 'The key was made for other endpoints, or the plan has none of these: make a key with this endpoint (or a master key) in Settings > Integrations > API.',
      source: ERRORS,
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      reportAs: 'key_refused',
      hint: 'The key is wrong or was deleted: put a good one into x-api-key (not into the address), then resume the lane.',
      source: ERRORS,
    },
    {
      id: 'credits-spent',
      status: [402, 422],
      message: '/(?:insufficient|not enough|out of|no more|no remaining) (?:[a-z]{1,20} )?credits/',
      class: 'wait_long',
      reportAs: 'credits_spent',
      certainty: 'maybe_applied',
      retryAfter: { otherwise: '1h', ignoreLimits: true },
      hint: 'The credits of the plan are used up: buy some, or wait for the next billing month. Enrichment goes on by itself then.',
      source: SEEN,
    },
    {
      id: 'invalid-data',
      status: [400, 422],
      class: 'validation',
      hint: 'Apollo cannot use these parameters; error_message tells which. To enrich a person it needs an e-mail address, a LinkedIn address, or name with company or domain.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: ERRORS,
    },
  ],
  endpoints: {
    'POST /mixed_people/search': SEARCH,
    'POST /mixed_people/api_search': SEARCH,
    'POST /mixed_companies/search': SEARCH,
    'POST /contacts/search': SEARCH,
    'POST /accounts/search': SEARCH,
    'POST /opportunities/search': SEARCH,
    'POST /people/match': CHARGED,
    'POST /people/bulk_match': {
      ...CHARGED,
      batchShape: {
        envelope: { kind: 'list', at: 'details' },
        answer: {
          // In the order of `details`; null is the answer about those whom Apollo does not know.
          lists: [{ at: 'matches', match: { by: 'position' }, signs: { all: 'succeeded' } }],
        },
      },
    },
    // Enrichment of a company already in the plan's view is charged once.
    'POST /organizations/bulk_enrich': CHARGED,
    // Only with run_dedupe: true in the body a repeat finds the contact that is there.
    'POST /contacts': { idempotency: 'unsafe', source: CONTACTS },
    'POST /accounts': { idempotency: 'unsafe' },
    'POST /emailer_campaigns/{id}/add_contact_ids': { idempotency: 'safe' },
    'PATCH /contacts/{id}': { idempotency: 'safe' },
    'PATCH /accounts/{id}': { idempotency: 'safe' },
  },
  redact: ['api_key', 'personal_emails', 'phone_numbers', 'sanitized_phone', 'direct_phone', 'mobile_phone'],
}
