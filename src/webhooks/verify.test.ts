/** Vectors of facts.md section 3, the vendors' own SDKs as signers, and what no request may do. */
import { createHash, createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { Webhooks as GitHubWebhooks } from '@octokit/webhooks'
import fc from 'fast-check'
import OpenAI from 'openai'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import twilio from 'twilio'
import { describe, expect, it, test } from 'vitest'
import { WEBHOOK_PROVIDERS } from '../config/webhook-providers.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { WebhookRequest } from './request.ts'
import { signWebhook } from './sign.ts'
import { createVerifier, type Verification, type VerifyOptions, verifyWebhook } from './verify.ts'

const NOW_MS = Date.UTC(2026, 10, 22)
const URL_OF_OURS = 'https://hooks.example.com/in?source=1'

interface Sample {
  readonly options: VerifyOptions
  readonly request: WebhookRequest & { readonly headers: Record<string, string>; readonly body: Buffer }
  readonly nowMs: number
}

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

function verdict({ options, request, nowMs }: Sample, changed: Partial<WebhookRequest> = {}): Verification {
  return verifyWebhook(options, { ...request, ...changed }, nowMs)
}

const WHSEC = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const ed25519 = generateKeyPairSync('ed25519')
const rawPublic = ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
const rawPrivate = ed25519.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
const WHPK = `whpk_${rawPublic.toString('base64')}`
const WHSK = `whsk_${Buffer.concat([rawPrivate, rawPublic]).toString('base64')}`

const SENDGRID: Sample = {
  options: {
    provider: 'sendgrid',
    secrets: [
      'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
    ],
  },
  request: {
    method: 'POST',
    url: URL_OF_OURS,
    headers: {
      'x-twilio-email-event-webhook-signature':
        'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
      'x-twilio-email-event-webhook-timestamp': '1600112502',
    },
    body: bytes(
      `${JSON.stringify([
        {
          email: 'hello@world.com',
          event: 'dropped',
          reason: 'Bounced Address',
          sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
          sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
          'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
          timestamp: 1600112492,
        },
      ])}\r\n`,
    ),
  },
  nowMs: NOW_MS,
}

const BODIES: Partial<Record<(typeof WEBHOOK_PROVIDERS)[number], string>> = {
  linear: JSON.stringify({ type: 'Issue', webhookTimestamp: NOW_MS }),
  twilio: 'MessageSid=SM1&Body=hello+there',
  segment: '[{"messageId":"m1","type":"track","name":"a]\\"b"} , {"messageId":"m2"}]',
  hubspot: '[{"portalId":1,"subscriptionId":2,"eventId":3,"occurredAt":4,"subscriptionType":"contact.creation"}]',
}

const SECRETS: Partial<Record<(typeof WEBHOOK_PROVIDERS)[number], string>> = {
  'standard-webhooks': WHSEC,
  openai: WHSEC,
  svix: WHSK,
  airtable: Buffer.from('a secret of airtable').toString('base64'),
}

const HMAC = {
  header: 'X-Mine',
  prefix: 's=',
  signedText: '{method} {url} {id} {timestamp} {body}',
  timestamp: { header: 'X-At', unit: 'iso' },
  id: { header: 'X-Id' },
} as const

/** A signed request of each provider. */
const SAMPLES: readonly Sample[] = WEBHOOK_PROVIDERS.map((provider) => {
  if (provider === 'sendgrid') return SENDGRID
  const secret = SECRETS[provider] ?? `secret of ${provider}`
  const body = bytes(BODIES[provider] ?? JSON.stringify({ id: 'evt_1', type: 'made', event_id: 'E1' }))
  const hmac = provider === 'hmac' ? { hmac: HMAC } : {}
  const parts = { body, method: 'POST', url: URL_OF_OURS, id: 'msg_1' }
  return {
    options: { provider, secrets: [secret === WHSK ? WHPK : secret], ...hmac },
    request: { ...parts, headers: signWebhook({ provider, secret, ...hmac }, parts, NOW_MS) },
    nowMs: NOW_MS,
  }
})

describe('R154: a request is believed only with a good signature', () => {
  for (const sample of SAMPLES) {
    const { provider } = sample.options
    const { request } = sample

    test(`${provider}: signed is believed, also with the old secret beside the new one`, () => {
      expect(verdict(sample)).toMatchObject({ ok: true })
      const other = provider === 'sendgrid' ? [] : [SECRETS[provider] ? WHSEC.slice(6).replace('M', 'N') : 'new']
      const rotating = { ...sample, options: { ...sample.options, secrets: [...other, ...sample.options.secrets] } }
      expect(verdict(rotating)).toMatchObject({ ok: true })
    })

    test(`${provider}: one flipped bit of the body is refused`, () => {
      for (let bit = 0; bit < request.body.length * 8; bit++) {
        const body = flipped(request.body, bit)
        if (provider === 'segment' && sameFirstEvent(request.body, body)) continue
        expect(verdict(sample, { body }).ok, `bit ${bit}`).toBe(false)
      }
    })

    test(`${provider}: one flipped bit of a header that is signed or signs is refused`, () => {
      for (const [name, value] of Object.entries(request.headers)) {
        const text = Buffer.from(value, 'latin1')
        for (let bit = 0; bit < text.length * 8; bit++) {
          const headers = { ...request.headers, [name]: flipped(text, bit).toString('latin1') }
          expect(verdict(sample, { headers }).ok, `${name}, bit ${bit}`).toBe(false)
        }
      }
    })

    test(`${provider}: without its headers, or with another secret, it is refused`, () => {
      for (const name of Object.keys(request.headers)) {
        const { [name]: _gone, ...headers } = request.headers
        expect(verdict(sample, { headers })).toMatchObject({ ok: false })
      }
      if (provider === 'sendgrid' || provider === 'svix') return
      const [secret = ''] = sample.options.secrets
      const isEncoded = SECRETS[provider] !== undefined
      const raw = isEncoded ? Buffer.from(secret.replace('whsec_', ''), 'base64') : bytes(secret)
      for (let bit = 0; bit < raw.length * 8; bit++) {
        const turned = flipped(raw, bit)
        if (!isEncoded && (turned.some((byte) => byte > 127) || turned.includes(0))) continue
        const options = { ...sample.options, secrets: [isEncoded ? turned.toString('base64') : turned.toString()] }
        expect(verdict({ ...sample, options }).ok, `bit ${bit}`).toBe(false)
      }
    })
  }

  test('nothing that can stand in a request throws, or is believed', () => {
    const verifiers = SAMPLES.map(({ options, request }) => ({ verifier: createVerifier(options), request }))
    fc.assert(
      fc.property(
        fc.constantFrom(...verifiers),
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom('', 'v1=', 't=,v1=', 'v1,', 'v1a,AA==', ',,,', 'sha256=', '  '),
        ),
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('NaN', '-1', '1e9', '9'.repeat(400), '__proto__')),
        fc.uint8Array({ maxLength: 60 }),
        fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.string()),
        ({ verifier, request }, one, two, body, url) => {
          const names = Object.keys(request.headers)
          const headers = Object.fromEntries(names.map((name, index) => [name, index === 0 ? one : two]))
          expect(verifier.verify({ method: 'POST', url, headers, body }, NOW_MS)).toMatchObject({ ok: false })
          expect(verifier.verify({ ...request, headers }, NOW_MS)).toMatchObject({ ok: false })
          expect(
            verifier.verify({ ...request, headers: { ...request.headers, ['__proto__']: one } }, NOW_MS),
          ).toMatchObject({ ok: true })
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('what is no signature of a known version is skipped; the good one counts wherever it stands', () => {
    const old = 'a'.repeat(64)
    const stripe = SAMPLES.find(({ options }) => options.provider === 'stripe') as Sample
    const [time, good] = (stripe.request.headers['stripe-signature'] as string).split(',')
    for (const text of [`${time},v0=${old},${good}`, `${time},v1=${old},${good},v2=x`, `${good},${time}`]) {
      expect(verdict(stripe, { headers: { 'Stripe-Signature': text } })).toMatchObject({ ok: true })
    }
    const onlyOld = { headers: { 'stripe-signature': `${time},v0=${good?.slice(3)}` } }
    expect(verdict(stripe, onlyOld)).toEqual({ ok: false, refused: 'signature_malformed' })
  })
})

describe('timestamps', () => {
  const timed = SAMPLES.filter(({ options }) =>
    ['stripe', 'slack', 'hubspot', 'openai', 'svix', 'calendly', 'linear', 'hmac'].includes(options.provider),
  )
  it.each(timed.map((sample) => [sample.options.provider, sample] as const))('%s: both ways', (provider, sample) => {
    const limitMs = { calendly: 180_000, linear: 60_000 }[provider as string] ?? 300_000
    expect(verdict({ ...sample, nowMs: NOW_MS + limitMs })).toMatchObject({ ok: true, timestampMs: NOW_MS })
    expect(verdict({ ...sample, nowMs: NOW_MS + limitMs + 1 })).toEqual({ ok: false, refused: 'timestamp_too_old' })
    expect(verdict({ ...sample, nowMs: NOW_MS - limitMs })).toMatchObject({ ok: true })
    expect(verdict({ ...sample, nowMs: NOW_MS - limitMs - 1 })).toEqual({ ok: false, refused: 'timestamp_in_future' })
    const wide = { ...sample, options: { ...sample.options, tolerance: '1h' as const } }
    expect(verdict({ ...wide, nowMs: NOW_MS + 3_600_000 })).toMatchObject({ ok: true })
  })

  test('nobody says that Zendesk and SendGrid sign retries anew: their times are judged only where asked for', () => {
    for (const sample of SAMPLES.filter(({ options }) => ['zendesk', 'sendgrid'].includes(options.provider))) {
      expect(verdict({ ...sample, nowMs: NOW_MS + 86_400_000 })).toMatchObject({ ok: true })
      const strict = { ...sample, options: { ...sample.options, tolerance: '5m' as const } }
      expect(verdict({ ...strict, nowMs: NOW_MS + 86_400_000 })).toEqual({ ok: false, refused: 'timestamp_too_old' })
    }
  })
})

describe('vectors', () => {
  test('GitHub', () => {
    const headers = {
      'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
      'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      'X-GitHub-Event': 'push',
    }
    const body = bytes('Hello, World!')
    const options = { provider: 'github', secrets: ["It's a Secret to Everybody"] } as const
    expect(verifyWebhook(options, { method: 'POST', url: '', headers, body }, NOW_MS)).toMatchObject({
      ok: true,
      events: [{ id: '72d3162e-cc78-11e3-81ab-4c9367dc0958', type: 'push', json: '"Hello, World!"' }],
    })
  })

  test('Standard Webhooks, and the same with the names of Svix', () => {
    const parts = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    for (const [provider, family] of [
      ['standard-webhooks', 'webhook'],
      ['svix', 'svix'],
      ['svix', 'webhook'],
      ['openai', 'webhook'],
    ] as const) {
      const headers = Object.fromEntries(Object.entries(parts).map(([name, value]) => [`${family}-${name}`, value]))
      const request = { method: 'POST', url: '', headers, body: bytes('{"test": 2432232314}') }
      expect(verifyWebhook({ provider, secrets: [WHSEC] }, request, 1_614_265_330_000)).toMatchObject({
        ok: true,
        eventIds: [parts.id],
        events: [{ json: '{"test": 2432232314}' }],
      })
    }
  })

  test('Twilio', () => {
    const body = bytes(
      'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
    )
    const headers = { 'X-Twilio-Signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' }
    const options = { provider: 'twilio', secrets: ['12345'] } as const
    for (const url of [
      'https://mycompany.com/myapp.php?foo=1&bar=2',
      'https://mycompany.com:443/myapp.php?foo=1&bar=2',
    ]) {
      expect(verifyWebhook(options, { method: 'POST', url, headers, body }, NOW_MS)).toMatchObject({ ok: true })
    }
  })

  test('Slack, a slash command', () => {
    const body = bytes(
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    )
    const headers = {
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      'x-slack-request-timestamp': '1531420618',
      'content-type': 'application/x-www-form-urlencoded',
    }
    const options = { provider: 'slack', secrets: ['8f742231b10e8888abcd99yyyzzz85a5'] } as const
    expect(verifyWebhook(options, { method: 'POST', url: '', headers, body }, 1_531_420_618_000)).toMatchObject({
      ok: true,
      events: [{ id: '398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c', type: '/webhook-collect' }],
    })
  })

  test('HubSpot v3; v1 and v2 are digests of the secret and the text', () => {
    const secret = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy'
    const url = 'https://www.example.com/webhook_uri'
    const body = bytes("{'example_field':'example_value'}")
    const headers = {
      'X-HubSpot-Signature-v3': 'K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=',
      'X-HubSpot-Request-Timestamp': '1693657560000',
    }
    const request = { method: 'POST', url, headers, body }
    expect(verifyWebhook({ provider: 'hubspot', secrets: [secret] }, request, 1_693_657_560_000)).toMatchObject({
      ok: true,
    })
    for (const [provider, text] of [
      ['hubspot-v1', `${secret}${body}`],
      ['hubspot-v2', `${secret}POST${url}${body}`],
    ] as const) {
      const signature = createHash('sha256').update(text).digest('hex')
      const signed = { ...request, headers: { 'X-HubSpot-Signature': signature } }
      expect(verifyWebhook({ provider, secrets: [secret] }, signed, NOW_MS)).toMatchObject({ ok: true })
    }
  })

  test('HubSpot v3 signs an address of which some escapes are decoded', () => {
    const text = `POSThttps://x.example/a?to=ada@x.example&q=%20a{}${NOW_MS}`
    const headers = {
      'x-hubspot-signature-v3': createHmac('sha256', 'secret').update(text).digest('base64'),
      'x-hubspot-request-timestamp': String(NOW_MS),
    }
    const request = { method: 'POST', url: 'https://x.example/a?to=ada%40x.example&q=%20a', headers, body: bytes('{}') }
    expect(verifyWebhook({ provider: 'hubspot', secrets: ['secret'] }, request, NOW_MS)).toMatchObject({ ok: true })
  })

  test('SendGrid: the last CRLF is signed', () => {
    expect(verdict(SENDGRID)).toMatchObject({
      ok: true,
      eventIds: ['ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA'],
      events: [{ type: 'dropped' }],
    })
    const body = SENDGRID.request.body.subarray(0, -2)
    expect(verdict(SENDGRID, { body })).toEqual({ ok: false, refused: 'signature_mismatch' })
  })
})

describe('the official SDKs as signers', () => {
  const payload = JSON.stringify({ id: 'evt_1', type: 'invoice.paid', data: { object: { name: 'Zoë 🎉' } } })
  const nowS = Math.floor(NOW_MS / 1000)
  const post = (headers: Record<string, string>, body: string, url = URL_OF_OURS) => ({
    method: 'POST',
    url,
    headers,
    body: bytes(body),
  })

  test('stripe', () => {
    const stripe = new Stripe('sk_test_1')
    const header = stripe.webhooks.generateTestHeaderString({ payload, secret: 'whsec_abc', timestamp: nowS })
    const options = { provider: 'stripe', secrets: ['whsec_abc'] } as const
    expect(verifyWebhook(options, post({ 'stripe-signature': header }, payload), NOW_MS)).toMatchObject({
      ok: true,
      events: [{ id: 'evt_1', type: 'invoice.paid', json: payload }],
    })
  })

  test('standardwebhooks, svix and openai, in both directions', async () => {
    const signature = new StandardWebhook(WHSEC).sign('msg_1', new Date(NOW_MS), payload)
    const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': String(nowS), 'webhook-signature': signature }
    for (const provider of ['standard-webhooks', 'openai', 'svix'] as const) {
      expect(verifyWebhook({ provider, secrets: [WHSEC] }, post(headers, payload), NOW_MS)).toMatchObject({ ok: true })
    }
    const svix = new SvixWebhook(WHSEC)
    const ofSvix = {
      'svix-id': 'msg_2',
      'svix-timestamp': String(nowS),
      'svix-signature': svix.sign('msg_2', new Date(NOW_MS), payload),
    }
    expect(verifyWebhook({ provider: 'svix', secrets: [WHSEC] }, post(ofSvix, payload), NOW_MS)).toMatchObject({
      ok: true,
    })

    // The SDKs read the real clock.
    const atMs =
      Number(/t=(\d+)/.exec(new Stripe('sk').webhooks.generateTestHeaderString({ payload, secret: 's' }))?.[1]) * 1000
    const ours = signWebhook({ provider: 'standard-webhooks', secret: WHSEC }, { body: payload, id: 'msg_3' }, atMs)
    expect(new StandardWebhook(WHSEC).verify(payload, ours)).toEqual(JSON.parse(payload))
    const ofOurs = signWebhook({ provider: 'svix', secret: WHSEC }, { body: payload, id: 'msg_3' }, atMs)
    expect(() => svix.verify(payload, ofOurs)).not.toThrow()
    expect(() => svix.verify(`${payload} `, ofOurs)).toThrow()
    const openai = new OpenAI({ apiKey: 'k', webhookSecret: WHSEC })
    expect(await openai.webhooks.unwrap(payload, ours)).toEqual(JSON.parse(payload))
  })

  test('v1a: ed25519', () => {
    const signature = signBytes(null, bytes(`msg_1.${nowS}.${payload}`), ed25519.privateKey).toString('base64')
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(nowS),
      'webhook-signature': `v1,AAAA v1a,${signature}`,
    }
    const request = post(headers, payload)
    expect(verifyWebhook({ provider: 'standard-webhooks', secrets: [WHPK] }, request, NOW_MS)).toMatchObject({
      ok: true,
    })
    expect(verifyWebhook({ provider: 'standard-webhooks', secrets: [WHSEC] }, request, NOW_MS)).toMatchObject({
      ok: false,
    })
  })

  test('twilio: forms, JSON, ports and escapes', () => {
    const fields = { MessageSid: 'SM1', Body: "it's 100% ü", Media: ['b', 'a', 'b'] }
    const body = new URLSearchParams([
      ['MessageSid', 'SM1'],
      ['Body', "it's 100% ü"],
      ['Media', 'b'],
      ['Media', 'a'],
      ['Media', 'b'],
    ])
    const options = { provider: 'twilio', secrets: ['token'] } as const
    const seen = "https://h.example/in?name=O'Brien&b=2"
    const signed = (url: string) => ({
      'x-twilio-signature': twilio.getExpectedTwilioSignature('token', url, fields),
      'content-type': 'application/x-www-form-urlencoded',
    })
    for (const url of [
      seen,
      'https://h.example:443/in?name=O%27Brien&b=2',
      "https://h.example:443/in?name=O'Brien&b=2",
    ]) {
      for (const arrived of [seen, new URL(seen).href]) {
        expect(verifyWebhook(options, post(signed(url), body.toString(), arrived), NOW_MS)).toMatchObject({ ok: true })
      }
    }
    expect(
      verifyWebhook(options, post(signed('https://h.example/other'), body.toString(), seen), NOW_MS),
    ).toMatchObject({ ok: false })

    const json = '{"a":1}'
    const url = `https://h.example/in?bodySHA256=${createHash('sha256').update(json).digest('hex')}`
    const headers = { 'x-twilio-signature': twilio.getExpectedTwilioSignature('token', url, {}) }
    expect(verifyWebhook(options, post(headers, json, url), NOW_MS)).toMatchObject({ ok: true, events: [{ json }] })
    expect(verifyWebhook(options, post(headers, '{"a":2}', url), NOW_MS)).toMatchObject({ ok: false })
  })

  test('@octokit/webhooks: all payloads that it publishes', async () => {
    const published = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
      name: string
      examples: unknown[]
    }[]
    const verifier = createVerifier({ provider: 'github', secrets: ['secret'] })
    const github = new GitHubWebhooks({ secret: 'secret' })
    let count = 0
    for (const { name, examples } of published) {
      for (const [index, example] of examples.entries()) {
        const body = JSON.stringify(example)
        const headers = {
          'X-Hub-Signature-256': await github.sign(body),
          'X-GitHub-Delivery': `${name}-${index}`,
          'X-GitHub-Event': name,
        }
        const events = [{ id: `${name}-${index}`, type: name, json: body, value: example }]
        expect(verifier.verify(post(headers, body), NOW_MS)).toMatchObject({ ok: true, events })
        count++
      }
    }
    expect(count).toBe(329)
  })
})

describe('R101: what names an event', () => {
  const idsOf = (
    provider: 'hubspot' | 'segment' | 'shopify' | 'outreach',
    body: string,
    more: Record<string, string> = {},
  ) => {
    const headers = { ...signWebhook({ provider, secret: 's' }, { body, url: URL_OF_OURS }, NOW_MS), ...more }
    const answer = verifyWebhook(
      { provider, secrets: ['s'] },
      { method: 'POST', url: URL_OF_OURS, headers, body: bytes(body) },
      NOW_MS,
    )
    return answer.ok ? answer.eventIds : answer.refused
  }

  test('HubSpot: four fields together, for each event of the request', () => {
    const one = { portalId: 1, subscriptionId: 2, eventId: 3, occurredAt: 4 }
    expect(idsOf('hubspot', JSON.stringify([one, { ...one, eventId: 5 }]))).toEqual(['1/2/3/4', '1/2/5/4'])
  })

  test('Shopify: subscriptions to two topics share an id, and are two events', () => {
    const event = { 'x-shopify-event-id': 'e', 'x-shopify-webhook-id': 'w' }
    expect(idsOf('shopify', '{}', { ...event, 'x-shopify-topic': 'orders/create' })).toEqual(['e/orders/create'])
    expect(idsOf('shopify', '{}', { ...event, 'x-shopify-topic': 'orders/paid' })).toEqual(['e/orders/paid'])
    expect(idsOf('shopify', '{}', { 'x-shopify-webhook-id': 'w' })).toEqual(['w'])
  })

  test('no id: a digest of what was sent; twins in one batch stay two', () => {
    const [id] = idsOf('outreach', '{"a":1}')
    expect(id).toBe(`sha256:${createHash('sha256').update('{"a":1}').digest('hex')}`)
    const twins = idsOf('segment', '[{"type":"track"},{"type":"track"}]')
    expect(new Set(twins).size).toBe(2)
  })

  test('an id that is too long or not plain is known by its digest', () => {
    const body = '[{"messageId":"a\\u0000b"}]'
    expect(idsOf('segment', body)).toEqual([`sha256:${createHash('sha256').update('a\0b').digest('hex')}`])
  })
})

describe('handshakes', () => {
  test('Slack: the challenge, but only for a signed request', () => {
    const body = JSON.stringify({ type: 'url_verification', challenge: '3eZb', token: 't' })
    const headers = signWebhook({ provider: 'slack', secret: 's' }, { body }, NOW_MS)
    const request = { method: 'POST', url: '', headers, body: bytes(body) }
    expect(verifyWebhook({ provider: 'slack', secrets: ['s'] }, request, NOW_MS)).toMatchObject({
      ok: true,
      events: [],
      handshake: { body: '3eZb', contentType: 'text/plain' },
    })
    expect(verifyWebhook({ provider: 'slack', secrets: ['x'] }, request, NOW_MS)).toMatchObject({ ok: false })
  })

  test('Notion: the first call brings the secret; nothing else is believed before it is configured', () => {
    const request = { method: 'POST', url: '', headers: {}, body: bytes('{"verification_token":"secret_1"}') }
    const options = { provider: 'notion', secrets: [] } as const
    expect(verifyWebhook(options, request, NOW_MS)).toMatchObject({
      ok: true,
      events: [],
      handshake: { secret: 'secret_1' },
    })
    const event = { ...request, body: bytes('{"id":"e1"}') }
    expect(verifyWebhook(options, event, NOW_MS)).toEqual({ ok: false, refused: 'no_secret' })
    expect(verifyWebhook({ ...options, secrets: ['secret_1'] }, event, NOW_MS)).toEqual({
      ok: false,
      refused: 'signature_missing',
    })
  })
})

describe('wrong use is told at start', () => {
  const codeOf = (options: VerifyOptions): [string, string] => {
    try {
      createVerifier(options)
    } catch (error) {
      if (isHoldfastError(error)) return [error.code, error.message]
    }
    throw new Error('it was accepted')
  }

  test('an unknown provider, with the nearest name; a secret that is missing, or not whole', () => {
    expect(codeOf({ provider: 'strip' as 'stripe', secrets: ['s'] })).toEqual([
      'unknown_webhook_provider',
      'There is no webhook provider "strip"; did you mean "stripe"?',
    ])
    expect(codeOf({ provider: '__proto__' as 'stripe', secrets: ['s'] })[0]).toBe('unknown_webhook_provider')
    expect(codeOf({ provider: 'stripe', secrets: [] })[0]).toBe('webhook_secret_missing')
    for (const [provider, secret] of [
      ['stripe', ''],
      ['svix', 'whsec_not base64!'],
      ['svix', 'whpk_AAAA'],
      ['sendgrid', 'MFkw'],
      ['airtable', '%%%'],
    ] as const) {
      const [code, message] = codeOf({ provider, secrets: [secret] })
      expect(code).toBe('webhook_secret_invalid')
      if (secret.length > 4) expect(message).not.toContain(secret)
    }
    expect(codeOf({ provider: 'hmac', secrets: ['s'] })[0]).toBe('webhook_hmac_missing')
  })

  test('only SendGrid can sign as SendGrid', () => {
    expect(() => signWebhook({ provider: 'sendgrid', secret: 's' }, { body: '' }, NOW_MS)).toThrow(/private key/)
  })
})

function flipped(source: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(source)
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}

/** Of a batch Segment signs the first event alone. */
function sameFirstEvent(left: Buffer, right: Buffer): boolean {
  try {
    return JSON.stringify(JSON.parse(left.toString())[0]) === JSON.stringify(JSON.parse(right.toString())[0])
  } catch {
    return false
  }
}
