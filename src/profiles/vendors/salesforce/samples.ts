import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'

const create = '/services/data/{version}/sobjects/{object}'
const upsert = '/services/data/{version}/sobjects/{object}/{externalIdField}/{externalId}'
const collection = '/services/data/{version}/composite/sobjects'
const headers = { 'sforce-limit-info': 'api-usage=4811/100000' }

function refusal(status: number, errorCode: string, message: string, fields?: readonly string[]): RuleSample {
  return { status, headers, path: create, body: [{ message, errorCode, ...(fields && { fields: [...fields] }) }] }
}

/** The element of a record in the answer to a collection, as a batch hands it over. */
function record(status: number, statusCode: string, message: string, fields: readonly string[] = []): RuleSample {
  return {
    status,
    path: collection,
    body: { success: false, errors: [{ statusCode, message, fields: [...fields] }] },
    note: 'One record of a collection.',
  }
}

export const salesforceAccessSamples: ProfileSamples = {
  'too-many-at-once': [
    refusal(403, 'REQUEST_LIMIT_EXCEEDED', 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.'),
    refusal(503, 'REQUEST_LIMIT_EXCEEDED', 'ConcurrentPerOrgLongTxn Limit exceeded.'),
  ],
  'daily-calls-spent': [
    {
      ...refusal(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.'),
      headers: { 'sforce-limit-info': 'api-usage=100000/100000' },
    },
  ],
  'app-not-allowed': [
    refusal(401, 'INVALID_SESSION_ID', 'This session is not valid for use with the REST API'),
    refusal(401, 'INVALID_AUTH', 'Connected app is not attached to Agent'),
  ],
  'session-expired': [refusal(401, 'INVALID_SESSION_ID', 'Session expired or invalid')],
  'grant-refused': [
    {
      status: 400,
      path: '/services/oauth2/token',
      body: { error: 'invalid_grant', error_description: 'expired access/refresh token' },
    },
  ],
  'api-disabled': [
    refusal(403, 'API_DISABLED_FOR_ORG', 'API is disabled for this user'),
    {
      status: 403,
      path: create,
      body: [{ errorCode: 'API_DISABLED_FOR_ORG', message: 'The REST API is not enabled for this Organization.' }],
    },
  ],
}

export const salesforceSamples: ProfileSamples = {
  ...salesforceAccessSamples,
  'record-locked': [
    refusal(400, 'UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record or 1 records'),
    record(503, 'UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record or 2 records'),
  ],
  'record-locked-in-trigger': [
    refusal(
      400,
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
      'RollUpAmounts: execution of AfterUpdate caused by: System.DmlException: Update failed. First exception on row 0; first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access to this record: []',
    ),
  ],
  'query-timeout': [
    {
      ...refusal(400, 'QUERY_TIMEOUT', 'Your query request was running for too long.'),
      method: 'GET',
      path: '/services/data/{version}/query',
    },
  ],
  'server-unavailable': [
    refusal(503, 'SERVER_UNAVAILABLE', 'Server Too Busy'),
    refusal(400, 'SERVER_UNAVAILABLE', 'The request could not be served in time.'),
  ],
  'edge-busy': [{ status: 420, method: 'GET', path: create, body: '' }],
  'undone-with-others': [
    refusal(400, 'PROCESSING_HALTED', 'The transaction was rolled back since another operation in it failed.'),
    record(
      400,
      'ALL_OR_NONE_OPERATION_ROLLED_BACK',
      'Record rolled back because not all records were valid and the request was using AllOrNone header',
    ),
  ],
  'value-taken': [
    refusal(
      400,
      'DUPLICATE_VALUE',
      'duplicate value found: Customer_Number__c duplicates value on record with id: 003SAMPLE',
      ['Customer_Number__c'],
    ),
    record(
      400,
      'DUPLICATE_VALUE',
      'duplicate value found: Customer_Number__c duplicates value on record with id: 003SAMPLE',
    ),
  ],
  'looks-like-duplicate': [
    {
      status: 400,
      headers,
      path: create,
      body: [
        {
          duplicateResult: {
            allowSave: true,
            duplicateRule: 'Standard_Contact_Duplicate_Rule',
            duplicateRuleEntityType: 'Contact',
            errorMessage: 'You seem to be creating a duplicate record.',
            matchResults: [],
          },
          message: 'Use one of these records?',
          errorCode: 'DUPLICATES_DETECTED',
        },
      ],
    },
  ],
  'several-records-match': [
    {
      status: 300,
      headers,
      method: 'PATCH',
      path: upsert,
      body: [
        '/services/data/v65.0/sobjects/Account/001SAMPLEAAAAAAAAA1',
        '/services/data/v65.0/sobjects/Account/001SAMPLEAAAAAAAAA2',
      ],
    },
  ],
  'record-deleted': [
    {
      ...refusal(404, 'ENTITY_IS_DELETED', 'entity is deleted'),
      method: 'PATCH',
      path: '/services/data/{version}/sobjects/{object}/{id}',
    },
    { ...record(404, 'ENTITY_IS_DELETED', 'entity is deleted'), method: 'PATCH' },
  ],
  'storage-full': [refusal(403, 'STORAGE_LIMIT_EXCEEDED', 'storage limit exceeded')],
  'validation-rule': [
    refusal(400, 'FIELD_CUSTOM_VALIDATION_EXCEPTION', 'Close date must not be in the past.', ['CloseDate']),
    record(400, 'FIELD_CUSTOM_VALIDATION_EXCEPTION', 'Close date must not be in the past.', ['CloseDate']),
  ],
  'automation-failed': [
    refusal(
      400,
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
      'LeadRouting: execution of BeforeInsert caused by: System.LimitException: Too many SOQL queries: 101',
    ),
    refusal(
      400,
      'CANNOT_EXECUTE_FLOW_TRIGGER',
      'We can not save this record because the "Assign Owner" process failed.',
    ),
  ],
  'unknown-external-id': [
    {
      ...refusal(404, 'NOT_FOUND', 'Provided external ID field does not exist or is not accessible: Customer_No__c'),
      method: 'PATCH',
      path: upsert,
    },
  ],
  'unknown-field': [
    refusal(400, 'INVALID_FIELD', "No such column 'Shoe_Size__c' on sobject of type Contact"),
    record(400, 'INVALID_FIELD_FOR_INSERT_UPDATE', 'Unable to create/update fields: CreatedDate.', ['CreatedDate']),
  ],
  'invalid-data': [
    refusal(400, 'REQUIRED_FIELD_MISSING', 'Required fields are missing: [LastName]', ['LastName']),
    refusal(500, 'STRING_TOO_LONG', 'First Name: data value too large (max length=40)', ['FirstName']),
    record(400, 'INVALID_EMAIL_ADDRESS', 'Email: invalid email address: ada@', ['Email']),
  ],
  'no-access-to-record': [
    refusal(403, 'INSUFFICIENT_ACCESS_OR_READONLY', 'insufficient access rights on object id'),
    record(400, 'INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY', 'insufficient access rights on cross-reference id'),
  ],
  'too-many-records': [
    {
      ...refusal(400, 'EXCEEDED_ID_LIMIT', 'record limit reached. cannot submit more than 200 records into this call'),
      path: collection,
    },
  ],
  'query-cursor-expired': [
    {
      ...refusal(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator'),
      method: 'GET',
      path: '/services/data/{version}/query/{locator}',
    },
  ],
  'some-records-failed': [
    {
      status: 200,
      headers,
      path: collection,
      body: [
        { id: '003SAMPLEAAAAAAAAA1', success: true, errors: [] },
        {
          success: false,
          errors: [
            {
              statusCode: 'REQUIRED_FIELD_MISSING',
              message: 'Required fields are missing: [LastName]',
              fields: ['LastName'],
            },
          ],
        },
      ],
    },
  ],
  'some-requests-failed': [
    {
      status: 200,
      headers,
      path: '/services/data/{version}/composite/batch',
      body: {
        hasErrors: true,
        results: [
          { statusCode: 204, result: null },
          { statusCode: 400, result: [{ errorCode: 'INVALID_FIELD', message: "No such column 'Nmae'" }] },
        ],
      },
    },
  ],
  'some-parts-failed': [
    {
      status: 200,
      headers,
      path: '/services/data/{version}/composite',
      body: {
        compositeResponse: [
          {
            body: { id: '001SAMPLEAAAAAAAAA1', success: true, errors: [] },
            httpHeaders: {},
            httpStatusCode: 201,
            referenceId: 'account',
          },
          {
            body: [{ errorCode: 'REQUIRED_FIELD_MISSING', message: 'Required fields are missing: [LastName]' }],
            httpHeaders: {},
            httpStatusCode: 400,
            referenceId: 'contact',
          },
        ],
      },
    },
  ],
}
