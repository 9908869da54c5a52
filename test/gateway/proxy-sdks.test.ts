/** The vendors' SDKs as they are, pointed at the proxy by their base URL, against twins that fail. */
import http from 'node:http'
import Anthropic from '@anthropic-ai/sdk'
import { Client as Notion } from '@notionhq/client'
import { Octokit } from '@octokit/rest'
import { LogLevel, WebClient as Slack } from '@slack/web-api'
import OpenAI from 'openai'
import Stripe from 'stripe'
import { describe, expect, test } from 'vitest'
import { integrations } from '../../examples/sdks/clients.ts'
import { seededRandom } from '../../src/core/random.ts'
import { BUILT_IN_PROFILES } from '../../src/profiles/index.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { type Api, SILENT, thrownBy } from '../sdks/support/bench.ts'
import { SDKS } from '../sdks/support/catalogue.ts'
import { startStreamServer } from '../sdks/support/stream-server.ts'
import { openProxy, type ProxyBench } from './support/proxy-bench.ts'

interface Calls {
  read(): Promise<unknown>
  write(): Promise<unknown>
}

/** Every `*.localhost` is this machine (RFC 6761); not every resolver knows it. */
const toThisMachine = new http.Agent({
  lookup: (_host, options, found) =>
    options.all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4),
})

/** Their own retries stay as they are where the SDK asks the server whether to retry; else they are off, as documented. */
const CLIENTS: Record<Api, (proxy: ProxyBench) => Calls> = {
  stripe({ port }) {
    const where = { host: 'stripe.api.localhost', port, protocol: 'http', httpAgent: toThisMachine } as const
    const client = new Stripe('hf_token', { ...where, telemetry: false })
    return {
      read: async () => (await client.customers.retrieve('cus_1')).id,
      write: async () => (await client.customers.create({ email: 'ada@example.com' })).id,
    }
  },
  openai({ url }) {
    const client = new OpenAI({ apiKey: 'hf_token', baseURL: `${url}/proxy/openai/v1` })
    const batch = { input_file_id: 'file_1', endpoint: '/v1/embeddings', completion_window: '24h' } as const
    return {
      read: async () => (await client.models.retrieve('gpt')).id,
      write: async () => (await client.batches.create(batch)).id,
    }
  },
  anthropic({ url }) {
    const client = new Anthropic({ authToken: 'hf_token', apiKey: null, baseURL: `${url}/proxy/anthropic` })
    return {
      read: async () => (await client.models.retrieve('claude')).id,
      write: async () => (await client.messages.batches.create({ requests: [] })).id,
    }
  },
  github({ url }) {
    const client = new Octokit({ auth: 'hf_token', baseUrl: `${url}/proxy/github`, log: SILENT })
    const repo = { owner: 'ada', repo: 'engine' }
    return {
      read: async () => (await client.repos.get(repo)).data.id,
      write: async () => (await client.issues.create({ ...repo, title: 'Broken' })).data.number,
    }
  },
  notion({ url }) {
    const client = new Notion({
      auth: 'hf_token',
      baseUrl: `${url}/proxy/notion`,
      retry: false,
      logger: SILENT.warn,
    })
    return {
      read: async () => (await client.users.retrieve({ user_id: 'u1' })).id,
      write: async () => (await client.pages.create({ parent: { page_id: 'p0' }, properties: {} })).id,
    }
  },
  slack({ url }) {
    const client = new Slack('hf_token', {
      slackApiUrl: `${url}/proxy/slack/`,
      logLevel: LogLevel.ERROR,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
    })
    return {
      read: async () => (await client.auth.test()).user,
      write: async () => (await client.chat.postMessage({ channel: 'C1', text: 'hello' })).ts,
    }
  },
}

async function openTwinProxy(api: Api) {
  const { routes, keyed, readRoute, writeRoute } = SDKS.find((sdk) => sdk.api === api) as (typeof SDKS)[number]
  const twin = await startTwin({ clock: systemClock, random: seededRandom(api), routes })
  const profile = BUILT_IN_PROFILES.find(({ name }) => name === api)
  const basePath = new URL(profile?.baseUrl ?? '').pathname.replace(/\/$/, '')
  const auth = { type: 'bearer', token: 'the-real-credential' } as const
  const integration = { ...integrations[api], auth, baseUrl: twin.url + basePath }
  const proxy = await openProxy({ [api]: integration })
  return {
    ...{ twin, proxy, keyed, readRoute, writeRoute },
    ...CLIENTS[api](proxy),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await twin.close()
    },
  }
}

const unavailable = { kind: 'status', status: 503, body: { error: { type: 'api_error', message: 'not now' } } } as const

describe.each(Object.keys(CLIENTS) as Api[])('%s', (api) => {
  test('a read and a write', async () => {
    await using bench = await openTwinProxy(api)
    expect(await bench.read()).toBeDefined()
    expect(await bench.write()).toBeDefined()
    expect(bench.twin.requests.total).toBe(2)
    expect(bench.proxy.troubles).toEqual([])
  })

  test.each([unavailable, 'reset_before_executing', 'executed_then_reset', 'truncated_body'] as const)(
    'a read meets %j, and the SDK does not notice',
    async (fault) => {
      await using bench = await openTwinProxy(api)
      bench.twin.script(bench.readRoute, [fault])
      expect(await bench.read()).toBeDefined()
      expect(bench.twin.requests.total).toBe(2)
    },
  )

  test('rule 3: a write whose answer was lost happens once', async () => {
    await using bench = await openTwinProxy(api)
    bench.twin.script(bench.writeRoute, ['executed_then_reset'])
    if (bench.keyed) expect(await bench.write()).toBeDefined()
    else expect(await thrownBy(bench.write())).toBeInstanceOf(Error)
    expect(bench.twin.effects).toHaveLength(1)
  })

  test('an outage is an error of the SDK, after our tries and no more', async () => {
    await using bench = await openTwinProxy(api)
    bench.twin.disturb({ fault: unavailable })
    expect(await thrownBy(bench.read())).toBeInstanceOf(Error)
    expect(bench.twin.requests.total).toBe(3)
  })
})

test('answers of a model come piece by piece through the proxy', async () => {
  await using api = await startStreamServer()
  const auth = { type: 'bearer', token: 'sk-real' } as const
  await using proxy = await openProxy({ openai: { profile: 'openai', auth, baseUrl: api.url } })
  const client = new OpenAI({ apiKey: 'hf_token', baseURL: `${proxy.url}/proxy/openai/v1` })
  const messages = [{ role: 'user' as const, content: 'Why?' }]
  const event = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`
  const [server, answer] = await Promise.all([
    api.next(),
    client.chat.completions.create({ model: 'gpt', messages, stream: true }),
  ])
  expect(server.request.headers.authorization).toBe('Bearer sk-real')
  const events = answer[Symbol.asyncIterator]()
  for (const text of ['one', 'two']) {
    await server.write(event(text))
    expect((await events.next()).value?.choices[0]?.delta.content).toBe(text)
  }
  answer.controller.abort()
  await server.closed
})
