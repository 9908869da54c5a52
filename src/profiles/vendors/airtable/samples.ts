import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const path = '/v0/{baseId}/{tableIdOrName}'

function answer(status: number, type: string, message: string): RuleSample {
  return { status, path, body: { error: { type, message } } }
}

export const airtableSamples: ProfileSamples = {
  'monthly-quota-spent': [
    {
      status: 429,
      path,
      body: {
        errors: [
          {
            error: 'PUBLIC_API_BILLING_LIMIT_EXCEEDED',
            message: 'The API limit of the billing plan has been reached.',
          },
        ],
      },
    },
  ],
  'base-limited': [
    {
      status: 429,
      path,
      body: { errors: [{ error: 'RATE_LIMIT_REACHED', message: 'Rate limit exceeded. Please try again later' }] },
    },
    answer(429, 'TOO_MANY_REQUESTS', 'You have made too many requests in a short period of time.'),
  ],
  'unknown-field': [answer(422, 'UNKNOWN_FIELD_NAME', 'Unknown field name: "Shoe size"')],
  'unknown-option': [
    answer(422, 'INVALID_MULTIPLE_CHOICE_OPTIONS', 'Insufficient permissions to create new select option "Prospect"'),
  ],
  'row-missing': [answer(422, 'ROW_DOES_NOT_EXIST', 'Record ID recSampleSample001 does not exist in this table')],
  'listing-expired': [
    { ...answer(422, 'LIST_RECORDS_ITERATOR_NOT_AVAILABLE', 'The offset is not available any more'), method: 'GET' },
  ],
  'value-refused': [
    {
      ...answer(422, 'INVALID_VALUE_FOR_COLUMN', 'Field "Signed on" cannot accept the provided value'),
      method: 'PATCH',
    },
    answer(422, 'INVALID_REQUEST_UNKNOWN', 'Invalid request: parameter validation failed. Check your request data.'),
  ],
  'no-access': [
    answer(
      403,
      'INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND',
      'Invalid permissions, or the requested model was not found. Check that the token has the required permissions.',
    ),
  ],
  'not-found': [
    { status: 404, method: 'GET', path: `${path}/{recordId}`, body: { error: 'NOT_FOUND' } },
    { ...answer(404, 'TABLE_NOT_FOUND', 'Could not find table Leads in this base'), method: 'GET' },
  ],
  'too-large': [answer(413, 'REQUEST_TOO_LARGE', 'The request exceeded the maximum allowed payload size')],
  'not-available': [
    answer(503, 'SERVICE_UNAVAILABLE', 'The server could not process the request in time'),
    { status: 503, path, body: '<html><head><title>503 Service Temporarily Unavailable</title></head></html>' },
  ],
}
