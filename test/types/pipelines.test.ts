/** Types are part of the contract: `tsc` runs over this file, and an error that is expected and does not come fails it. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { definePipeline, type Holdfast } from '../../src/index.ts'

const lead = z.object({ email: z.string() })

describe('types', () => {
  test('steps see their input, and the outputs of exactly the steps they come after', () => {
    const pipeline = definePipeline('typed', { input: lead })
      .step('first', {
        run: ({ input }) => {
          expectTypeOf(input).toEqualTypeOf<{ email: string }>()
          return { size: input.email.length }
        },
      })
      .step('other', { run: () => 'text' })
      .step('second', {
        after: ['first'],
        run: ({ outputs }) => {
          expectTypeOf(outputs.first).toEqualTypeOf<{ size: number }>()
          // @ts-expect-error: it does not come after `other`
          return outputs.other
        },
      })
    // @ts-expect-error: there is no such step
    expect(() => pipeline.step('third', { after: ['secnod'], run: () => 1 })).toThrow('which is not defined before it')
  })

  test('submit takes what the pipeline takes', () => {
    const pipeline = definePipeline('typed', { input: lead }).step('first', { run: () => 1 })
    const check = (hf: Holdfast) => {
      void hf.submit(pipeline, { email: 'ada@example.com' })
      // @ts-expect-error: an e-mail is a text
      void hf.submit(pipeline, { email: 7 })
      // @ts-expect-error: and it is needed
      void hf.submit(pipeline, {})
    }
    expectTypeOf(check).toBeFunction()
  })

  test('a request step needs an integration and a request, a code step a function', () => {
    const pipeline = definePipeline('typed', { input: lead })
    // @ts-expect-error: neither
    const neither = () => pipeline.step('first', {})
    // @ts-expect-error: not a method of HTTP
    const method = () => pipeline.step('first', { integration: 'crm', request: { method: 'FETCH', path: '/' } })
    expectTypeOf(neither).toBeFunction()
    expectTypeOf(method).toBeFunction()
  })

  test('a batch sees the input of its members, and tells of each record in known words', () => {
    const request = {
      method: 'POST',
      path: '/batch',
      body: ({ input }: { input: { email: string } }) => input.email,
    } as const
    const pipeline = definePipeline('typed', { input: lead })
      .step('score', { run: () => 7 })
      .step('send', {
        after: ['score'],
        integration: 'crm',
        request,
        batch: {
          size: 10,
          bytes: '500KB',
          build: (members) => {
            expectTypeOf(members[0]?.context.input).toEqualTypeOf<{ email: string } | undefined>()
            expectTypeOf(members[0]?.context.outputs).toEqualTypeOf<{ score: number } | undefined>()
            return members.map(({ context }) => context.input.email)
          },
          split: (answer, members) => {
            expectTypeOf(answer.data).toBeUnknown()
            return members.map(() => ({ outcome: 'succeeded' as const, data: 1 }))
          },
        },
      })
    expectTypeOf(pipeline.steps).not.toBeAny()
    // @ts-expect-error: a size is a number with a unit
    const bytes = () => pipeline.step('two', { integration: 'crm', request, batch: { size: 1, bytes: '500' } })
    // @ts-expect-error: no such shape
    const shape = () => pipeline.step('two', { integration: 'crm', request, batch: { size: 1, shape: 'hubspt' } })
    const split = () =>
      // @ts-expect-error: no such outcome
      pipeline.step('two', { integration: 'crm', request, batch: { size: 1, split: () => [{ outcome: 'fine' }] } })
    for (const wrong of [bytes, shape, split]) expectTypeOf(wrong).toBeFunction()
  })

  test('a compensation sees what its step gave', () => {
    const pipeline = definePipeline('typed', { input: lead, onFailure: 'compensate' })
      .step('first', { run: () => ({ id: 7 }), compensate: { run: ({ output }) => void output.id.toFixed() } })
      .step('second', {
        after: ['first'],
        integration: 'crm',
        request: { method: 'POST', path: '/x' },
        parse: ({ data }) => data as { name: string },
        compensate: {
          request: {
            method: 'DELETE',
            path: '/x/{name}',
            params: ({ output, outputs, input }) => {
              expectTypeOf(output).toEqualTypeOf<{ name: string }>()
              expectTypeOf(outputs).toEqualTypeOf<{ first: { id: number } }>()
              expectTypeOf(input).toEqualTypeOf<{ email: string }>()
              return { name: output.name }
            },
          },
        },
      })
    // @ts-expect-error: no such thing to do
    const wrong = () => definePipeline('typed', { onFailure: 'undo' })
    expectTypeOf(wrong).toBeFunction()
    expectTypeOf(pipeline.onFailure).toEqualTypeOf<'keep' | 'compensate'>()
  })

  test('everything is disposable, and nothing public is any', () => {
    expectTypeOf<Holdfast>().toExtend<AsyncDisposable>()
    expectTypeOf<Awaited<ReturnType<Holdfast['operations']['explain']>>>().not.toBeAny()
    expectTypeOf<Awaited<ReturnType<Holdfast['drain']>>>().not.toBeAny()
  })
})
