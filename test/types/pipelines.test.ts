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

  test('everything is disposable, and nothing public is any', () => {
    expectTypeOf<Holdfast>().toExtend<AsyncDisposable>()
    expectTypeOf<Awaited<ReturnType<Holdfast['operations']['explain']>>>().not.toBeAny()
    expectTypeOf<Awaited<ReturnType<Holdfast['drain']>>>().not.toBeAny()
  })
})
