/** SendGrid: mail and marketing contacts. Its errors have no codes, only messages and fields. */
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const ERRORS: FactSource = {
  url: 'https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors',
  ...READ,
  certainty: 'vendor',
}
const LIMITS: FactSource = {
  url: 'https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits',
  ...READ,
  certainty: 'vendor',
}
const TROUBLES: FactSource = {
  url: 'https://support.sendgrid.com/hc/en-us/articles/18322114821403-4XX-API-Errors-and-Troubleshooting-Suggestions',
  ...READ,
  certainty: 'vendor',
}
const CREDITS: FactSource = {
  url: 'https://support.sendgrid.com/hc/en-us/articles/35466138799899-Understanding-the-Maximum-Credits-Exceeded-error',
  ...READ,
  certainty: 'vendor',
}
const SENDER: FactSource = { url: 'https://www.twilio.com/docs/api/errors/60222', ...READ, certainty: 'vendor' }
const SENDING: FactSource = {
  url: 'https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send',
  ...READ,
  certainty: 'unverified',
}
const CONTACTS: FactSource = {
  url: 'https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact',
  ...READ,
  certainty: 'unverified',
}

export const sendgrid: Profile = {
  name: 'sendgrid',
  title: 'SendGrid',
  docs: [ERRORS.url, LIMITS.url, TROUBLES.url, SENDING.url],
  baseUrl: 'https://api.sendgrid.com',
  auth: { kinds: ['bearer'], note: 'Keys do not expire. Accounts in the EU call https://api.eu.sendgrid.com.' },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      scope: 'endpoint',
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      reset: { header: 'x-ratelimit-reset', unit: 'epoch_seconds' },
    },
  ],
  errorPaths: {
    code: ['errors[].error_id'],
    message: ['errors[].message', 'error'],
    field: ['errors[].field'],
  },
  rules: [
    {
      // Not a matter of the key: renewing it would go on for ever.
      id: 'credits-spent',
      status: 401,
      message: 'maximum credits exceeded',
      class: 'wait_long',
      reportAs: 'credits_spent',
      retryAfter: { until: 'midnight' },
      hint: 'The plan has no credits left: upgrade it (Email API, not Marketing Campaigns), or wait; free plans renew at midnight UTC.',
      source: CREDITS,
    },
    {
      id: 'key-refused',
      status: 401,
      class: 'authentication',
      reportAs: 'key_refused',
      hint: 'The API key was deleted, or its permissions changed: make a new one, put it in, then resume the lane.',
      source: TROUBLES,
    },
    {
      id: 'sender-not-verified',
      status: 403,
      message: 'verified sender identity',
      class: 'configuration',
      reportAs: 'sender_not_verified',
      hint: 'Verify the From address, or authenticate its domain, in SendGrid (Sender Authentication), then replay the group.',
      source: SENDER,
    },
    {
      id: 'key-lacks-permission',
      status: 403,
      class: 'authorization',
      reportAs: 'key_lacks_permission',
      hint: 'Give the API key access to this endpoint (Settings, API Keys), then replay the group.',
      source: TROUBLES,
    },
    {
      id: 'too-many-recipients',
      status: 400,
      message: '/limited to 1,?000 personalizations|limit of 1,?000 total recipients/',
      class: 'too_large',
      reportAs: 'too_many_recipients',
      hint: 'Split it: 1,000 personalizations and 1,000 recipients in a call.',
      source: ERRORS,
    },
    {
      id: 'mail-too-large',
      status: 413,
      class: 'too_large',
      reportAs: 'mail_too_large',
      hint: 'At most 30 MB with all attachments: link to large files instead.',
      userMessage: 'The e-mail with its attachments is too large.',
      source: SENDING,
    },
    {
      id: 'address-unusable',
      status: 400,
      message: '/valid address|valid email|must (?:at least )?have an email address/',
      class: 'validation',
      reportAs: 'invalid_address',
      hint: 'Correct the address in the field that is named, at its source. One bad address stops all that the call was to send.',
      userMessage: 'This e-mail address is not valid.',
      source: ERRORS,
    },
    {
      id: 'address-twice',
      status: 400,
      message: 'should only be included once',
      class: 'validation',
      reportAs: 'address_twice',
      hint: 'An address stands twice in to, cc and bcc: make them distinct, then replay.',
      source: ERRORS,
    },
    {
      id: 'template-unusable',
      status: 400,
      body: { path: 'errors[].field', equals: 'template_id' },
      class: 'configuration',
      reportAs: 'template_unusable',
      hint: 'The template does not exist, or has no active version: correct template_id, then replay the group.',
      source: ERRORS,
    },
    {
      id: 'request-refused',
      status: 400,
      class: 'validation',
      hint: 'Correct the field that is named, at its source; `help` in the answer leads to its documentation.',
      source: ERRORS,
    },
  ],
  endpoints: {
    // 202 says that it is queued; what becomes of it is told by events.
    'POST /v3/mail/send': { idempotency: 'unsafe', source: SENDING },
    'PUT /v3/marketing/contacts': {
      idempotency: 'safe',
      // All are queued, or none; a contact that fails is told of by the import job.
      batchShape: { envelope: { kind: 'list', at: 'contacts' }, answer: { lists: [], allOrNothing: true } },
      source: CONTACTS,
    },
    'POST /v3/asm/suppressions/global': { idempotency: 'safe' },
    'POST /v3/asm/groups/{group_id}/suppressions': { idempotency: 'safe' },
  },
  redact: ['content', 'dynamic_template_data', 'substitutions', 'attachments'],
}
