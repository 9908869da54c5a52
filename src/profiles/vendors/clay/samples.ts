import type { ProfileSamples } from '../../../config/profile.ts'

const run = '/public/v0/routines/{routineId}/run'
const row = '/v3/sources/webhook/{sourceId}'

export const claySamples: ProfileSamples = {
  limited: [
    {
      status: 429,
      headers: { 'retry-after': '20' },
      path: run,
      body: { message: 'Too many requests. Please slow down.' },
    },
    { status: 429, path: row, body: 'Too Many Requests', note: 'Without Retry-After.' },
  ],
  'budget-spent': [{ status: 402, path: run, body: { message: 'The credit budget of this workspace is spent.' } }],
  'endpoint-retired': [
    {
      status: 404,
      path: '/v1/tables/{tableId}/rows',
      body: { message: 'You have reached a deprecated API endpoint.' },
    },
  ],
  'table-address-gone': [{ status: 404, path: row, body: { message: 'Webhook source not found' } }],
  'table-full': [
    { status: 400, path: row, body: { message: 'This source has reached its limit of 50,000 submissions.' } },
  ],
  'key-refused': [
    { status: 401, path: run, body: { message: 'Invalid API key' } },
    { status: 401, path: row, body: { message: 'Unauthorized' } },
  ],
  'results-not-ready': [
    {
      status: 202,
      method: 'GET',
      path: '/public/v0/routines/run/{runId}/results',
      body: { routine_run_id: 'run_sample', total: 40, finished: 12, status: 'in_progress' },
    },
  ],
  'batch-file-refused': [
    {
      status: 200,
      method: 'GET',
      path: '/public/v0/routines/run-batch/{runId}/results',
      body: {
        routine_run_id: 'run_sample',
        status: 'validation_failed',
        error: {
          message: 'Some rows are not valid.',
          total_invalid_rows: 1,
          details: [{ line_number: 7, field: 'companyDomain', message: 'companyDomain is required' }],
        },
      },
    },
  ],
  'batch-failed': [
    {
      status: 200,
      method: 'GET',
      path: '/public/v0/routines/run-batch/{runId}/results',
      body: {
        routine_run_id: 'run_sample',
        status: 'processing_failed',
        error: { message: 'The run could not be finished.' },
      },
    },
  ],
  'invalid-data': [
    { status: 400, path: run, body: { message: 'inputs.companyDomain is required' } },
    { status: 422, path: row, body: { message: 'Unprocessable Entity' }, note: 'The body was not JSON.' },
  ],
}
