/** Salesforce: REST, with composite calls and collections. Bulk 2 is `salesforce-bulk`. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { SALESFORCE_DOCS, salesforceRules } from './rules.ts'

/** A repeat writes the same values to the same record. */
const BY_ID: ProfileEndpoint = { idempotency: 'safe', source: SALESFORCE_DOCS.upsert }
/** Queries may run for two minutes before Salesforce ends them. */
const QUERY: ProfileEndpoint = { timeouts: { headers: '125s', total: '150s' }, source: SALESFORCE_DOCS.errors }

export const salesforce: Profile = {
  name: 'salesforce',
  title: 'Salesforce',
  docs: [
    SALESFORCE_DOCS.errors.url,
    SALESFORCE_DOCS.limits.url,
    SALESFORCE_DOCS.upsert.url,
    SALESFORCE_DOCS.collections.url,
    SALESFORCE_DOCS.composite.url,
  ],
  preset: 'crm',
  auth: {
    kinds: ['bearer', 'refresh_token', 'client_credentials'],
    tokenUrl: 'https://login.salesforce.com/services/oauth2/token',
    note: 'Every org has an address of its own (MyDomain.my.salesforce.com), which the token answer names; sandboxes log in at test.salesforce.com. Sessions end after the time set in the org, two hours by default.',
  },
  rateLimits: [
    {
      kind: 'fraction',
      name: 'daily',
      header: 'sforce-limit-info',
      key: 'api-usage',
      window: { rolling: '24h' },
    },
  ],
  errorPaths: {
    // Records of collections say statusCode.
    code: [
      '[].errorCode',
      '[].errors[].statusCode',
      'errors[].statusCode',
      'compositeResponse[].body[].errorCode',
      'results[].result[].errorCode',
      'error',
    ],
    message: [
      '[].message',
      '[].errors[].message',
      'errors[].message',
      'compositeResponse[].body[].message',
      'results[].result[].message',
      'error_description',
    ],
    field: ['[].fields[]', '[].errors[].fields[]', 'errors[].fields[]'],
  },
  rules: salesforceRules,
  endpoints: {
    'PATCH /services/data/{version}/sobjects/{object}/{id}': BY_ID,
    'PATCH /services/data/{version}/sobjects/{object}/{externalIdField}/{externalId}': BY_ID,
    'POST /services/data/{version}/sobjects/{object}': { idempotency: 'unsafe', source: SALESFORCE_DOCS.upsert },
    'POST /services/data/{version}/composite/sobjects': {
      batchShape: 'salesforce-collections',
      source: SALESFORCE_DOCS.collections,
    },
    'PATCH /services/data/{version}/composite/sobjects': { ...BY_ID, batchShape: 'salesforce-collections' },
    'PATCH /services/data/{version}/composite/sobjects/{object}/{externalIdField}': {
      ...BY_ID,
      batchShape: 'salesforce-collections',
    },
    'POST /services/data/{version}/composite': {
      batchShape: 'salesforce-composite',
      source: SALESFORCE_DOCS.composite,
    },
    'POST /services/data/{version}/composite/batch': {
      batchShape: 'salesforce-batch',
      source: SALESFORCE_DOCS.composite,
    },
    'GET /services/data/{version}/query': QUERY,
    'GET /services/data/{version}/queryAll': QUERY,
    'GET /services/data/{version}/query/{locator}': QUERY,
    'POST /services/data/{version}/parameterizedSearch': { idempotency: 'safe' },
  },
  redact: [
    'SSN__c',
    'TaxId__c',
    'Birthdate',
    'MobilePhone',
    'HomePhone',
    'OtherPhone',
    'sfdcSessionId',
    'access_token',
  ],
}
