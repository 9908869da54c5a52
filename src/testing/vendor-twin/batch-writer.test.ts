import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BATCH_SHAPES, type BatchShape } from '../../config/batch-shapes.ts'
import type { Json } from '../../core/json.ts'
import { readBatchAnswer } from '../../policy/batches/batch-answer.ts'
import { batchBody } from '../../policy/batches/batch-request.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { batchAnswerBody, batchRecords, type RecordOutcome, refusesWhole } from './batch-writer.ts'

const ofProfiles = BUILT_IN_PROFILES.flatMap(({ name, endpoints = {} }) =>
  Object.entries(endpoints).flatMap(([endpoint, { batchShape }]): [string, BatchShape][] =>
    typeof batchShape === 'object' ? [[`${name} ${endpoint}`, batchShape]] : [],
  ),
)
const SHAPES: [string, BatchShape][] = [...Object.entries(BATCH_SHAPES), ...ofProfiles]

const outcome: fc.Arbitrary<RecordOutcome> = fc.oneof(
  fc.record({
    kind: fc.constant('done' as const),
    data: fc.record({ id: fc.string({ minLength: 1 }), name: fc.string() }),
  }),
  fc.record({
    kind: fc.constant('failed' as const),
    status: fc.constantFrom(400, 404, 409, 422, 503),
    body: fc.oneof(
      fc.record({ message: fc.string({ minLength: 1 }), category: fc.constantFrom('CONFLICT', 'VALIDATION_ERROR') }),
      fc.constant<Json>([{ errorCode: 'X', message: 'no' }]),
      fc.constant<Json>('no'),
    ),
  }),
)

describe.each(SHAPES)('a batch of the shape %s', (name, shape) => {
  test('R121: what the twin answers for each record, the client reads of that record', () => {
    fc.assert(
      fc.property(fc.array(outcome, { minLength: 1, maxLength: 8 }), (drawn) => {
        const failsAlone = !shape.answer.allOrNothing
        // All or nothing: a call in which nothing failed. Apollo leaves out whom it does not know, and says no more.
        const outcomes =
          failsAlone && !name.startsWith('apollo')
            ? drawn
            : drawn.map((): RecordOutcome => ({ kind: 'done', data: { id: '7' } }))
        const records = outcomes.map(
          (_, place): Json =>
            shape.envelope.kind === 'graphql'
              ? {
                  field: 'thingCreate(input: $input) { id }',
                  variables: { input: { type: 'Thing!', value: { place } } },
                }
              : { id: `id-${place}`, place },
        )
        const call = batchBody(shape.envelope, records)
        const arrived = batchRecords(shape, call)
        expect(arrived).toHaveLength(records.length)
        const data = batchAnswerBody(shape, arrived ?? [], outcomes)
        const answer = { status: shape.answer.statuses?.[0] ?? 200, headers: {}, data }
        const read = readBatchAnswer(shape.answer, records, answer)
        const expected = outcomes.map(({ kind }) => (kind === 'done' ? 'succeeded' : 'failed'))
        expect(read?.map(({ kind }) => kind)).toEqual(expected)
      }),
    )
  })
})

test('shapes without words for one record refuse the whole call', () => {
  expect(SHAPES.filter(([, shape]) => refusesWhole(shape)).map(([name]) => name)).toEqual(
    expect.arrayContaining(['all-or-nothing', 'hubspot-atomic']),
  )
})
