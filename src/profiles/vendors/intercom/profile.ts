/** Intercom: contacts, companies, conversations, events. */
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const REFERENCE = 'https://developers.intercom.com/docs/references'
const CODES: FactSource = { url: `${REFERENCE}/2.17/rest-api/errors/error-codes`, ...READ, certainty: 'vendor' }
const LIMITS: FactSource = { url: `${REFERENCE}/rest-api/errors/rate-limiting`, ...READ, certainty: 'vendor' }
const EVENTS: FactSource = {
  url: `${REFERENCE}/rest-api/api.intercom.io/data-events/createdataevent`,
  ...READ,
  certainty: 'vendor',
}
const CONTACTS: FactSource = {
  url: `${REFERENCE}/rest-api/api.intercom.io/contacts/createcontact`,
  ...READ,
  certainty: 'unverified',
}
const COMPANIES: FactSource = {
  url: `${REFERENCE}/rest-api/api.intercom.io/companies/createorupdatecompany`,
  ...READ,
  certainty: 'unverified',
}
const VERSIONS: FactSource = {
  url: 'https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/update-your-api-version',
  ...READ,
  certainty: 'unverified',
}

export const intercom: Profile = {
  name: 'intercom',
  title: 'Intercom',
  docs: [CODES.url, LIMITS.url, VERSIONS.url],
  baseUrl: 'https://api.intercom.io',
  headers: { Accept: 'application/json', 'Intercom-Version': '2.14' },
  preset: 'crm',
  auth: {
    kinds: ['bearer'],
    note: 'Access tokens do not expire. Workspaces in the EU and Australia have hosts of their own: api.eu.intercom.io, api.au.intercom.io.',
  },
  rateLimits: [
    {
      // A sixth of a minute's calls, renewed every ten seconds.
      kind: 'headers',
      name: 'requests',
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      reset: { header: 'x-ratelimit-reset', unit: 'epoch_seconds' },
    },
  ],
  errorPaths: {
    code: ['errors[].code', 'error'],
    message: ['errors[].message', 'error'],
    field: ['errors[].field'],
  },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '10s', atLeast: '1s' },
      hint: 'Nothing to do: the lane waits for the next ten seconds. All private apps of a workspace share one limit.',
      source: LIMITS,
    },
    {
      id: 'asked-to-wait',
      status: '4xx',
      code: 'retry_after',
      class: 'rate_limited',
      certainty: 'not_sent',
      retryAfter: { otherwise: '10s' },
      hint: 'Nothing to do: Intercom asks to come back later.',
      source: CODES,
    },
    {
      // While it was at work, so that a 408 is no refusal here.
      id: 'timed-out',
      status: [408, '5xx'],
      code: 'request_timeout',
      class: 'transient',
      certainty: 'maybe_applied',
      maxRetries: 3,
      hint: 'Intercom took too long and may have done it: look at the record before a replay.',
      source: CODES,
    },
    {
      id: 'contact-blocked',
      status: '4xx',
      code: 'not_restorable',
      class: 'validation',
      hint: 'This person was blocked in Intercom and cannot be made again: unblock them there, or discard.',
      source: CODES,
    },
    {
      id: 'already-exists',
      status: 409,
      code: 'resource_conflict',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'The record is there: find its id by search, update it instead, or discard.',
      userMessage: 'This record already exists.',
      source: CODES,
    },
    {
      id: 'contact-exists',
      status: 409,
      message: 'already exists',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'The contact is there: the message names its id. Update it instead (PUT /contacts/{id}), or discard.',
      userMessage: 'This contact already exists.',
      source: CODES,
    },
    {
      id: 'clashes',
      status: 409,
      class: 'conflict',
      hint: 'What is there clashes with what was sent: read the record, then replay or discard.',
      source: CODES,
    },
    {
      id: 'token-not-allowed',
      status: [401, 403],
      code: ['token_unauthorized', 'action_forbidden', 'forbidden'],
      class: 'authorization',
      hint: 'Give the app the permission for this resource in the Developer Hub, install it again, then replay.',
      source: CODES,
    },
    {
      id: 'plan-too-small',
      status: '4xx',
      code: 'api_plan_restricted',
      class: 'authorization',
      hint: 'The plan of the workspace does not have this feature: change the plan, or take the step out.',
      source: CODES,
    },
    {
      id: 'token-refused',
      status: [401, 403],
      code: [
        'unauthorized',
        'token_revoked',
        'token_blocked',
        'token_not_found',
        'token_expired',
        'missing_authorization',
      ],
      class: 'authentication',
      hint: 'Take the access token of the app from the Developer Hub again, put it in, then resume the lane. Look at the region of the workspace too.',
      source: CODES,
    },
    {
      id: 'unknown-attribute',
      status: [400, 422],
      message: '/custom attribute .{0,80} does not exist/',
      class: 'schema',
      reportAs: 'unknown_attribute',
      hint: 'Create the attribute in Intercom (Settings, Data), or take it out of the mapping, then replay the group.',
      source: CONTACTS,
    },
    {
      id: 'wrong-type',
      status: [400, 422],
      code: 'type_mismatch',
      class: 'schema',
      hint: 'A field has another type in Intercom, for example a date as a text instead of Unix seconds: correct the mapping, then replay the group.',
      source: CODES,
    },
    {
      id: 'version-invalid',
      status: 400,
      code: ['intercom_version_invalid', 'unsupported'],
      class: 'configuration',
      hint: 'The API version that is sent does not have this: correct the Intercom-Version header, or the endpoint.',
      source: VERSIONS,
    },
  ],
  endpoints: {
    // The same event of the same person at the same time is taken and ignored: give every event its created_at.
    'POST /events': { idempotency: 'safe', source: EVENTS },
    'POST /contacts': { idempotency: { natural: 'external_id' }, source: CONTACTS },
    // Makes it, or updates the one with the same company_id; tags go by their name.
    'POST /companies': { idempotency: 'safe', source: COMPANIES },
    'POST /tags': { idempotency: 'safe' },
    'POST /contacts/search': { idempotency: 'safe' },
    'POST /conversations/search': { idempotency: 'safe' },
    'POST /tickets/search': { idempotency: 'safe' },
    'POST /contacts/{contact_id}/tags': { idempotency: 'safe' },
    'POST /contacts/{contact_id}/companies': { idempotency: 'safe' },
    // People read these twice.
    'POST /messages': { idempotency: 'unsafe' },
    'POST /conversations': { idempotency: 'unsafe' },
    'POST /conversations/{conversation_id}/reply': { idempotency: 'unsafe' },
  },
}
