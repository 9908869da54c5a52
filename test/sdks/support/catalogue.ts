/** The SDKs of the documentation: for each, a read, a write, and the routes of a twin that serve them. */

import { LogLevel } from '@slack/web-api'
import { anthropic, github, notion, openai, slack, stripe } from '../../../examples/sdks/clients.ts'
import { route, type TwinRoute } from '../../../src/testing/twin/route.ts'
import { type Api, type Bench, SILENT } from './bench.ts'

export interface Sdk {
  readonly api: Api
  readonly routes: readonly TwinRoute[]
  readonly readRoute: string
  readonly writeRoute: string
  /** Its write carries a key that the API honours, so that Holdfast may repeat it. */
  readonly keyed: boolean
  /** The class of the errors it throws for an answer, and for the network. */
  readonly errors: { readonly answer: string; readonly network: string }
  /** A client as documented, at the address of the twin; `theirRetries`: with its own retries as they are by default. */
  readonly client: (bench: Bench, theirRetries?: boolean) => { read(): Promise<unknown>; write(): Promise<unknown> }
}

const ok = (body: unknown) => ({ apply: () => ({ status: 200, body }) })

function reading<Result>(call: () => PromiseLike<Result>, pick: (result: Result) => unknown) {
  return async () => pick(await call())
}

export const SDKS: readonly Sdk[] = [
  {
    api: 'stripe',
    routes: [
      route('GET', '/v1/customers/{id}', ok({ id: 'cus_1', object: 'customer' })),
      route('POST', '/v1/customers', { ...ok({ id: 'cus_2', object: 'customer' }), idempotency: true }),
    ],
    readRoute: 'GET /v1/customers/{id}',
    writeRoute: 'POST /v1/customers',
    keyed: true,
    errors: { answer: 'StripeAPIError', network: 'StripeConnectionError' },
    client(bench, theirRetries) {
      const { hostname, port } = new URL(bench.baseUrl)
      const client = stripe(bench.hf, 'sk_test_1', {
        host: hostname,
        port,
        protocol: 'http',
        telemetry: false,
        ...(theirRetries && { maxNetworkRetries: 2 }),
      })
      return {
        read: reading(
          () => client.customers.retrieve('cus_1'),
          ({ id }) => id,
        ),
        write: reading(
          () => client.customers.create({ email: 'ada@example.com' }),
          ({ id }) => id,
        ),
      }
    },
  },
  {
    api: 'openai',
    routes: [
      route('GET', '/v1/models/{id}', ok({ id: 'gpt', object: 'model' })),
      route('POST', '/v1/batches', ok({ id: 'batch_1', object: 'batch' })),
    ],
    readRoute: 'GET /v1/models/{id}',
    writeRoute: 'POST /v1/batches',
    keyed: false,
    errors: { answer: 'InternalServerError', network: 'APIConnectionError' },
    client(bench, theirRetries) {
      const client = openai(bench.hf, 'sk-1', {
        baseURL: `${bench.baseUrl}/v1`,
        ...(theirRetries && { maxRetries: 2 }),
      })
      const batch = { input_file_id: 'file_1', endpoint: '/v1/embeddings', completion_window: '24h' } as const
      return {
        read: reading(
          () => client.models.retrieve('gpt'),
          ({ id }) => id,
        ),
        write: reading(
          () => client.batches.create(batch),
          ({ id }) => id,
        ),
      }
    },
  },
  {
    api: 'anthropic',
    routes: [
      route('GET', '/v1/models/{id}', ok({ id: 'claude', type: 'model' })),
      route('POST', '/v1/messages/batches', ok({ id: 'msgbatch_1', type: 'message_batch' })),
    ],
    readRoute: 'GET /v1/models/{id}',
    writeRoute: 'POST /v1/messages/batches',
    keyed: false,
    errors: { answer: 'ServiceUnavailableError', network: 'APIConnectionError' },
    client(bench, theirRetries) {
      const client = anthropic(bench.hf, 'sk-1', { baseURL: bench.baseUrl, ...(theirRetries && { maxRetries: 2 }) })
      return {
        read: reading(
          () => client.models.retrieve('claude'),
          ({ id }) => id,
        ),
        write: reading(
          () => client.messages.batches.create({ requests: [] }),
          ({ id }) => id,
        ),
      }
    },
  },
  {
    api: 'github',
    routes: [
      route('GET', '/repos/{owner}/{repo}', ok({ id: 7 })),
      route('POST', '/repos/{owner}/{repo}/issues', ok({ number: 42 })),
    ],
    readRoute: 'GET /repos/{owner}/{repo}',
    writeRoute: 'POST /repos/{owner}/{repo}/issues',
    keyed: false,
    errors: { answer: 'RequestError', network: 'RequestError' },
    client(bench) {
      const client = github(bench.hf, 'ghp_1', { baseUrl: bench.baseUrl, log: SILENT })
      const repo = { owner: 'ada', repo: 'engine' }
      return {
        read: reading(
          () => client.repos.get(repo),
          ({ data }) => data.id,
        ),
        write: reading(
          () => client.issues.create({ ...repo, title: 'Broken' }),
          ({ data }) => data.number,
        ),
      }
    },
  },
  {
    api: 'notion',
    routes: [
      route('GET', '/v1/users/{id}', ok({ object: 'user', id: 'u1' })),
      route('POST', '/v1/pages', ok({ object: 'page', id: 'p1' })),
    ],
    readRoute: 'GET /v1/users/{id}',
    writeRoute: 'POST /v1/pages',
    keyed: false,
    errors: { answer: 'UnknownHTTPResponseError', network: 'TypeError' },
    client(bench, theirRetries) {
      const retry = { maxRetries: 2, initialRetryDelayMs: 10 }
      const client = notion(bench.hf, 'ntn_1', {
        baseUrl: bench.baseUrl,
        logger: SILENT.warn,
        ...(theirRetries && { retry }),
      })
      return {
        read: reading(
          () => client.users.retrieve({ user_id: 'u1' }),
          ({ id }) => id,
        ),
        write: reading(
          () => client.pages.create({ parent: { page_id: 'p0' }, properties: {} }),
          ({ id }) => id,
        ),
      }
    },
  },
  {
    api: 'slack',
    routes: [
      route('POST', '/api/auth.test', { ...ok({ ok: true, user: 'ada' }), effectKey: () => undefined }),
      route('POST', '/api/chat.postMessage', ok({ ok: true, ts: '1.2' })),
    ],
    readRoute: 'POST /api/auth.test',
    writeRoute: 'POST /api/chat.postMessage',
    keyed: false,
    errors: { answer: 'WebAPIHTTPError', network: 'WebAPIRequestError' },
    client(bench, theirRetries) {
      const theirs = { retryConfig: { retries: 2, minTimeout: 10 }, rejectRateLimitedCalls: false }
      const slackApiUrl = `${bench.baseUrl}/`
      const client = slack(bench.hf, 'xoxb-1', { slackApiUrl, logLevel: LogLevel.ERROR, ...(theirRetries && theirs) })
      return {
        read: reading(
          () => client.auth.test(),
          ({ user }) => user,
        ),
        write: reading(
          () => client.chat.postMessage({ channel: 'C1', text: 'hello' }),
          ({ ts }) => ts,
        ),
      }
    },
  },
]
