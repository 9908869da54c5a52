import type { ProfileSamples } from '../../../config/profile.ts'

const path = '/people/match'
const left = (minute: string, hour: string, day: string) => ({
  'x-rate-limit-minute': '1000',
  'x-rate-limit-hourly': '6000',
  'x-rate-limit-24-hour': '50000',
  'x-minute-requests-left': minute,
  'x-hourly-requests-left': hour,
  'x-24-hour-requests-left': day,
})
const plenty = left('940', '5100', '41000')

export const apolloSamples: ProfileSamples = {
  'daily-calls-spent': [
    {
      status: 429,
      headers: left('1000', '6000', '0'),
      path,
      body: { error: 'You have reached the maximum number of api calls allowed for people/match per day.' },
    },
  ],
  'hourly-calls-spent': [
    {
      status: 429,
      headers: left('1000', '0', '12000'),
      path,
      body: { error: 'You have reached the maximum number of api calls allowed for people/match per hour.' },
    },
  ],
  limited: [
    {
      status: 429,
      headers: left('0', '5100', '41000'),
      path,
      body: { error: 'You have reached the maximum number of api calls allowed for people/match per minute.' },
    },
    { status: 429, path, body: 'Too many requests' },
  ],
  'result-pending': [
    {
      status: 404,
      headers: plenty,
      method: 'GET',
      path: '/people/match/{id}',
      body: { error: 'The result is not ready yet.', error_code: 'result_pending', retry_after_seconds: 5 },
    },
  ],
  'key-lacks-endpoint': [
    {
      status: 403,
      headers: plenty,
      path: '/mixed_people/search',
      body: {
        error: 'api/v1/mixed_people/search is not accessible with this api_key.',
        error_code: 'API_INACCESSIBLE',
      },
    },
  ],
  'key-refused': [{ status: 401, path, body: 'Invalid access credentials.' }],
  'credits-spent': [
    { status: 422, headers: plenty, path, body: { error: 'You have insufficient credits to enrich this person.' } },
  ],
  'invalid-data': [
    {
      status: 422,
      headers: plenty,
      path: '/contacts/{id}',
      method: 'PATCH',
      body: { error: 'Value is not a valid id: 12' },
    },
    { status: 400, headers: plenty, path, body: { error_message: 'Parameters misconfigured' } },
  ],
}
