/** HubSpot: CRM objects, batches, search. */
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const ERRORS: FactSource = {
  url: 'https://developers.hubspot.com/docs/api-reference/error-handling',
  read: '2026-11-22',
  certainty: 'vendor',
}
const LIMITS: FactSource = {
  url: 'https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines',
  read: '2026-11-22',
  certainty: 'second_hand',
}
const CLIENT: FactSource = {
  url: 'https://github.com/HubSpot/hubspot-api-nodejs',
  read: '2026-11-22',
  certainty: 'vendor',
}
/** Seen in answers, not found in the documentation. */
const SEEN: FactSource = { ...ERRORS, certainty: 'unverified' }

const HIDDEN_WAIT = 'Nothing to do: the lane waits. If it happens often, lower limits.rate of this integration.'
const CLOUDFLARE = 'Nothing to do: HubSpot cannot reach its own servers. If it lasts, look at status.hubspot.com.'

export const hubspot: Profile = {
  name: 'hubspot',
  title: 'HubSpot',
  docs: [ERRORS.url, LIMITS.url, 'https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide'],
  baseUrl: 'https://api.hubapi.com',
  preset: 'crm',
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://api.hubapi.com/oauth/v1/token',
    note: 'Access tokens of private apps do not expire; those of OAuth live 30 minutes.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'burst',
      limit: 'x-hubspot-ratelimit-max',
      remaining: 'x-hubspot-ratelimit-remaining',
      window: { header: 'x-hubspot-ratelimit-interval-milliseconds', unit: 'milliseconds' },
    },
    {
      kind: 'headers',
      name: 'daily',
      limit: 'x-hubspot-ratelimit-daily',
      remaining: 'x-hubspot-ratelimit-daily-remaining',
      window: { calendar: 'day' },
    },
    {
      kind: 'policy',
      name: 'policy',
      path: 'policyName',
      windows: {
        TEN_SECONDLY_ROLLING: { rolling: '10s' },
        SECONDLY: { rolling: '1s' },
        DAILY: { calendar: 'day' },
      },
    },
  ],
  errorPaths: {
    code: ['subCategory', 'category', 'errors[].code', 'errorType', 'policyName'],
    message: ['message', 'errors[].message'],
    field: ['errors[].context.propertyName[]', 'context.propertyName[]', 'errors[].in'],
  },
  rules: [
    {
      id: 'daily-quota-spent',
      status: 429,
      body: { path: 'policyName', equals: 'DAILY' },
      class: 'wait_long',
      reportAs: 'daily_quota_spent',
      retryAfter: { until: 'midnight' },
      hint: 'The daily calls of the HubSpot account are used up: find what uses them, or buy more. It goes on after midnight.',
      source: LIMITS,
    },
    {
      id: 'secondly-limit',
      status: 429,
      body: { path: 'policyName', equals: 'SECONDLY' },
      class: 'rate_limited',
      retryAfter: { otherwise: '1s', atLeast: '1s' },
      hint: HIDDEN_WAIT,
      source: CLIENT,
    },
    {
      // Search answers without a policy name.
      id: 'secondly-limit-of-search',
      status: 429,
      message: 'secondly limit',
      class: 'rate_limited',
      retryAfter: { otherwise: '1s', atLeast: '1s' },
      hint: `${HIDDEN_WAIT} Searches have a limit of their own, over all tokens of the account.`,
      source: CLIENT,
    },
    {
      id: 'ten-secondly-limit',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '10s', atLeast: '1s' },
      hint: HIDDEN_WAIT,
      source: CLIENT,
    },
    {
      id: 'contact-exists',
      status: 409,
      message: '/already exists|already has that value/',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'The record is there: the message names its id. Use batch/upsert with idProperty, then replay.',
      userMessage: 'This record already exists.',
      source: ERRORS,
    },
    {
      id: 'locked',
      status: 423,
      class: 'transient',
      certainty: 'not_sent',
      retryAfter: { atLeast: '2s' },
      maxRetries: 5,
      countsAgainstBreaker: false,
      hint: 'Nothing to do: HubSpot is changing many records at once and asks for at least two seconds.',
      source: ERRORS,
    },
    {
      id: 'account-migrating',
      status: 477,
      class: 'wait_long',
      certainty: 'not_sent',
      retryAfter: { otherwise: '1h' },
      hint: 'Nothing to do: HubSpot moves this account to another data centre, for up to a day.',
      source: ERRORS,
    },
    {
      id: 'missing-scopes',
      status: 403,
      body: { path: 'category', equals: 'MISSING_SCOPES' },
      class: 'authorization',
      hint: 'Add the scopes that the message names to the app in HubSpot, install it again, then replay.',
      source: SEEN,
    },
    {
      id: 'token-expired',
      status: 401,
      body: { path: 'category', equals: 'EXPIRED_AUTHENTICATION' },
      class: 'authentication',
      reportAs: 'token_expired',
      hint: 'The access token has expired: use auth with a refresh token, or a private app, whose token does not expire.',
      source: SEEN,
    },
    {
      id: 'unknown-property',
      status: 400,
      code: 'PROPERTY_DOESNT_EXIST',
      class: 'schema',
      hint: 'Create the property in HubSpot, or remove it from the mapping, then replay the group.',
      source: SEEN,
    },
    {
      id: 'invalid-data',
      status: 400,
      body: { path: 'category', equals: 'VALIDATION_ERROR' },
      class: 'validation',
      hint: 'Correct the properties that the message names, at their source or in the replay.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: ERRORS,
    },
    {
      id: 'url-too-long',
      status: 414,
      class: 'too_large',
      hint: 'Ask for fewer properties or ids at once, or use batch/read, which takes them in its body.',
      source: ERRORS,
    },
    {
      id: 'gateway-busy',
      status: [502, 504],
      class: 'transient',
      retryAfter: { atLeast: '2s' },
      hint: 'Nothing to do: HubSpot was busy and asks for a pause of a few seconds.',
      source: ERRORS,
    },
    { id: 'origin-down', status: [521, 523, 524], class: 'transient', hint: CLOUDFLARE, source: ERRORS },
    {
      id: 'origin-broken',
      status: [522, 525, 526],
      class: 'unknown',
      certainty: 'maybe_applied',
      maxRetries: 0,
      hint: 'HubSpot says that this does not pass by itself: tell its support, with the id of the answer.',
      source: ERRORS,
    },
  ],
  endpoints: {
    // A repeat writes the same values to the record with the same idProperty.
    'POST /crm/v3/objects/{objectType}/batch/upsert': { idempotency: 'safe', batchShape: 'hubspot', source: ERRORS },
    'POST /crm/v3/objects/{objectType}/batch/update': { idempotency: 'safe', batchShape: 'hubspot', source: ERRORS },
    'POST /crm/v3/objects/{objectType}/batch/create': { batchShape: 'hubspot', source: ERRORS },
    'POST /crm/v3/objects/{objectType}/batch/read': { idempotency: 'safe', source: ERRORS },
    'POST /crm/v3/objects/{objectType}/search': { idempotency: 'safe', source: ERRORS },
  },
}
