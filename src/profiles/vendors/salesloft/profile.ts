/** Salesloft: people, accounts, cadences. Calls cost points, 600 a minute for the whole team. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const LIMITS: FactSource = {
  url: 'https://developers.salesloft.com/docs/platform/api-basics/rate-limits/',
  ...READ,
  certainty: 'second_hand',
}
const ERRORS: FactSource = {
  url: 'https://developers.salesloft.com/docs/platform/api-basics/request-response-format/',
  ...READ,
  certainty: 'second_hand',
}
const OAUTH: FactSource = {
  url: 'https://developers.salesloft.com/docs/platform/api-basics/oauth-authentication/',
  ...READ,
  certainty: 'second_hand',
}
const SEEN: FactSource = { ...ERRORS, certainty: 'unverified' }
/** Its recorded answers are in the tests of this connector. */
const RECORDED: FactSource = { url: 'https://github.com/amp-labs/connectors', ...READ, certainty: 'vendor' }

const BY_ID: ProfileEndpoint = { idempotency: 'safe' }

export const salesloft: Profile = {
  name: 'salesloft',
  title: 'Salesloft',
  docs: [LIMITS.url, ERRORS.url, OAUTH.url],
  baseUrl: 'https://api.salesloft.com/v2',
  preset: 'sequencer',
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://accounts.salesloft.com/oauth/token',
    note: 'Access tokens live two hours. A refresh revokes every older refresh token: keep the new one before using it, and let one process refresh.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'minute',
      unit: 'points',
      fixedLimit: 600,
      remaining: 'x-ratelimit-remaining-minute',
      cost: 'x-ratelimit-endpoint-cost',
      window: { calendar: 'minute' },
    },
  ],
  errorPaths: {
    code: ['error_code', 'code'],
    message: ['error_description', 'error', 'errors.*', 'message'],
    field: ['errors.{field}'],
  },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      // No Retry-After; points come back with the minute on the clock.
      retryAfter: { until: 'next_minute' },
      hint: 'Nothing to do: the lane waits for the next minute. All integrations of the team share 600 points; pages above 100 cost 3 to 30 points each, so filter by updated_at instead of paging deep.',
      source: LIMITS,
    },
    {
      id: 'grant-refused',
      status: [400, 401],
      body: { path: 'error', equals: ['invalid_grant', 'invalid_client'] },
      class: 'authentication',
      reportAs: 'grant_refused',
      hint: 'The refresh token is no longer good, mostly because another process refreshed and its token was lost: connect the team again.',
      source: OAUTH,
    },
    {
      id: 'token-expired',
      status: 401,
      class: 'authentication',
      reportAs: 'token_expired',
      hint: 'Access tokens live two hours: use auth with a refresh token.',
      source: OAUTH,
    },
    {
      id: 'not-allowed',
      status: 403,
      class: 'authorization',
      hint: 'The user who connected may not do this: look at role, team settings and the scopes of the app in Salesloft.',
      source: RECORDED,
    },
    {
      id: 'not-found',
      status: 404,
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH'],
      class: 'not_found',
      hint: 'No such record, or the user who connected does not see it (private cadences and people of others).',
      source: RECORDED,
    },
    {
      id: 'already-taken',
      status: [409, 422],
      message: '/already (?:been )?(?:taken|exists?|in use|on|in|added)|must be unique/',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'The person (by e-mail address), account (by domain) or membership is there: find it (GET /people?email_addresses[]=) and update it instead.',
      userMessage: 'This record already exists.',
      source: ERRORS,
    },
    {
      id: 'cadence-refuses',
      status: 422,
      endpoint: 'POST /cadence_memberships',
      class: 'validation',
      hint: 'The person cannot be added: do-not-contact, no e-mail address, or a cadence that is archived or of another user.',
      userMessage: 'This contact could not be added to the cadence.',
      source: SEEN,
    },
    {
      id: 'invalid-data',
      status: 422,
      body: { path: 'errors' },
      class: 'validation',
      hint: 'Correct the fields that `errors` names, at their source or in the replay.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: RECORDED,
    },
  ],
  endpoints: {
    // No keys: whether a second record is refused depends on the settings of the team.
    'POST /people': { idempotency: 'unsafe', source: ERRORS },
    'POST /accounts': { idempotency: 'unsafe' },
    'POST /cadence_memberships': { idempotency: 'unsafe' },
    // Finds the person by the key that is named, or makes it.
    'POST /person_upserts': { idempotency: 'safe', source: SEEN },
    'POST /account_upserts': { idempotency: 'safe', source: SEEN },
    'POST /activities/calls': { idempotency: 'unsafe' },
    'POST /notes': { idempotency: 'unsafe' },
    'POST /tasks': { idempotency: 'unsafe' },
    'PATCH /people/{id}': BY_ID,
    'PATCH /accounts/{id}': BY_ID,
    'PATCH /tasks/{id}': BY_ID,
  },
  redact: [
    'email_address',
    'phone',
    'mobile_phone',
    'home_phone',
    'personal_email_address',
    'refresh_token',
    'access_token',
  ],
}
