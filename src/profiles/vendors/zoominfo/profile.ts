/** ZoomInfo: the GTM API. Finding is free, enriching costs credits. JSON:API. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const LIMITS: FactSource = { url: 'https://docs.zoominfo.com/docs/rate-limits', ...READ, certainty: 'vendor' }
/** The names of its headers for single windows were not seen in full. */
const WINDOWS: FactSource = { ...LIMITS, certainty: 'unverified' }
const OAUTH: FactSource = { url: 'https://docs.zoominfo.com/docs/authentication', ...READ, certainty: 'second_hand' }
const API: FactSource = { url: 'https://docs.zoominfo.com/reference', ...READ, certainty: 'second_hand' }
/** The documentation of single errors needs a login. */
const SEEN: FactSource = { ...API, certainty: 'unverified' }

const SEARCH: ProfileEndpoint = { idempotency: 'safe', source: API }
/** Every record found costs a credit, so that a repeat may be paid twice. */
const CHARGED: ProfileEndpoint = { idempotency: 'unsafe', source: API }

export const zoominfo: Profile = {
  name: 'zoominfo',
  title: 'ZoomInfo',
  docs: ['https://docs.zoominfo.com', LIMITS.url, OAUTH.url],
  baseUrl: 'https://api.zoominfo.com/gtm',
  headers: { Accept: 'application/vnd.api+json', 'Content-Type': 'application/vnd.api+json' },
  preset: 'enrichment',
  auth: {
    kinds: ['client_credentials', 'refresh_token', 'bearer'],
    tokenUrl: 'https://api.zoominfo.com/gtm/oauth/v1/token',
    note: 'The older Enterprise API gives JWTs of an hour for user name and password or a private key, and is being retired.',
  },
  rateLimits: [
    // Three windows at once; refused calls do not count.
    {
      kind: 'headers',
      name: 'second',
      limit: 'x-ratelimit-limit-second',
      remaining: 'x-ratelimit-remaining-second',
      window: { calendar: 'second' },
    },
    {
      kind: 'headers',
      name: 'hour',
      limit: 'x-ratelimit-limit-hour',
      remaining: 'x-ratelimit-remaining-hour',
      window: { rolling: '1h' },
    },
    {
      kind: 'headers',
      name: 'day',
      limit: 'x-ratelimit-limit-day',
      remaining: 'x-ratelimit-remaining-day',
      window: { rolling: '24h' },
    },
    // The name of the limit per second until 2027.
    {
      kind: 'headers',
      name: 'second (old name)',
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      window: { calendar: 'second' },
    },
  ],
  errorPaths: {
    code: ['errors[].code', 'errors[].id', 'error'],
    message: ['errors[].detail', 'errors[].title', 'error_description', 'message'],
    field: ['errors[].source.pointer', 'errors[].source.parameter'],
  },
  rules: [
    {
      id: 'daily-calls-spent',
      status: 429,
      header: { name: 'x-ratelimit-remaining-day', value: '0' },
      class: 'wait_long',
      reportAs: 'daily_quota_spent',
      // The window slides: some of it comes back all the time.
      retryAfter: { otherwise: '1h' },
      hint: 'The calls of the package for 24 hours are used up: put more records into one call, or ask ZoomInfo for a higher limit.',
      source: WINDOWS,
    },
    {
      id: 'hourly-calls-spent',
      status: 429,
      header: { name: 'x-ratelimit-remaining-hour', value: '0' },
      class: 'rate_limited',
      reportAs: 'hourly_quota_spent',
      retryAfter: { otherwise: '5m' },
      hint: 'The calls of the package for an hour are used up: lower limits.rate of this integration.',
      source: WINDOWS,
    },
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '1s', atLeast: '1s' },
      hint: 'Nothing to do: the lane waits. Packages allow 5 to 35 calls a second; set limits.rate to that of yours.',
      source: LIMITS,
    },
    {
      id: 'credits-spent',
      status: [402, 403],
      message:
        '/(?:credit|usage|record|unique id|request) limit|out of credits|(?:insufficient|not enough|no) credits/',
      class: 'authorization',
      reportAs: 'credits_spent',
      hint: 'The credits of the contract are used up: buy some or wait for its renewal, then replay the group. Searches go on without.',
      source: SEEN,
    },
    {
      id: 'grant-refused',
      status: [400, 401],
      body: { path: 'error', equals: ['invalid_client', 'invalid_grant', 'unauthorized_client'] },
      class: 'authentication',
      reportAs: 'grant_refused',
      hint: 'ZoomInfo gives no token: check client id, secret and grant type of the app in its developer portal.',
      source: OAUTH,
    },
    {
      id: 'token-expired',
      status: 401,
      class: 'authentication',
      reportAs: 'token_expired',
      hint: 'The token has expired or is of the older API: use auth with client credentials.',
      source: OAUTH,
    },
    {
      id: 'scope-missing',
      status: 403,
      class: 'authorization',
      hint: 'The app lacks a scope, or the contract this kind of data: look at the app in the developer portal and at the package.',
      source: SEEN,
    },
    {
      id: 'wrong-content-type',
      status: [406, 415],
      class: 'configuration',
      hint: 'The GTM API speaks only application/vnd.api+json: this profile sends it; do not override Accept and Content-Type.',
      source: API,
    },
    {
      id: 'invalid-data',
      status: [400, 422],
      class: 'validation',
      hint: 'Correct what source names. A match needs an e-mail address, or a name with a company; output fields must be in the package.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: SEEN,
    },
  ],
  endpoints: {
    'POST /data/v1/contacts/search': SEARCH,
    'POST /data/v1/companies/search': SEARCH,
    'POST /data/v1/intent/search': SEARCH,
    'POST /data/v1/scoops/search': SEARCH,
    'POST /data/v1/news/search': SEARCH,
    'POST /data/v1/contacts/enrich': CHARGED,
    'POST /data/v1/companies/enrich': CHARGED,
    'POST /data/v1/*': CHARGED,
  },
  redact: ['phone', 'directPhone', 'mobilePhone', 'personalEmail', 'supplementalEmail', 'hashedEmail', 'clientSecret'],
}
