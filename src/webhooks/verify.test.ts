/** Who is believed, when, and what names an event; and what no request may do. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { isHoldfastError } from '../core/errors.ts'
import { signWebhook } from './sign.ts'
import { bytes, NOW_MS, SAMPLES, type Sample, SECRETS, URL_OF_OURS, verdict, WHSEC } from './test-samples.ts'
import { createVerifier, type VerifyOptions, verifyWebhook } from './verify.ts'

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
