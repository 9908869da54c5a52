/** Twilio: messages and calls. */
import type { Profile } from '../../../config/profile.ts'
import type { FactSource } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
const TOO_MANY: FactSource = { url: 'https://www.twilio.com/docs/api/errors/20429', ...READ, certainty: 'vendor' }
const CODES: FactSource = { url: 'https://www.twilio.com/docs/api/errors', ...READ, certainty: 'unverified' }
const TRIAL: FactSource = { url: 'https://www.twilio.com/docs/api/errors/21608', ...READ, certainty: 'vendor' }
const MESSAGES: FactSource = {
  url: 'https://www.twilio.com/docs/messaging/api/message-resource',
  ...READ,
  certainty: 'unverified',
}

const SEND_TWICE = 'look in the message log whether it went out before it is sent again'

export const twilio: Profile = {
  name: 'twilio',
  title: 'Twilio',
  docs: [CODES.url, TOO_MANY.url, MESSAGES.url],
  baseUrl: 'https://api.twilio.com',
  auth: {
    kinds: ['basic'],
    note: 'User: the SID of an API key (or of the account); password: its secret (or the auth token). Verify and others have hosts of their own.',
  },
  errorPaths: { code: ['code', 'error_code'], message: ['message', 'error_message'] },
  rules: [
    {
      id: 'daily-limit-spent',
      status: 429,
      code: '63038',
      class: 'wait_long',
      reportAs: 'daily_quota_spent',
      retryAfter: { otherwise: '1h' },
      hint: 'The account has sent all messages that it may send in a day: upgrade it, or wait.',
      source: CODES,
    },
    {
      // Twilio promises that it did nothing, so that even a message may be sent again.
      id: 'too-many-requests',
      status: 429,
      class: 'rate_limited',
      certainty: 'not_sent',
      retryAfter: { otherwise: '1s' },
      hint: 'Nothing to do: the lane waits. Twilio limits calls at the same time: lower limits.concurrency; the header Twilio-Concurrent-Requests tells how many ran.',
      source: TOO_MANY,
    },
    {
      id: 'credentials-refused',
      status: [401, 403],
      code: '20003',
      class: 'authentication',
      hint: 'Account SID, API key or secret do not fit together, or the account is suspended: correct them, then resume the lane.',
      source: CODES,
    },
    {
      id: 'account-not-active',
      status: '4xx',
      code: ['20005', '20006', '30002'],
      class: 'authorization',
      hint: 'The account is suspended or may not do this: look at billing and at its state in the console, then replay the group.',
      source: CODES,
    },
    {
      id: 'recipient-unsubscribed',
      status: 400,
      code: '21610',
      class: 'validation',
      reportAs: 'recipient_unsubscribed',
      hint: 'The person answered STOP: take the number off the list and discard. Only they can undo it, with START.',
      userMessage: 'This person has unsubscribed from text messages.',
      source: CODES,
    },
    {
      id: 'recipient-not-verified',
      status: 400,
      code: '21608',
      class: 'authorization',
      hint: 'Trial accounts, and accounts without a compliance profile, send to verified numbers only: upgrade the account, or verify the number.',
      source: TRIAL,
    },
    {
      id: 'region-not-enabled',
      status: [400, 403],
      code: ['21408', '21215'],
      class: 'authorization',
      hint: 'Switch the country on in the geographic permissions of the account, then replay.',
      source: CODES,
    },
    {
      id: 'number-unusable',
      status: 400,
      code: ['21211', '21214', '21217', '21401', '21421', '21604', '21612', '21614'],
      class: 'validation',
      hint: 'The number is wrong, or cannot receive this kind of message: correct it at its source (E.164: +15551234567).',
      userMessage: 'This phone number cannot be reached. Please check it.',
      source: CODES,
    },
    {
      id: 'sender-unusable',
      status: 400,
      code: ['21212', '21603', '21606', '21659', '21660', '21703', '21705'],
      class: 'configuration',
      hint: 'The number or messaging service in From does not belong to this account, or cannot send: correct the configuration, then replay the group.',
      source: CODES,
    },
    {
      id: 'text-too-long',
      status: 400,
      code: '21617',
      class: 'too_large',
      hint: 'At most 1,600 characters: shorten the text.',
      userMessage: 'The message is too long.',
      source: CODES,
    },
    {
      id: 'text-missing',
      status: 400,
      code: ['21602', '21619'],
      class: 'validation',
      hint: 'The message has neither text nor media: look at the record and the template.',
      source: CODES,
    },
    {
      // A sender of messages must not take it for a refusal.
      id: 'not-available',
      status: 503,
      method: 'POST',
      class: 'transient',
      certainty: 'maybe_applied',
      hint: `Twilio knows no idempotency keys: ${SEND_TWICE}.`,
      source: MESSAGES,
    },
    {
      id: 'failed-inside',
      status: [500, 502, 504],
      method: 'POST',
      class: 'transient',
      certainty: 'maybe_applied',
      maxRetries: 3,
      hint: `It may have been done: ${SEND_TWICE}.`,
      source: MESSAGES,
    },
  ],
  endpoints: {
    'POST /2010-04-01/Accounts/{AccountSid}/Messages.json': { idempotency: 'unsafe', source: MESSAGES },
    'POST /2010-04-01/Accounts/{AccountSid}/Calls.json': { idempotency: 'unsafe' },
    // They set values of what is there.
    'POST /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json': { idempotency: 'safe' },
    'POST /2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json': { idempotency: 'safe' },
    'POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json': { idempotency: 'safe' },
  },
  // Texts hold one-time codes.
  redact: ['body', 'auth_token', 'content_variables'],
}
