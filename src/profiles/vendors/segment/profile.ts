/** Segment: the tracking API. A good answer says that an event was taken in, not that it was good. */
import type { BatchShape } from '../../../config/batch-shapes.ts'
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const TRACKING: FactSource = {
  url: 'https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/',
  read: '2026-11-22',
  certainty: 'vendor',
}
const ACCEPTED: FactSource = { ...TRACKING, certainty: 'unverified' }

/** Events with a messageId that was seen before are dropped; without one, Segment makes up a new one each time. */
const EVENT: ProfileEndpoint = { idempotency: { natural: 'messageId' }, source: TRACKING }
/** At most 2,500 events, 500 KB, and 32 KB each. One bad answer is about all of them. */
const EVENTS: BatchShape = { envelope: { kind: 'list', at: 'batch' }, answer: { lists: [], allOrNothing: true } }

export const segment: Profile = {
  name: 'segment',
  title: 'Segment',
  docs: [TRACKING.url, 'https://segment.com/docs/connections/rate-limits/'],
  baseUrl: 'https://api.segment.io',
  auth: {
    kinds: ['basic'],
    note: 'User: the write key of the source; no password. Sources in the EU: https://events.eu1.segmentapis.com.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      reset: { header: 'x-ratelimit-reset', unit: 'delta_seconds' },
    },
  ],
  errorPaths: { code: ['code'], message: ['message', 'error.message', 'error'] },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '10s', atLeast: '1s' },
      hint: 'Nothing to do: the lane waits. Send events in batches, or lower limits.rate.',
      source: TRACKING,
    },
    {
      id: 'too-large',
      status: [400, 413],
      message: '/too large|exceed|maximum size|(?:32|500) ?kb/',
      class: 'too_large',
      reportAs: 'event_too_large',
      hint: 'At most 32 KB an event and 500 KB a batch: use smaller batches, or take large properties out of the event.',
      source: TRACKING,
    },
    {
      // The only other refusal there is: whatever else is wrong is answered with 200, and dropped later.
      id: 'not-json',
      status: 400,
      class: 'validation',
      reportAs: 'invalid_json',
      hint: 'Segment could not read the body as JSON: look at its encoding. Events that are only wrong in content are seen in the Source Debugger, never here.',
      source: TRACKING,
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      reportAs: 'key_refused',
      hint: 'The write key is missing or of no source: put it in as the user, without a password, then resume the lane.',
      source: ACCEPTED,
    },
    {
      id: 'not-accepted',
      status: 200,
      body: { path: 'success', equals: false },
      class: 'validation',
      reportAs: 'not_accepted',
      hint: 'Segment says that it did not take the event: look at the Source Debugger, and at userId or anonymousId, type and event.',
      source: ACCEPTED,
    },
  ],
  endpoints: {
    'POST /v1/track': EVENT,
    'POST /v1/page': EVENT,
    'POST /v1/screen': EVENT,
    'POST /v1/identify': EVENT,
    'POST /v1/group': EVENT,
    'POST /v1/alias': EVENT,
    'POST /v1/batch': { ...EVENT, batchShape: EVENTS },
    'POST /v1/import': { ...EVENT, batchShape: EVENTS },
  },
  redact: ['writeKey', 'ip'],
}
