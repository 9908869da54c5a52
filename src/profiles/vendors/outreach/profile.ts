/** Outreach: prospects, accounts, sequences. JSON:API. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const REQUESTS: FactSource = {
  url: 'https://developers.outreach.io/api/making-requests/',
  ...READ,
  certainty: 'unverified',
}
const LIMITS: FactSource = { url: 'https://github.com/singer-io/tap-outreach', ...READ, certainty: 'vendor' }
const OAUTH: FactSource = { url: 'https://developers.outreach.io/api/oauth/', ...READ, certainty: 'second_hand' }
const FORMAT: FactSource = { url: 'https://jsonapi.org/format/#content-negotiation', ...READ, certainty: 'second_hand' }

/** A PATCH sets attributes of one record. */
const BY_ID: ProfileEndpoint = { idempotency: 'safe' }

export const outreach: Profile = {
  name: 'outreach',
  title: 'Outreach',
  docs: [REQUESTS.url, OAUTH.url, 'https://developers.outreach.io/api/reference/overview/'],
  baseUrl: 'https://api.outreach.io/api/v2',
  headers: { Accept: 'application/vnd.api+json', 'Content-Type': 'application/vnd.api+json' },
  preset: 'sequencer',
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://api.outreach.io/oauth/token',
    note: 'Access tokens live two hours. Every refresh gives a new refresh token, good for 14 days: keep it before using it. The token endpoint takes one refresh a minute for each user.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      limit: 'x-ratelimit-limit',
      // Two limits in one header: "9999, 19988".
      remaining: 'x-ratelimit-remaining',
      reset: { header: 'x-ratelimit-reset', unit: 'epoch_seconds' },
    },
  ],
  errorPaths: {
    code: ['errors[].id', 'errors[].code', 'error'],
    message: ['errors[].detail', 'errors[].title', 'error_description'],
    field: ['errors[].source.pointer', 'errors[].source.parameter'],
  },
  rules: [
    {
      // Before anything else that says 429: the wait has nothing to do with the limits of the API.
      id: 'refreshed-too-often',
      status: 429,
      endpoint: '/oauth/token',
      class: 'rate_limited',
      retryAfter: { otherwise: '60s', ignoreLimits: true },
      hint: 'The token endpoint takes one refresh a minute for each user: let one process refresh (auth does so), and keep the tokens where all find them.',
      source: OAUTH,
    },
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '60s' },
      hint: 'Nothing to do: the lane waits. The limit is for each user who connected, over all apps: 10,000 calls an hour.',
      source: LIMITS,
    },
    {
      id: 'grant-refused',
      status: [400, 401],
      body: { path: 'error', equals: ['invalid_grant', 'invalid_client'] },
      class: 'authentication',
      reportAs: 'grant_refused',
      hint: 'The refresh token was used before, is older than 14 days, or was revoked: connect the user again.',
      source: OAUTH,
    },
    {
      id: 'token-expired',
      status: 401,
      class: 'authentication',
      reportAs: 'token_expired',
      hint: 'Access tokens live two hours: use auth with a refresh token. If a new one is refused too, connect the user again.',
      source: OAUTH,
    },
    {
      id: 'scope-missing',
      status: 403,
      class: 'authorization',
      hint: 'The app lacks a scope (prospects.write and the like) or the user a governance permission in Outreach. A new scope needs a new consent of the user.',
      source: REQUESTS,
    },
    {
      id: 'wrong-content-type',
      status: [406, 415],
      class: 'configuration',
      hint: 'Outreach takes only application/vnd.api+json, without parameters such as charset: this profile sends it; do not override Content-Type and Accept.',
      source: FORMAT,
    },
    {
      // R023: prospects are unique by e-mail address.
      id: 'prospect-exists',
      status: [400, 409, 422],
      message: '/already (?:been )?(?:taken|exists?)|already in use|must be unique|using an excluded email/',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'Outreach has this prospect (by e-mail address), account (by domain) or sequence state. Find it with filter[emails]= and PATCH it instead.',
      userMessage: 'This record already exists.',
      source: { ...REQUESTS, certainty: 'second_hand' },
    },
    {
      id: 'sequence-refuses',
      status: 422,
      endpoint: 'POST /sequenceStates',
      class: 'validation',
      hint: 'The prospect cannot be added: it opted out, has no e-mail address, is in the sequence or another exclusive one, or the mailbox or sequence is off.',
      userMessage: 'This contact could not be added to the sequence.',
      source: REQUESTS,
    },
    {
      id: 'unknown-attribute',
      status: [400, 422],
      message:
        '/(?:unknown|unrecognized|invalid|unpermitted) (?:attribute|field|relationship|parameter)|not a valid (?:attribute|relationship)/',
      class: 'schema',
      hint: 'An attribute or relationship does not exist for this resource: correct the mapping (custom fields are custom1 to custom150), then replay the group.',
      source: REQUESTS,
    },
    {
      id: 'invalid-data',
      status: 422,
      class: 'validation',
      hint: 'Correct the attributes that source.pointer names, at their source or in the replay.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: REQUESTS,
    },
  ],
  endpoints: {
    // No keys: a second POST is a second record, except where the org lets e-mail addresses be used only once.
    'POST /prospects': { idempotency: 'unsafe', source: REQUESTS },
    'POST /accounts': { idempotency: 'unsafe' },
    'POST /sequenceStates': { idempotency: 'unsafe' },
    'POST /tasks': { idempotency: 'unsafe' },
    'POST /mailings': { idempotency: 'unsafe' },
    'PATCH /prospects/{id}': BY_ID,
    'PATCH /accounts/{id}': BY_ID,
    'PATCH /opportunities/{id}': BY_ID,
    'PATCH /sequenceStates/{id}': BY_ID,
    'PATCH /tasks/{id}': BY_ID,
  },
  redact: ['emails', 'homePhones', 'mobilePhones', 'workPhones', 'otherPhones', 'refresh_token', 'access_token'],
}
