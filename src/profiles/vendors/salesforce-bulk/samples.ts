import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import { salesforceAccessSamples } from '../salesforce/samples.ts'

const ingest = '/services/data/{version}/jobs/ingest'

function row(sf__Error: string): RuleSample {
  return {
    status: 400,
    path: `${ingest}/{jobId}/failedResults`,
    body: { sf__Id: '', sf__Error, LastName: 'Lovelace', Email: 'ada@example.com' },
    note: 'One row of failedResults.',
  }
}

function job(state: string, more: Readonly<Record<string, string | number>> = {}): RuleSample {
  return {
    status: 200,
    method: 'GET',
    path: `${ingest}/{jobId}`,
    headers: { 'sforce-limit-info': 'api-usage=4811/100000' },
    body: {
      id: '750SAMPLEAAAAAAAAA',
      operation: 'upsert',
      object: 'Contact',
      externalIdFieldName: 'Customer_Number__c',
      state,
      jobType: 'V2Ingest',
      lineEnding: 'LF',
      columnDelimiter: 'COMMA',
      retries: 0,
      numberRecordsProcessed: 0,
      numberRecordsFailed: 0,
      ...more,
    },
  }
}

function refusal(errorCode: string, message: string, method: RuleSample['method'] = 'POST', path = ingest): RuleSample {
  return { status: 400, method, path, body: [{ errorCode, message }] } as RuleSample
}

export const salesforceBulkSamples: ProfileSamples = {
  ...salesforceAccessSamples,
  'row-locked': [
    row('UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: 001SAMPLEAAAAAAAAA:--'),
    row(
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:RollUp: execution of AfterInsert caused by: first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access to this record:--',
    ),
  ],
  'row-value-taken': [
    row('DUPLICATE_VALUE:duplicate value found: Customer_Number__c duplicates value on record with id: 003SAMPLE:--'),
  ],
  'row-looks-like-duplicate': [row('DUPLICATES_DETECTED:Use one of these records?:--')],
  'row-deleted': [row('ENTITY_IS_DELETED:entity is deleted:--')],
  'row-storage-full': [row('STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--')],
  'row-validation-rule': [
    row('FIELD_CUSTOM_VALIDATION_EXCEPTION:A phone number or an email address is needed.:Phone --'),
  ],
  'row-no-access': [
    row('INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY:insufficient access rights on cross-reference id: 001SAMPLE:--'),
  ],
  'row-unknown-field': [
    row('INVALID_FIELD_FOR_INSERT_UPDATE:Unable to create/update fields: CreatedDate:CreatedDate --'),
  ],
  'row-refused': [
    row('REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --'),
    row('INVALID_EMAIL_ADDRESS:Email: invalid email address: ada@:Email --'),
  ],
  'job-under-way': [
    job('UploadComplete'),
    job('InProgress', { numberRecordsProcessed: 4200 }),
    {
      ...job('InProgress', { operation: 'query', jobType: 'V2Query' }),
      path: '/services/data/{version}/jobs/query/{jobId}',
    },
  ],
  'job-refused': [job('Failed', { errorMessage: 'InvalidBatch : Field name not found : Shoe_Size__c' })],
  'job-failed': [
    job('Failed', { errorMessage: 'InternalServerError : Retried more than 20 times', retries: 20 }),
    job('Failed', { numberRecordsProcessed: 900, numberRecordsFailed: 30 }),
  ],
  'job-aborted': [job('Aborted', { numberRecordsProcessed: 1200 })],
  'daily-jobs-spent': [
    refusal('EXCEEDEDQUOTA', 'Job creation rate limit exceeded for the last 24 hours.'),
    refusal('ExceededQuota', 'ApiBatchItems Limit exceeded.'),
  ],
  'bulk-not-enabled': [refusal('FEATURENOTENABLED', 'Bulk API 2.0 is not enabled for this organization.')],
  'wrong-job-state': [
    refusal('INVALIDJOBSTATE', 'This job is closed and takes no more data.', 'PUT', `${ingest}/{jobId}/batches`),
  ],
  'no-such-job': [refusal('INVALIDJOB', 'Unable to find the job.', 'GET', `${ingest}/{jobId}`)],
}
