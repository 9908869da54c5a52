/**
 * APIs without a profile of their own that tell errors in an envelope: `{ success: false, error: { code, message, details } }`,
 * `{ ok: false, error }`, or JSend's `{ status: "fail" | "error" }`, perhaps with 200.
 */
import type { Profile } from '../../../config/profile.ts'
import type { BodyCondition, FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const STATUSES: FactSource = {
  url: 'https://www.rfc-editor.org/rfc/rfc9110#section-15',
  ...READ,
  certainty: 'second_hand',
}
const ENVELOPE: FactSource = { ...STATUSES, certainty: 'unverified' }
const JSEND: FactSource = { url: 'https://github.com/omniti-labs/jsend', ...READ, certainty: 'unverified' }

const NO_SUCCESS: BodyCondition = { path: 'success', equals: false }

export const genericEnvelope: Profile = {
  name: 'generic-envelope',
  title: 'Any API with an error envelope',
  docs: [STATUSES.url, JSEND.url],
  errorPaths: {
    code: ['error.code', 'code', 'error.type'],
    message: ['error.message', 'message', 'error.description', 'error'],
    field: [
      'error.details.path',
      'error.details[].path',
      'error.details.field',
      'error.details[].field',
      'data.{field}',
    ],
  },
  rules: [
    {
      id: 'token-expired',
      status: 401,
      code: '/(?:^|[.])(?:token_expired|expired_token)$/',
      class: 'authentication',
      reportAs: 'token_expired',
      hint: 'The token is over: give this integration auth with a refresh token or client credentials, or put a new token in.',
      source: STATUSES,
    },
    {
      id: 'token-invalid',
      status: 401,
      code: '/(?:^|[.])(?:token_invalid|invalid_token)$/',
      class: 'authentication',
      reportAs: 'token_invalid',
      hint: 'The API does not know this token: look whether it is whole, and of this environment. Then resume the lane.',
      source: STATUSES,
    },
    {
      id: 'unknown-field',
      status: [400, 422],
      code: '/(?:^|[.])(?:request_schema|schema_mismatch|schema_validation_failed|unknown_field)$/',
      class: 'schema',
      hint: 'The object has no such field: correct the mapping, or add the field at the vendor, then replay the whole group.',
      source: STATUSES,
    },
    {
      id: 'request-invalid',
      status: [400, 422],
      code: '/(?:^|[.])(?:request_invalid|validation_error)$/',
      class: 'validation',
      hint: 'Correct the field that `details` names, at its source, then replay.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: STATUSES,
    },
    {
      id: 'already-exists',
      status: 409,
      message: '/already exists|duplicate|must be unique|already taken/',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'The record is there already: update it instead, or discard.',
      userMessage: 'This record already exists.',
      source: STATUSES,
    },
    {
      id: 'written-at-the-same-time',
      status: 409,
      class: 'conflict',
      reportAs: 'version_conflict',
      maxRetries: 3,
      hint: 'Another write to the same record came first. If it lasts, send changes of one record one after another.',
      source: STATUSES,
    },
    {
      id: 'limited-with-good-status',
      status: '2xx',
      body: [
        NO_SUCCESS,
        {
          path: 'error.code',
          equals: ['RATE_LIMITED', 'RATE_LIMIT_EXCEEDED', 'TOO_MANY_REQUESTS', 'rate_limited', 429],
        },
      ],
      class: 'rate_limited',
      // Who answers 200 to everything does not promise that nothing was done.
      certainty: 'maybe_applied',
      retryAfter: { otherwise: '10s' },
      hint: 'Nothing to do: the lane waits. If it happens often, set limits.rate of this integration.',
      source: ENVELOPE,
    },
    {
      id: 'not-authenticated-with-good-status',
      status: '2xx',
      body: [
        NO_SUCCESS,
        {
          path: 'error.code',
          equals: ['UNAUTHORIZED', 'UNAUTHENTICATED', 'TOKEN_EXPIRED', 'TOKEN_INVALID', 'unauthorized', 401],
        },
      ],
      class: 'authentication',
      hint: 'The API answers 200 and refuses the credential: renew it, then resume the lane.',
      source: ENVELOPE,
    },
    {
      id: 'failed-inside-with-good-status',
      status: '2xx',
      body: [
        NO_SUCCESS,
        {
          path: 'error.code',
          equals: [
            'INTERNAL_ERROR',
            'INTERNAL_SERVER_ERROR',
            'SERVICE_UNAVAILABLE',
            'TIMEOUT',
            'internal_error',
            500,
            503,
          ],
        },
      ],
      class: 'transient',
      certainty: 'maybe_applied',
      maxRetries: 3,
      hint: 'The API answers 200 and says that it failed: look whether the record is there before a replay.',
      source: ENVELOPE,
    },
    {
      id: 'refused-with-good-status',
      status: '2xx',
      body: NO_SUCCESS,
      class: 'validation',
      hint: 'The API answers 200 and says that it did not work. Give its codes classes of their own under `errors`.',
      source: ENVELOPE,
    },
    {
      id: 'not-ok-with-good-status',
      status: '2xx',
      body: { path: 'ok', equals: false },
      class: 'validation',
      hint: 'The API answers 200 and says that it did not work. Give its codes classes of their own under `errors`.',
      source: ENVELOPE,
    },
    {
      id: 'jsend-fail',
      status: '2xx',
      body: { path: 'status', equals: 'fail' },
      class: 'validation',
      hint: 'Correct what `data` says of each field, at its source, then replay.',
      source: JSEND,
    },
    {
      id: 'jsend-error',
      status: '2xx',
      body: { path: 'status', equals: 'error' },
      class: 'unknown',
      certainty: 'maybe_applied',
      hint: 'The API answers 200 and says that it failed: look whether the record is there before a replay.',
      source: JSEND,
    },
  ],
  // What `details` quotes back is the record's own data.
  redact: ['value', 'rejectedValue', 'received'],
}
