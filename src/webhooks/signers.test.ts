/** The vendors' own SDKs sign, and what they sign is believed. */
import { createHash, sign as signBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { Webhooks as GitHubWebhooks } from '@octokit/webhooks'
import OpenAI from 'openai'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import twilio from 'twilio'
import { describe, expect, test } from 'vitest'
import { signWebhook } from './sign.ts'
import { bytes, ed25519, NOW_MS, URL_OF_OURS, WHPK, WHSEC } from './test-samples.ts'
import { createVerifier, verifyWebhook } from './verify.ts'

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
