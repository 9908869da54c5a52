/** SDKs take the fetch of Holdfast as it is: no cast, no wrapper. `tsc` runs over this file. */
import type { ClientOptions as AnthropicOptions } from '@anthropic-ai/sdk'
import type { Client as Notion } from '@notionhq/client'
import type { Octokit } from '@octokit/rest'
import type { WebClientOptions } from '@slack/web-api'
import type { ClientOptions as OpenAIOptions } from 'openai'
import type Stripe from 'stripe'
import { describe, expectTypeOf, test } from 'vitest'
import type { Holdfast } from '../../src/index.ts'

type OurFetch = ReturnType<Holdfast['fetch']>
type Given<Value> = NonNullable<Value>

describe('types', () => {
  test('it is a fetch like the platform has', () => {
    expectTypeOf<OurFetch>().toEqualTypeOf<typeof globalThis.fetch>()
  })

  test('each SDK takes it', () => {
    expectTypeOf<OurFetch>().toExtend<Given<Parameters<typeof Stripe.createFetchHttpClient>[0]>>()
    expectTypeOf<OurFetch>().toExtend<Given<OpenAIOptions['fetch']>>()
    expectTypeOf<OurFetch>().toExtend<Given<AnthropicOptions['fetch']>>()
    expectTypeOf<OurFetch>().toExtend<Given<Given<ConstructorParameters<typeof Notion>[0]>['fetch']>>()
    expectTypeOf<OurFetch>().toExtend<Given<WebClientOptions['fetch']>>()
    // Octokit takes anything there: the least that can be said is that it is one of its options.
    expectTypeOf<{ request: { fetch: OurFetch } }>().toExtend<Given<ConstructorParameters<typeof Octokit>[0]>>()
  })
})
