import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/resolve.ts'
import { seededRandom } from '../../core/random.ts'
import { backoffSchedule } from '../../policy/retry/backoff.ts'
import { decideRetry } from '../../policy/retry/retry.ts'
import { systemClock } from '../../system/system-clock.ts'
import { jsonServer, testEndpoint, testIntegration, testParts } from '../test-kit.ts'
import { createInlineCaller } from './inline.ts'

const byDefault = () => {
  const config = { integrations: { crm: { baseUrl: 'https://crm.example' } } }
  const [crm] = resolveConfig(config, { env: {}, baseDirectory: '/' }).integrations
  if (!crm) throw new Error('there is an integration')
  return crm.defaults.retry
}

const busy = {
  class: 'transient',
  code: 'http_503',
  message: 'busy',
  userMessage: 'busy',
  certainty: 'not_sent',
  hint: 'wait',
  rule: 'default:http.503',
  countsAgainstBreaker: true,
} as const

describe('what retries do by default', () => {
  test('R039: waits double; they do not grow line by line', () => {
    const longest = backoffSchedule(byDefault(), 5).map(({ maximumMs }) => maximumMs)
    expect(longest).toEqual([2000, 4000, 8000, 16_000, 32_000])
  })

  test('R045: after the last attempt it stops, and says so where a person looks', () => {
    const settings = byDefault()
    const facts = { failure: busy, repeatable: true, sameClassInARow: 1, ageMs: 0 }
    for (let attempts = 1; attempts < settings.maxAttempts; attempts++) {
      expect(decideRetry({ ...facts, attempts }, settings, seededRandom(1)).kind).toBe('retry')
    }
    const last = decideRetry({ ...facts, attempts: settings.maxAttempts }, settings, seededRandom(1))
    expect(last).toMatchObject({ kind: 'dead_letter', reason: expect.stringContaining('attempts_exhausted') })
  })

  test('R043: a server that asks for longer than the whole window is not waited for', () => {
    const settings = byDefault()
    const failure = { ...busy, class: 'rate_limited', retryAfterMs: settings.maxAgeMs + 1000 } as const
    const facts = { failure, repeatable: true, attempts: 1, sameClassInARow: 1, ageMs: 0 }
    expect(decideRetry(facts, settings, seededRandom(1))).toMatchObject({
      kind: 'dead_letter',
      reason: expect.stringContaining('retry_after_too_long'),
    })
  })

  test('R061: each attempt is told with its number and its wait, with the same key, and ends after so many', async () => {
    const keys: unknown[] = []
    await using server = await jsonServer(({ headers }) => {
      keys.push(headers['idempotency-key'])
      return { status: 503, body: {} }
    })
    await using parts = await testParts(systemClock)
    const idempotency = { kind: 'key' as const, header: 'Idempotency-Key', lifetimeMs: 86_400_000 }
    const endpoint = testEndpoint('POST /charges', { idempotency })
    const endpoints = { 'POST /charges': { ...endpoint, retry: { ...endpoint.retry, maxAttempts: 4 } } }
    const client = createInlineCaller(parts, testIntegration(server.url, { endpoints }))
    await expect(client.post('/charges', { body: {} })).rejects.toMatchObject({
      code: 'http_503',
      details: { tries: 4, reason: expect.stringContaining('attempt 4 of 4') },
    })
    expect(keys).toHaveLength(4)
    expect(new Set(keys).size).toBe(1)
    const told = parts.seen.filter(({ type }) => type === 'call.ended').map((event) => event as { attempt?: number })
    expect(told.map((event) => event.attempt ?? (event as { data?: { attempt: number } }).data?.attempt)).toEqual([
      1, 2, 3, 4,
    ])
  })
})
