/** How SDKs get their `fetch` from Holdfast, and leave retrying to it. The test suite runs every line of this against failing twins. */
import Anthropic, { type ClientOptions as AnthropicOptions } from '@anthropic-ai/sdk'
import { Client as Notion } from '@notionhq/client'
import { Octokit } from '@octokit/rest'
import { WebClient as Slack, type WebClientOptions } from '@slack/web-api'
import type { ConfigInput, Holdfast } from 'holdfast'
import OpenAI, { type ClientOptions as OpenAIOptions } from 'openai'
import Stripe from 'stripe'

export const integrations = {
  stripe: { profile: 'stripe' },
  openai: { profile: 'openai' },
  anthropic: { profile: 'anthropic' },
  github: { profile: 'github' },
  notion: { profile: 'notion' },
  slack: { profile: 'slack' },
} satisfies ConfigInput['integrations']

export function stripe(hf: Holdfast, apiKey: string, options?: Stripe.StripeConfig): Stripe {
  const httpClient = Stripe.createFetchHttpClient(hf.fetch('stripe'))
  return new Stripe(apiKey, { httpClient, maxNetworkRetries: 0, ...options })
}

export function openai(hf: Holdfast, apiKey: string, options?: OpenAIOptions): OpenAI {
  return new OpenAI({ apiKey, fetch: hf.fetch('openai'), maxRetries: 0, ...options })
}

export function anthropic(hf: Holdfast, apiKey: string, options?: AnthropicOptions): Anthropic {
  return new Anthropic({ apiKey, fetch: hf.fetch('anthropic'), maxRetries: 0, ...options })
}

export function github(hf: Holdfast, auth: string, options?: ConstructorParameters<typeof Octokit>[0]): Octokit {
  return new Octokit({ auth, request: { fetch: hf.fetch('github') }, ...options })
}

export function notion(hf: Holdfast, auth: string, options?: ConstructorParameters<typeof Notion>[0]): Notion {
  return new Notion({ auth, fetch: hf.fetch('notion'), retry: false, ...options })
}

export function slack(hf: Holdfast, token: string, options?: WebClientOptions): Slack {
  const retriesOff = { retryConfig: { retries: 0 }, rejectRateLimitedCalls: true }
  return new Slack(token, { fetch: hf.fetch('slack'), ...retriesOff, ...options })
}
