/** What vendors publish: a request, its secret, and the signature that is right (facts.md, section 3). */
import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { bytes, NOW_MS, SENDGRID, verdict, WHSEC } from './test-samples.ts'
import { verifyWebhook } from './verify.ts'

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
