/** Where credentials stand in a request, on real sockets. */
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { AuthSettings } from '../../config/settings.ts'
import { systemClock } from '../../system/system-clock.ts'
import { createInlineCaller } from '../inline/inline.ts'
import { jsonServer, testIntegration, testParts } from '../test-kit.ts'

interface Seen {
  readonly url: string
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

async function sentWith(auth: AuthSettings, path = '/people?a=1', body: unknown = { name: 'Ada' }): Promise<Seen> {
  const seen: Seen[] = []
  await using server = await jsonServer((request) => {
    seen.push(request)
    return { body: { ok: true } }
  })
  await using parts = await testParts(systemClock)
  await createInlineCaller(parts, testIntegration(server.url, { auth })).post(path, { body })
  return seen[0] as Seen
}

describe('where a credential stands', () => {
  test('in the query, beside what is there', async () => {
    const { url, headers } = await sentWith({ type: 'query', name: 'api key', value: 'a/b&c' })
    expect(url).toBe('/people?a=1&api%20key=a%2Fb%26c')
    expect(headers['authorization']).toBeUndefined()
  })

  test('R145: requests signed by a hook: it sees exactly the bytes that are sent', async () => {
    const sign = (text: Uint8Array) => createHmac('sha256', 'the-signing-key').update(text).digest('hex')
    const { body, headers } = await sentWith({
      type: 'signed',
      sign: ({ method, url, body: bytes, headers: known, atMs }) => ({
        'X-Signature': sign(bytes),
        'x-about': `${method} ${new URL(url).pathname} ${known['content-type']} ${atMs > 0}`,
      }),
    })
    expect(headers['x-signature']).toBe(sign(Buffer.from(body)))
    expect(headers['x-about']).toBe('POST /people application/json true')
  })

  test('a hook that throws, or returns what is no header: nothing is sent', async () => {
    const throwing = sentWith({
      type: 'signed',
      sign() {
        throw new Error('no key: api_key=abc12345')
      },
    })
    await expect(throwing).rejects.toMatchObject({
      code: 'signing_failed',
      message: expect.not.stringContaining('abc12345'),
    })
    const wrong = sentWith({ type: 'signed', sign: () => ({ 'x-a': 'one\ntwo' }) })
    await expect(wrong).rejects.toMatchObject({ code: 'invalid_header' })
  })
})

test('an API that repeats the credential in a good answer, escaped or not: it goes no further', async () => {
  const token = 'a"long/token+with=odd-characters'
  await using server = await jsonServer(() => ({
    status: 201,
    headers: { location: `/people/1?token=${encodeURIComponent(token)}` },
    body: { you: [token, encodeURIComponent(token)], sized: 'yes' },
  }))
  await using parts = await testParts(systemClock)
  const integration = testIntegration(server.url, { auth: { type: 'header', name: 'x-key', value: token } })
  const answer = await createInlineCaller(parts, integration).post('/people', { body: {}, idempotencyKey: 'k' })
  expect(answer.data).toEqual({ you: ['[redacted]', '[redacted]'], sized: 'yes' })
  expect(answer.headers['location']).toBe('/people/1?token=[redacted]')
  expect(JSON.stringify(parts.seen)).not.toContain('odd-characters')
})
