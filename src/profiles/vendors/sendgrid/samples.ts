import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

function answer(status: number, message: string, field: string | null = null): RuleSample {
  return { status, path: '/v3/mail/send', body: { errors: [{ message, field, help: null }] } }
}

export const sendgridSamples: ProfileSamples = {
  'credits-spent': [answer(401, 'Maximum credits exceeded')],
  'key-refused': [answer(401, 'The provided authorization grant is invalid, expired, or revoked')],
  'sender-not-verified': [
    answer(
      403,
      'The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.',
      'from',
    ),
  ],
  'key-lacks-permission': [answer(403, 'access forbidden')],
  'too-many-recipients': [
    answer(400, 'The personalization block is limited to 1000 personalizations per API request.', 'personalizations'),
    answer(400, 'There is a limit of 1000 total recipients (to + cc + bcc) per request.', 'personalizations'),
  ],
  'mail-too-large': [answer(413, 'The JSON payload you have included in your request is too large.')],
  'address-unusable': [
    answer(400, 'Does not contain a valid address.', 'personalizations.0.to.0.email'),
    answer(400, 'Each to object must at least have an email address.', 'personalizations.0.to'),
  ],
  'address-twice': [
    answer(400, 'Each email address in the personalization block should only be included once.', 'personalizations.0'),
  ],
  'template-unusable': [answer(400, 'The template_id must be a valid GUID.', 'template_id')],
  'request-refused': [
    answer(400, 'The subject is required, unless a template or the personalizations have one.', 'subject'),
    { status: 400, path: '/v3/mail/send', body: { errors: [{ message: 'Bad Request', field: null, help: null }] } },
  ],
}
