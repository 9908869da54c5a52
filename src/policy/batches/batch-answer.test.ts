import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BATCH_SHAPES, type BatchShape } from '../../config/batch-shapes.ts'
import { USUAL_ERROR_PATHS } from '../../config/integration.ts'
import type { Json } from '../../core/json.ts'
import { type RecordVerdict, readBatchAnswer } from './batch-answer.ts'
import { batchBody, markOf } from './batch-request.ts'
import { classifyRecord } from './classify-record.ts'

function read(shape: BatchShape, records: readonly Json[], data: unknown, status = 200) {
  return readBatchAnswer(shape.answer, records, { status, headers: {}, data: data as Json })
}

function kinds(verdicts: readonly RecordVerdict[] | undefined): string[] | undefined {
  return verdicts?.map((verdict) => verdict.kind)
}

function failureOf(verdicts: readonly RecordVerdict[] | undefined, place: number) {
  const verdict = verdicts?.[place]
  if (verdict?.kind !== 'failed') throw new Error(`record ${place} did not fail`)
  const call = { method: 'POST', endpoint: 'POST /batch', idempotency: { kind: 'unsafe' as const } }
  const settings = { name: 'crm', errorPaths: USUAL_ERROR_PATHS, errors: [], redact: [] }
  return classifyRecord(call, verdict.failure, settings, Date.UTC(2026, 10, 22))
}

const three = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]

describe('what an answer says of each record', () => {
  test('R121: HubSpot 207: results and errors are matched by trace id, in any order; one error may name several', () => {
    const { hubspot } = BATCH_SHAPES
    const body = batchBody(hubspot.envelope, [...three, { id: 'd' }]) as { inputs: { objectWriteTraceId: string }[] }
    expect(body.inputs.map((input) => input.objectWriteTraceId)).toEqual(['r0', 'r1', 'r2', 'r3'])
    const data = {
      status: 'COMPLETE',
      results: [{ id: '7', objectWriteTraceId: 'r2' }],
      numErrors: 2,
      errors: [
        {
          status: 'error',
          category: 'CONFLICT',
          message: 'Contact already exists. Existing ID: 5',
          context: { objectWriteTraceId: ['r1'] },
        },
        {
          status: 'error',
          category: 'VALIDATION_ERROR',
          subCategory: 'INVALID_EMAIL',
          message: 'no e-mail',
          context: { objectWriteTraceId: ['r0', 'r3'], propertyName: ['email'] },
        },
      ],
    }
    const verdicts = read(hubspot, [...three, { id: 'd' }], data, 207)
    expect(kinds(verdicts)).toEqual(['failed', 'failed', 'succeeded', 'failed'])
    expect(failureOf(verdicts, 1)).toMatchObject({ class: 'conflict', code: 'already_exists' })
    expect(failureOf(verdicts, 3)).toMatchObject({ class: 'validation', code: 'INVALID_EMAIL', subject: 'email' })
  })

  test('R121: HubSpot without trace ids: a good answer is good for all, anything else is about the whole call', () => {
    const shape = BATCH_SHAPES['hubspot-atomic']
    expect(kinds(read(shape, three, { status: 'COMPLETE', results: [] }, 201))).toEqual(Array(3).fill('succeeded'))
    expect(read(shape, three, { status: 'error', category: 'VALIDATION_ERROR' }, 400)).toBeUndefined()
    expect(read(shape, three, { status: 'COMPLETE', errors: [{}] }, 207)).toBeUndefined()
  })

  test('R121: Salesforce collections: a list in the order of the records; codes and fields of each', () => {
    const shape = BATCH_SHAPES['salesforce-collections']
    expect(batchBody(shape.envelope, three)).toEqual({ allOrNone: false, records: three })
    const data = [
      { id: '001', success: true, errors: [] },
      { success: false, errors: [{ statusCode: 'UNABLE_TO_LOCK_ROW', message: 'locked', fields: [] }] },
      { success: false, errors: [{ statusCode: 'REQUIRED_FIELD_MISSING', message: 'missing', fields: ['Name'] }] },
    ]
    const verdicts = read(shape, three, data)
    expect(kinds(verdicts)).toEqual(['succeeded', 'failed', 'failed'])
    expect(failureOf(verdicts, 1)).toMatchObject({ class: 'transient', certainty: 'not_sent' })
    expect(failureOf(verdicts, 2)).toMatchObject({
      class: 'validation',
      code: 'REQUIRED_FIELD_MISSING',
      subject: 'Name',
    })
    // A list of another length is about other records: nobody is told anything.
    expect(read(shape, three, data.slice(1))).toBeUndefined()
  })

  test.for([
    ['salesforce-collections', 'ALL_OR_NONE_OPERATION_ROLLED_BACK'],
    ['salesforce-composite', 'PROCESSING_HALTED'],
  ] as const)('R121: %s: who was rolled back (%s) is innocent, but only beside a culprit', ([name, code]) => {
    const elements = (codes: string[]) =>
      name === 'salesforce-collections'
        ? codes.map((statusCode) => ({ success: false, errors: [{ statusCode, message: '' }] }))
        : {
            compositeResponse: codes.map((errorCode, place) => ({
              httpStatusCode: 400,
              referenceId: markOf(place),
              body: [{ errorCode, message: '' }],
            })),
          }
    const shape = BATCH_SHAPES[name]
    const verdicts = read(shape, three, elements([code, 'STRING_TOO_LONG', code]))
    expect(kinds(verdicts)).toEqual(['rolled_back', 'failed', 'rolled_back'])
    const nobody = read(shape, three, elements([code, code, code]))
    expect(kinds(nobody)).toEqual(['failed', 'failed', 'failed'])
    expect(failureOf(nobody, 0)).toMatchObject({ class: 'transient', certainty: 'not_sent' })
  })

  test('R121: Salesforce composite batch: statuses in order, beside hasErrors', () => {
    const data = {
      hasErrors: true,
      results: [
        { statusCode: 201, result: { id: '1' } },
        { statusCode: 404, result: [{ errorCode: 'NOT_FOUND', message: 'gone' }] },
        { statusCode: 412, result: [{ errorCode: 'BATCH_PROCESSING_HALTED', message: 'halted' }] },
      ],
    }
    const verdicts = read(BATCH_SHAPES['salesforce-batch'], three, data)
    expect(kinds(verdicts)).toEqual(['succeeded', 'failed', 'rolled_back'])
    expect(verdicts?.[0]).toMatchObject({ data: { id: '1' } })
    expect(failureOf(verdicts, 1)).toMatchObject({ class: 'not_found' })
  })

  test('R121, R046: Graph $batch: any order, each with its own status and Retry-After', () => {
    const data = {
      responses: [
        { id: 'r2', status: 201, body: { id: 'x' } },
        { id: 'r0', status: 429, headers: { 'Retry-After': '17' }, body: { error: { code: 'TooManyRequests' } } },
        { id: 'r1', status: 503, body: { error: { code: 'serviceNotAvailable' } } },
      ],
    }
    const verdicts = read(BATCH_SHAPES['graph-batch'], three, data)
    expect(kinds(verdicts)).toEqual(['failed', 'failed', 'succeeded'])
    expect(failureOf(verdicts, 0)).toMatchObject({ class: 'rate_limited', retryAfterMs: 17_000 })
    expect(failureOf(verdicts, 1)).toMatchObject({ class: 'transient', code: 'serviceNotAvailable' })
  })

  test('R121: GraphQL: aliases, userErrors, errors by path, partial data; nothing is guessed from a contradiction', () => {
    const { graphql } = BATCH_SHAPES
    const record = (email: string) => ({
      field: 'contactCreate(input: $input) { id userErrors { field message } }',
      variables: { input: { type: 'ContactInput!', value: { email } } },
    })
    const records = ['a"){x}', 'b', 'c', 'd', 'e'].map(record)
    const body = batchBody(graphql.envelope, records.slice(0, 2)) as { query: string; variables: unknown }
    expect(body.query).toBe(
      'mutation($r0_input: ContactInput!, $r1_input: ContactInput!) { ' +
        'r0: contactCreate(input: $r0_input) { id userErrors { field message } } ' +
        'r1: contactCreate(input: $r1_input) { id userErrors { field message } } }',
    )
    expect(body.variables).toEqual({ r0_input: { email: 'a"){x}' }, r1_input: { email: 'b' } })
    const data = {
      data: {
        r0: { id: '1', userErrors: [] },
        r1: { id: null, userErrors: [{ field: ['input', 'email'], message: 'taken' }] },
        r2: null,
        r3: { id: '4', userErrors: [] },
      },
      errors: [
        { message: 'Throttled', path: ['r2'], extensions: { code: 'THROTTLED' } },
        { message: 'a part is missing', path: ['r3', 'owner'] },
      ],
    }
    const verdicts = read(graphql, records, data)
    expect(kinds(verdicts)).toEqual(['succeeded', 'failed', 'failed', 'untold', 'untold'])
    expect(failureOf(verdicts, 1)).toMatchObject({ class: 'validation', message: expect.stringContaining('taken') })
    expect(failureOf(verdicts, 2)).toMatchObject({ class: 'rate_limited', certainty: 'not_sent' })
    // Without a path it is about the whole call.
    expect(
      read(graphql, records, { errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }] }),
    ).toBeUndefined()
  })

  test('R121: a failure that does not say why may have had its effect, where the field itself broke', () => {
    const verdicts = read(BATCH_SHAPES.graphql, three, {
      data: { r0: null },
      errors: [{ message: 'oops', path: ['r0'] }],
    })
    expect(failureOf(verdicts, 0)).toMatchObject({ class: 'transient', certainty: 'maybe_applied' })
  })

  test('R121: lists of { id, status, error }: a 200 with an error inside is a failure; no sign is no success', () => {
    const data = [
      { id: 'b', status: 200, error: 'no' },
      { id: 'a', success: true },
      { id: 'c' },
      { id: 'other', status: 200 },
    ]
    expect(kinds(read(BATCH_SHAPES['json-array-by-id'], three, data))).toEqual(['succeeded', 'failed', 'untold'])
    const twins = [{ id: 'a' }, { id: 'a' }, { id: 'c' }]
    expect(
      kinds(
        read(BATCH_SHAPES['json-array-by-id'], twins, [
          { id: 'a', status: 200 },
          { id: 'c', status: 200 },
        ]),
      ),
    ).toEqual(['untold', 'untold', 'succeeded'])
    expect(
      kinds(
        read(BATCH_SHAPES['json-array-by-id'], three, [
          { id: 'a', status: 200 },
          { id: 'a', status: 500 },
        ]),
      )?.[0],
    ).toBe('untold')
  })
})

describe('whatever the answer is', () => {
  const shapes = fc.constantFrom(...Object.values(BATCH_SHAPES)) as fc.Arbitrary<BatchShape>
  const marks = fc.constantFrom('r0', 'r1', 'r2', 'r3', 'r4', 'a', 'b')
  const status = fc.constantFrom<Json>(200, 201, 400, 404, 429, 500, '201', 'error', null, -1, 1e9)
  const element = fc.record(
    {
      id: marks,
      referenceId: marks,
      objectWriteTraceId: fc.oneof(marks, fc.array(marks, { maxLength: 3 })),
      context: fc.record({ objectWriteTraceId: fc.oneof(marks, fc.array(marks, { maxLength: 3 })) }),
      path: fc.array(marks, { maxLength: 2 }),
      status,
      statusCode: status,
      httpStatusCode: status,
      success: fc.boolean(),
      error: fc.jsonValue(),
      errors: fc.array(fc.record({ statusCode: fc.constantFrom('PROCESSING_HALTED', 'OTHER') }), { maxLength: 2 }),
      body: fc.jsonValue(),
      headers: fc.jsonValue(),
      retryAfter: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  const list = fc.array(fc.oneof(element, fc.jsonValue()), { maxLength: 6 })
  const answer = fc.oneof(
    fc.jsonValue(),
    list,
    fc.record(
      {
        results: list,
        errors: list,
        compositeResponse: list,
        responses: list,
        data: fc.dictionary(marks, fc.oneof(element, fc.jsonValue())),
      },
      { requiredKeys: [] },
    ),
  ) as fc.Arbitrary<Json>
  const records = fc.array(fc.record({ id: marks }), { minLength: 1, maxLength: 5 }) as fc.Arbitrary<Json[]>

  test('R121: every record gets exactly one verdict, or none does; failures can always be judged', () => {
    fc.assert(
      fc.property(
        shapes,
        records,
        answer,
        fc.constantFrom(200, 201, 207, 400, 503),
        (shape, sent, data, httpStatus) => {
          const verdicts = read(shape, sent, data, httpStatus)
          if (verdicts === undefined) return
          expect(httpStatus).toBeLessThan(300)
          expect(verdicts).toHaveLength(sent.length)
          for (const [place, { kind }] of verdicts.entries()) {
            expect(['succeeded', 'failed', 'rolled_back', 'untold']).toContain(kind)
            if (kind === 'failed') expect(failureOf(verdicts, place)).toMatchObject({ class: expect.any(String) })
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('R121, rule 3: a record that no element is about never succeeds, unless the API does all or nothing', () => {
    const named = shapes.filter(
      (shape) => !shape.answer.allOrNothing && shape.answer.lists.every(({ match }) => match.by !== 'position'),
    )
    fc.assert(
      fc.property(named, fc.integer({ min: 1, max: 5 }), answer, (shape, count, data) => {
        // Neither the marks nor the ids of the answer lead to the last record.
        const sent = Array.from({ length: count + 10 }, (_, place) => ({ id: `other-${place}` }))
        expect(read(shape, sent, data)?.at(-1)?.kind ?? 'untold').toBe('untold')
      }),
      { numRuns: 1000 },
    )
  })
})
