/**
 * How APIs take several records in one call, and how they answer for each of them: data, so that a new vendor is a new value
 * and no new code. `policy/batches/batch-request.ts` writes calls by it, `policy/batches/batch-answer.ts` reads answers by it.
 *
 * Paths are dot paths as in `errorPaths`: `context.objectWriteTraceId`; numbers are places in lists; the empty path is the
 * value itself.
 */

export interface BatchShape {
  readonly envelope: BatchEnvelope
  readonly answer: BatchAnswerShape
}

/** How the records stand in the body of the call. */
export type BatchEnvelope = ListEnvelope | GraphqlEnvelope

export interface ListEnvelope {
  readonly kind: 'list'
  /** Where the list of records stands; empty: the body is the list. */
  readonly at: string
  /** What else the body says, e.g. `{ allOrNone: false }`. */
  readonly fixed?: Readonly<Record<string, string | number | boolean>>
  /** Field of each record that takes its mark (`r0`, `r1`, ...), where the answer names records by a mark of ours. */
  readonly mark?: string
}

/**
 * One document with an alias (`r0`, `r1`, ...) for each record. A record is
 * `{ field: 'contactCreate(input: $input) { id }', variables: { input: { type: 'ContactInput!', value: {...} } } }`.
 */
export interface GraphqlEnvelope {
  readonly kind: 'graphql'
  readonly operation: 'mutation' | 'query'
}

export interface BatchAnswerShape {
  /** Answers with these statuses tell of each record. Default: every 2xx. Any other answer is about the call as a whole. */
  readonly statuses?: readonly number[]
  /** Where records are told of; an answer may have several such lists. */
  readonly lists: readonly RecordList[]
  /**
   * The API does all of a call or nothing: a record that no list names succeeded where no record failed, and was rolled back where
   * one did. Default false: what a record is not told of stays unknown.
   */
  readonly allOrNothing?: boolean
  /** Codes of records that were innocent: undone, or not begun, because another record of the call failed. */
  readonly rolledBack?: readonly string[]
}

export interface RecordList {
  /** A list, or an object with a member for each record. */
  readonly at: string
  readonly match: RecordMatch
  readonly signs: RecordSigns
  /** Where the result of a record stands in its element: its step's output. Default: the element. */
  readonly data?: string
  readonly error?: RecordError
}

/** Which record an element is about. An element that cannot be matched is about none. */
export type RecordMatch =
  /** In the order of the call; only where there are as many as were sent. */
  | { readonly by: 'position' }
  /** The element says the place, counted from 0. */
  | { readonly by: 'index'; readonly at: string }
  /** The element says the mark that `envelope` gave the record; a list of marks is about each of them. */
  | { readonly by: 'mark'; readonly at: string }
  /** The names of the object's members are the marks. */
  | { readonly by: 'member' }
  /** A value that was sent comes back: where it stands in the element, and in the record as it was sent. */
  | { readonly by: 'value'; readonly at: string; readonly sent: string }

/**
 * What tells success from failure. Any sign of failure is stronger than any sign of success, and an element with neither tells
 * nothing: no record succeeds by default.
 */
export interface RecordSigns {
  /** Every element of this list is one. */
  readonly all?: 'succeeded' | 'failed'
  /** An HTTP status: 2xx is success, 300 and above failure. */
  readonly status?: string
  readonly good?: { readonly at: string; readonly values: readonly (string | number | boolean)[] }
  readonly bad?: { readonly at: string; readonly values: readonly (string | number | boolean)[] }
  /** Something stands there (not null, false, 0, '', [] or {}): success. */
  readonly goodIfAny?: readonly string[]
  /** Something stands there: failure. */
  readonly badIfAny?: readonly string[]
}

/** How to read an element that failed. It is then judged by the same rules as a whole answer. */
export interface RecordError {
  /** Where its error body stands. Default: the element. The paths below start there. */
  readonly at?: string
  /** Asked before the integration's own `errorPaths` and the usual places. */
  readonly code?: readonly string[]
  readonly message?: readonly string[]
  readonly field?: readonly string[]
  /** The status it counts as, where the element states none: by its code, else `status`. Default 400. */
  readonly statusByCode?: Readonly<Record<string, number>>
  readonly status?: number
  /** Its own headers (an object), e.g. for `Retry-After`. They go before those of the whole answer. */
  readonly headers?: string
  /** Where it says when to come back. */
  readonly retryAfter?: { readonly at: string; readonly unit: 's' | 'ms' }
}

const HTTP_SIGNS: RecordSigns = { status: 'status' }

/**
 * HubSpot CRM `batch/create|update|upsert` with `objectWriteTraceId` in each input: 207 where some failed (facts.md section 2).
 * Categories of errors stand for statuses.
 */
const hubspot: BatchShape = {
  envelope: { kind: 'list', at: 'inputs', mark: 'objectWriteTraceId' },
  answer: {
    lists: [
      { at: 'results', match: { by: 'mark', at: 'objectWriteTraceId' }, signs: { all: 'succeeded' } },
      {
        at: 'errors',
        match: { by: 'mark', at: 'context.objectWriteTraceId' },
        signs: { all: 'failed' },
        error: {
          code: ['subCategory', 'code', 'category'],
          field: ['context.propertyName', 'errors[].context.propertyName[]'],
          statusByCode: {
            CONFLICT: 409,
            RATE_LIMITS: 429,
            RATE_LIMIT: 429,
            OBJECT_NOT_FOUND: 404,
            MISSING_SCOPES: 403,
            INTERNAL_ERROR: 500,
          },
        },
      },
    ],
  },
}

/** HubSpot without trace ids: one bad input fails all, and a good answer is good for all (facts.md section 2). */
const hubspotAtomic: BatchShape = {
  envelope: { kind: 'list', at: 'inputs' },
  answer: { statuses: [200, 201], lists: [], allOrNothing: true },
}

const SALESFORCE_ROLLED_BACK = ['PROCESSING_HALTED', 'ALL_OR_NONE_OPERATION_ROLLED_BACK']

/** `/composite/sobjects`: a list in the order of the records, `{ id, success, errors: [{ statusCode, message, fields }] }`. */
const salesforceCollections: BatchShape = {
  envelope: { kind: 'list', at: 'records', fixed: { allOrNone: false } },
  answer: {
    lists: [
      {
        at: '',
        match: { by: 'position' },
        signs: { good: { at: 'success', values: [true] }, bad: { at: 'success', values: [false] } },
        error: {
          code: ['errors[].statusCode'],
          message: ['errors[].message'],
          field: ['errors[].fields[]'],
          statusByCode: { ENTITY_IS_DELETED: 404, REQUEST_LIMIT_EXCEEDED: 403, UNABLE_TO_LOCK_ROW: 503 },
        },
      },
    ],
    rolledBack: SALESFORCE_ROLLED_BACK,
  },
}

/** `/composite`: a record is `{ method, url, body }`; each answer has a status and a body of its own. */
const salesforceComposite: BatchShape = {
  envelope: { kind: 'list', at: 'compositeRequest', fixed: { allOrNone: false }, mark: 'referenceId' },
  answer: {
    lists: [
      {
        at: 'compositeResponse',
        match: { by: 'mark', at: 'referenceId' },
        signs: { status: 'httpStatusCode' },
        data: 'body',
        error: {
          at: 'body',
          code: ['[].errorCode'],
          message: ['[].message'],
          field: ['[].fields[]'],
          headers: 'httpHeaders',
        },
      },
    ],
    rolledBack: SALESFORCE_ROLLED_BACK,
  },
}

/** `/composite/batch`: a record is `{ method, url, richInput }`; answers come in order, beside `hasErrors`. */
const salesforceBatch: BatchShape = {
  envelope: { kind: 'list', at: 'batchRequests', fixed: { haltOnError: false } },
  answer: {
    lists: [
      {
        at: 'results',
        match: { by: 'position' },
        signs: { status: 'statusCode' },
        data: 'result',
        error: { at: 'result', code: ['[].errorCode'], message: ['[].message'], field: ['[].fields[]'] },
      },
    ],
    // What `haltOnError` did not begin is answered 412 with this code.
    rolledBack: ['BATCH_PROCESSING_HALTED', ...SALESFORCE_ROLLED_BACK],
  },
}

/** Microsoft Graph `$batch`: a record is `{ method, url, headers, body }`; answers come in any order, with own headers. */
const graphBatch: BatchShape = {
  envelope: { kind: 'list', at: 'requests', mark: 'id' },
  answer: {
    lists: [
      {
        at: 'responses',
        match: { by: 'mark', at: 'id' },
        signs: HTTP_SIGNS,
        data: 'body',
        error: { at: 'body', headers: 'headers' },
      },
    ],
    // "Failed dependency": what it depends on failed, so it was not begun.
    rolledBack: ['FailedDependency'],
  },
}

const ELEMENT_SIGNS: RecordSigns = {
  status: 'status',
  good: { at: 'success', values: [true] },
  bad: { at: 'success', values: [false] },
  badIfAny: ['error', 'errors'],
}

/** A list for a list, in the same order: `[{ id, status, error }, ...]`. */
const jsonArray: BatchShape = {
  envelope: { kind: 'list', at: '' },
  answer: {
    lists: [
      {
        at: '',
        match: { by: 'position' },
        signs: ELEMENT_SIGNS,
        error: { retryAfter: { at: 'retryAfter', unit: 's' } },
      },
    ],
  },
}

/** The same, where the answer names each record by the `id` that was sent. */
const jsonArrayById: BatchShape = {
  envelope: { kind: 'list', at: '' },
  answer: {
    lists: [
      {
        at: '',
        match: { by: 'value', at: 'id', sent: 'id' },
        signs: ELEMENT_SIGNS,
        error: { retryAfter: { at: 'retryAfter', unit: 's' } },
      },
    ],
  },
}

/** One document, an alias for each record; `errors[].path` names the alias, `userErrors` blame the input. */
const graphql: BatchShape = {
  envelope: { kind: 'graphql', operation: 'mutation' },
  answer: {
    lists: [
      {
        at: 'data',
        match: { by: 'member' },
        signs: { goodIfAny: [''], badIfAny: ['userErrors', 'errors'] },
        error: {
          code: ['userErrors[].code'],
          message: ['userErrors[].message'],
          field: ['userErrors[].field'],
          status: 422,
        },
      },
      {
        at: 'errors',
        match: { by: 'mark', at: 'path.0' },
        signs: { all: 'failed' },
        error: {
          code: ['extensions.code', 'type'],
          message: ['message'],
          // A field that failed without saying why may have had its effect.
          status: 500,
          statusByCode: {
            THROTTLED: 429,
            RATE_LIMITED: 429,
            ACCESS_DENIED: 403,
            FORBIDDEN: 403,
            UNAUTHENTICATED: 401,
            NOT_FOUND: 404,
            BAD_USER_INPUT: 422,
            GRAPHQL_VALIDATION_FAILED: 400,
          },
        },
      },
    ],
  },
}

/** A list in the body, and a good answer is the success of all: Segment, SendGrid, Airtable and many others. */
const allOrNothing: BatchShape = {
  envelope: { kind: 'list', at: '' },
  answer: { lists: [], allOrNothing: true },
}

/** Those that come with this version, by the name that configurations use. */
export const BATCH_SHAPES = {
  hubspot,
  'hubspot-atomic': hubspotAtomic,
  'salesforce-collections': salesforceCollections,
  'salesforce-composite': salesforceComposite,
  'salesforce-batch': salesforceBatch,
  'graph-batch': graphBatch,
  'json-array': jsonArray,
  'json-array-by-id': jsonArrayById,
  graphql,
  'all-or-nothing': allOrNothing,
} as const satisfies Readonly<Record<string, BatchShape>>

export type BatchShapeName = keyof typeof BATCH_SHAPES

export const BATCH_SHAPE_NAMES = Object.keys(BATCH_SHAPES) as readonly BatchShapeName[]
