import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const path = '/2010-04-01/Accounts/{AccountSid}/Messages.json'

function answer(status: number, code: number, message: string): RuleSample {
  return {
    status,
    headers: { 'twilio-request-id': 'RQ00000000000000000000000000000001', 'twilio-concurrent-requests': '4' },
    path,
    body: { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status },
  }
}

export const twilioSamples: ProfileSamples = {
  'daily-limit-spent': [answer(429, 63038, 'Account exceeded the 50 daily messages limit')],
  'too-many-requests': [
    answer(429, 20429, 'Too Many Requests'),
    { status: 429, path, body: 'Too Many Requests', note: 'From the edge.' },
  ],
  'credentials-refused': [answer(401, 20003, 'Authenticate')],
  'account-not-active': [answer(403, 20005, 'Account not active'), answer(403, 20006, 'Access denied')],
  'recipient-unsubscribed': [answer(400, 21610, 'Attempt to send to unsubscribed recipient')],
  'recipient-not-verified': [
    answer(400, 21608, 'The number is unverified. Trial accounts cannot send messages to unverified numbers.'),
  ],
  'region-not-enabled': [
    answer(400, 21408, 'Permission to send an SMS has not been enabled for the region of the To number'),
  ],
  'number-unusable': [
    answer(400, 21211, "Invalid 'To' Phone Number: 55512XXXX"),
    answer(400, 21614, "'To' number is not a valid mobile number"),
  ],
  'sender-unusable': [
    answer(400, 21606, "The 'From' phone number provided is not a message-capable number of this account"),
  ],
  'text-too-long': [answer(400, 21617, 'The concatenated message body exceeds the 1600 character limit')],
  'text-missing': [answer(400, 21602, 'Message body is required')],
  'not-available': [answer(503, 20503, 'Service is unavailable')],
  'failed-inside': [
    answer(500, 20500, 'An internal server error has occurred'),
    { status: 504, path, body: '<html><head><title>504 Gateway Time-out</title></head></html>' },
  ],
}
