/**
 * Salesforce Bulk 2: jobs, and the rows that failed in them. A row of `failedResults` is judged as status 400 with the row as its
 * body: `{ sf__Id, sf__Error: 'CODE:message:fields --', ... }`.
 */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { SALESFORCE_DOCS } from '../salesforce/rules.ts'
import { BULK_DOCS, bulkRules } from './rules.ts'

/** Asked again and again until the job is done. */
const POLLED: ProfileEndpoint = { retry: { maxAttempts: 500, cap: '60s' }, source: BULK_DOCS.jobs }
/** Results are files of up to a gigabyte. */
const DOWNLOAD: ProfileEndpoint = {
  maxResponse: '100MB',
  timeouts: { headers: '60s', body: '60s', total: '15m' },
  source: BULK_DOCS.jobs,
}

export const salesforceBulk: Profile = {
  name: 'salesforce-bulk',
  title: 'Salesforce Bulk 2',
  docs: [
    BULK_DOCS.errors.url,
    'https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/bulk_api_2_0.htm',
    SALESFORCE_DOCS.limits.url,
  ],
  preset: 'crm',
  auth: {
    kinds: ['bearer', 'refresh_token', 'client_credentials'],
    tokenUrl: 'https://login.salesforce.com/services/oauth2/token',
    note: 'As for REST: every org has an address of its own, which the token answer names.',
  },
  rateLimits: [
    { kind: 'fraction', name: 'daily', header: 'sforce-limit-info', key: 'api-usage', window: { rolling: '24h' } },
  ],
  errorPaths: {
    code: ['[].errorCode', 'error'],
    message: ['[].message', 'sf__Error', 'errorMessage', 'error_description', 'state'],
    field: ['[].fields[]'],
  },
  rules: bulkRules,
  endpoints: {
    // A job made twice: where its data came with it, its rows are written twice, unless it upserts.
    'POST /services/data/{version}/jobs/ingest': { idempotency: 'unsafe', source: BULK_DOCS.jobs },
    // A query changes nothing; one too many counts against the daily limit.
    'POST /services/data/{version}/jobs/query': { idempotency: 'safe', source: BULK_DOCS.jobs },
    'PATCH /services/data/{version}/jobs/ingest/{jobId}': { idempotency: 'safe', source: BULK_DOCS.jobs },
    'PATCH /services/data/{version}/jobs/query/{jobId}': { idempotency: 'safe', source: BULK_DOCS.jobs },
    'PUT /services/data/{version}/jobs/ingest/{jobId}/batches': {
      timeouts: { headers: '5m', total: '15m' },
      source: BULK_DOCS.jobs,
    },
    'GET /services/data/{version}/jobs/ingest/{jobId}': POLLED,
    'GET /services/data/{version}/jobs/query/{jobId}': POLLED,
    'GET /services/data/{version}/jobs/ingest/{jobId}/successfulResults': DOWNLOAD,
    'GET /services/data/{version}/jobs/ingest/{jobId}/failedResults': DOWNLOAD,
    'GET /services/data/{version}/jobs/ingest/{jobId}/unprocessedrecords': DOWNLOAD,
    'GET /services/data/{version}/jobs/query/{jobId}/results': DOWNLOAD,
  },
  redact: ['SSN__c', 'TaxId__c', 'Birthdate', 'MobilePhone', 'HomePhone', 'OtherPhone', 'access_token'],
}
