import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const path = '/data/v1/contacts/enrich'
const left = (second: string, hour: string, day: string) => ({
  'x-ratelimit-limit-second': '25',
  'x-ratelimit-limit-hour': '54000',
  'x-ratelimit-limit-day': '648000',
  'x-ratelimit-remaining-second': second,
  'x-ratelimit-remaining-hour': hour,
  'x-ratelimit-remaining-day': day,
})

function refusal(status: number, title: string, detail: string, source?: Readonly<Record<string, string>>): RuleSample {
  const error = { status: String(status), title, detail, ...(source && { source: { ...source } }) }
  return { status, headers: left('24', '51200', '600100'), path, body: { errors: [error] } }
}

export const zoominfoSamples: ProfileSamples = {
  'daily-calls-spent': [
    {
      ...refusal(429, 'Too Many Requests', 'The limit of requests per day is reached.'),
      headers: { ...left('25', '54000', '0'), 'retry-after': '3600' },
    },
  ],
  'hourly-calls-spent': [
    {
      ...refusal(429, 'Too Many Requests', 'The limit of requests per hour is reached.'),
      headers: { ...left('25', '0', '310000'), 'retry-after': '420' },
    },
  ],
  limited: [
    {
      ...refusal(429, 'Too Many Requests', 'The limit of requests per second is reached.'),
      headers: left('0', '51200', '600100'),
    },
  ],
  'credits-spent': [refusal(403, 'Forbidden', 'Credit limit of the account is reached.')],
  'grant-refused': [
    {
      status: 401,
      path: '/oauth/v1/token',
      body: { error: 'invalid_client', error_description: 'Client authentication failed.' },
    },
  ],
  'token-expired': [refusal(401, 'Unauthorized', 'The access token is invalid or has expired.')],
  'scope-missing': [refusal(403, 'Forbidden', 'The token lacks a scope for this resource.')],
  'wrong-content-type': [
    refusal(406, 'Not Acceptable', 'Accept must be application/vnd.api+json.'),
    refusal(415, 'Unsupported Media Type', 'Content-Type must be application/vnd.api+json.'),
  ],
  'invalid-data': [
    refusal(400, 'Bad Request', 'Unknown output field: shoeSize.', { pointer: '/data/attributes/outputFields/3' }),
  ],
}
