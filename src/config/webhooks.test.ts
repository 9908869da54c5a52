import { describe, expect, it } from 'vitest'
import { resolveConfig } from './resolve.ts'
import { codePipeline, load, problemsIn } from './test-load.ts'

describe('webhooks', () => {
  const pipelines = [codePipeline('payments')]
  const stripe = { provider: 'stripe', secret: ['${NEW}', '${OLD}'], pipeline: 'payments' }

  it('has its defaults; secrets are references, and may be several', () => {
    const { webhooks } = load({ pipelines, webhooks: { stripe }, maxPayload: '1MiB' }, { NEW: 'new', OLD: 'old' })
    expect(webhooks).toEqual([
      {
        name: 'stripe',
        provider: 'stripe',
        secrets: ['new', 'old'],
        pipeline: 'payments',
        toleranceMs: undefined,
        maxBodyBytes: 1_048_576,
        input: 'event',
        publicUrl: undefined,
        hmac: undefined,
      },
    ])
  })

  it('can be looked at without its secrets', () => {
    const options = { env: {}, baseDirectory: '/', missingCredentials: 'allow' } as const
    expect(resolveConfig({ pipelines, webhooks: { stripe } }, options).webhooks).toHaveLength(1)
  })

  it.each<[string, unknown, string]>([
    [
      'a webhook of an unknown provider',
      { webhooks: { pay: { provider: 'strip', secret: 's', pipeline: 'p' } } },
      'webhooks.pay.provider: expected one of',
    ],
    [
      'a webhook without a secret',
      { webhooks: { pay: { provider: 'stripe', pipeline: 'p' } } },
      'webhooks.pay.secret: expected the secret that its requests are signed with',
    ],
    [
      'a webhook whose secret is empty',
      { webhooks: { pay: { provider: 'stripe', secret: '', pipeline: 'p' } } },
      'webhooks.pay.secret: expected a text that is not empty, got ""',
    ],
    [
      'a webhook whose secret is not there',
      { webhooks: { pay: { provider: 'stripe', secret: '${STRIPE_SECRET}', pipeline: 'p' } } },
      'webhooks.pay.secret: the environment variable STRIPE_SECRET is not set',
    ],
    [
      'a webhook for no pipeline',
      {
        pipelines: [codePipeline('payments')],
        webhooks: { pay: { provider: 'stripe', secret: 's', pipeline: 'payment' } },
      },
      'webhooks.pay.pipeline: there is no pipeline "payment"; did you mean "payments"?',
    ],
    [
      'a sender of which nothing is said',
      { webhooks: { mine: { provider: 'hmac', secret: 's', pipeline: 'p' } } },
      'webhooks.mine.hmac: expected how the sender signs',
    ],
    [
      'a time that is not signed',
      {
        webhooks: {
          mine: { provider: 'hmac', secret: 's', pipeline: 'p', hmac: { header: 'x', timestamp: { header: 't' } } },
        },
      },
      'expected "{timestamp}" in `signedText`',
    ],
    [
      'a body that is not signed',
      {
        webhooks: { mine: { provider: 'hmac', secret: 's', pipeline: 'p', hmac: { header: 'x', signedText: '{id}' } } },
      },
      'webhooks.mine.hmac.signedText: expected "{body}" in it',
    ],
  ])('refuses %s', (_what, input, message) => {
    expect(problemsIn(input).join('\n')).toContain(message)
  })
})
