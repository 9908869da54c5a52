/** What becomes of the retries that SDKs make by themselves, where they were left on. */
import { describe, expect, test } from 'vitest'
import type { FaultInput } from '../../src/testing/faults/fault.ts'
import { type Api, holdfastErrorIn, openTwinBench, thrownBy } from './support/bench.ts'
import { SDKS } from './support/catalogue.ts'

const sdk = (api: Api) => SDKS.find((one) => one.api === api) as (typeof SDKS)[number]
const down: FaultInput = { kind: 'status', status: 503, body: { error: { type: 'api_error', message: 'down' } } }

/** Requests that arrived, with three tries of ours and the SDK's own two retries left on, or none where it has none. */
async function arrived(api: Api, call: 'read' | 'write', fault: FaultInput) {
  const { routes, client } = sdk(api)
  const bench = await openTwinBench(api, routes)
  bench.twin.disturb({ fault })
  const error = await thrownBy(client(bench, true)[call]())
  await bench[Symbol.asyncDispose]()
  const { requests, effects } = bench.twin
  return { requests: requests.total, effects: effects.length, detected: bench.detected, error }
}

describe('trap 3: turned off by the answer: the SDK asks the server whether to retry', () => {
  test.each(['stripe', 'openai', 'anthropic'] as const)('%s makes three tries, not nine', async (api) => {
    const { requests, detected, error } = await arrived(api, 'read', down)
    expect(requests).toBe(3)
    expect(detected).toEqual([])
    expect(error['status'] ?? error['statusCode']).toBe(503)
  })
})

describe('trap 3: noticed, and answered with what is known already', () => {
  test.each(['openai', 'anthropic'] as const)('rule 3: %s repeats writes blindly; they happen once', async (api) => {
    const { requests, effects, detected, error } = await arrived(api, 'write', 'executed_then_reset')
    expect([requests, effects]).toEqual([1, 1])
    expect(holdfastErrorIn(error)).toMatchObject({ certainty: 'maybe_applied' })
    expect(detected).toMatchObject([{ evidence: 'retry_header', refused: true }])
    expect(detected[0]?.hint).toContain('maxRetries: 0')
  })

  test.each(['openai', 'anthropic'] as const)('%s: reads get three tries, not nine', async (api) => {
    expect((await arrived(api, 'read', 'reset_before_executing')).requests).toBe(3)
  })

  test('stripe: by the key that it made for its retries', async () => {
    const { requests, detected } = await arrived('stripe', 'write', 'reset_before_executing')
    expect(requests).toBe(3)
    expect(detected).toMatchObject([{ evidence: 'sdk_key', refused: true }])
    expect(detected[0]?.hint).toContain('maxNetworkRetries: 0')
  })
})

describe('trap 3: noticed, but nothing tells them from calls of your own', () => {
  test('stripe: reads after a broken connection', async () => {
    const { requests, detected } = await arrived('stripe', 'read', 'reset_before_executing')
    expect(requests).toBe(9)
    expect(detected).toMatchObject([{ evidence: 'same_request', refused: false }])
  })

  test('notion: 429, 529, and reads after 500 and 503', async () => {
    const body = { object: 'error', status: 503, code: 'service_unavailable', message: 'down' }
    const { requests, detected } = await arrived('notion', 'read', { ...down, body } as FaultInput)
    expect(requests).toBe(9)
    expect(detected).toMatchObject([{ evidence: 'same_request' }])
    expect(detected[0]?.hint).toContain('retry: false')
  })

  test('slack: everything, so that a message whose answer was lost is there three times', async () => {
    const { requests, effects, detected } = await arrived('slack', 'write', 'executed_then_reset')
    expect([requests, effects]).toEqual([3, 3])
    expect(detected).toMatchObject([{ evidence: 'same_request' }])
    expect(detected[0]?.hint).toContain('retryConfig: { retries: 0 }, rejectRateLimitedCalls: true')
  })

  test('octokit/rest makes none by itself', async () => {
    const { requests, detected } = await arrived('github', 'read', down)
    expect(requests).toBe(3)
    expect(detected).toEqual([])
  })
})
