import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { FAULT_KINDS } from '../faults/perform.ts'
import { createVirtualClock } from '../virtual-clock.ts'
import { parseTwinSpec, twinFromSpec } from './cli-spec.ts'

const SPEC = `
name: crm
seed: 7
latency: 0ms
rateLimit: { rate: 5/1m, retryAfter: seconds }
resources:
  - { path: /contacts, uniqueBy: email, required: [email], ids: { prefix: con_ }, idempotency: true }
routes:
  - { route: POST /charge, effectKey: order, answer: { status: 202, body: { accepted: true } } }
faults:
  - { fault: status, status: 500, route: POST /charge, nth: 2, times: 1 }
outages:
  - { mode: unavailable, startsIn: 10s, lasts: 5s }
`

describe('a twin from a description', () => {
  test('does what the description says', async () => {
    const clock = createVirtualClock()
    const twin = await twinFromSpec(SPEC, { clock, random: seededRandom(1) })
    onTestFinished(() => twin.close())
    const post = async (path: string, body: unknown) => {
      const response = await fetch(twin.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      return [response.status, response.headers.get('server')]
    }
    expect(await post('/charge', { order: 1 })).toEqual([202, 'crm'])
    expect(await post('/charge', { order: 2 })).toEqual([500, null])
    expect(await post('/contacts', {})).toEqual([422, 'crm'])
    expect(await post('/contacts', { email: 'a' })).toEqual([201, 'crm'])
    expect(await post('/contacts', { email: 'a' })).toEqual([409, 'crm'])
    expect(await post('/contacts', { email: 'b' })).toEqual([429, 'crm'])
    await clock.advance(10_000)
    expect(await post('/contacts', { email: 'b' })).toEqual([503, null])
    expect(twin.effects.map(({ key }) => key)).toEqual(['1', 'a'])
  })

  test('every fault can be written, and JSON too', () => {
    const spec = { routes: [{ route: 'POST /x' }], faults: FAULT_KINDS.map((fault) => ({ fault, probability: 0.1 })) }
    expect(parseTwinSpec(JSON.stringify(spec))).toEqual(spec)
  })

  test('wrong places are named, all at once, with what was expected and the nearest right name', () => {
    const spec = `
rateLimt: { rate: 5/1m }
resources: [{ path: contacts }]
routes: [{ route: POST /charge, work: 5 }]
faults:
  - { fault: executed_then_rest }
  - { fault: hang, delay: 5s }
  - { fault: delay, probability: 3 }
`
    expect(() => parseTwinSpec(spec, 'twin.yaml')).toThrow(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining('twin.yaml has 6 problems') }),
    )
    for (const words of [
      'rateLimt: unknown key; did you mean "rateLimit"?',
      'resources[0].path: expected a path that starts with /',
      'routes[0].work: expected a duration',
      'did you mean "executed_then_reset"?',
      'faults[1].delay: the fault hang takes no options',
      'faults[2].probability: expected at most 1, got 3',
    ]) {
      expect(() => parseTwinSpec(spec), words).toThrow(words)
    }
  })

  test('a fault of a route that does not exist is refused, as is text that is not YAML', () => {
    const spec = { routes: [{ route: 'POST /charge' }], faults: [{ fault: 'hang', route: 'POST /charges' }] }
    expect(() => parseTwinSpec(spec)).toThrow(
      'faults[0].route: the twin has no route "POST /charges"; did you mean "POST /charge"?',
    )
    expect(() => parseTwinSpec('a: [1,')).toThrow(expect.objectContaining({ code: 'invalid_config' }))
  })
})
