import { describe, expect, test } from 'vitest'
import { createCatalog } from './catalog.ts'
import { definePipeline } from './pipeline.ts'

const request = { method: 'GET', path: '/x' } as const
const match = () => undefined

function refusal(step: object): string {
  try {
    createCatalog([], [definePipeline('orders').step('send', step as never)])
  } catch (error) {
    return String((error as Error).message)
  }
  return 'accepted'
}

describe('steps written in code', () => {
  const slips: readonly (readonly [object, string])[] = [
    [{ run: () => 1, timout: '5s' }, 'Pipeline "orders", step "send": there is no option "timout"'],
    [{ run: 'no function' }, '"run" is not a function'],
    [{ run: () => 1, timeout: '5 seconds' }, '"timeout": "5 seconds" is not a duration'],
    [{ run: () => 1, maxAge: '-1s' }, '"maxAge": "-1s" is not a duration'],
    [{ run: () => 1, concurrency: 0 }, '"concurrency" is 0'],
    [{ run: () => 1, maxAttempts: 1.5 }, '"maxAttempts" is 1.5'],
    [{ run: () => 1, backoff: { base: '1s', jitter: 'ful' } }, '"backoff.jitter" is "ful"'],
    [{ run: () => 1, backoff: { bas: '1s' } }, 'there is no option "bas"'],
    [{ run: () => 1, backoff: 5 }, '"backoff" is 5'],
    [{ integration: 'crm', request: { method: 'FETCH', path: '/x' } }, '"request.method" is "FETCH"'],
    [{ integration: 'crm', request: { method: 'GET', path: 'x' } }, '"request.path" is "x"'],
    [{ run: () => 1, order: 'productId' }, '"order" is "productId"'],
    [{ run: () => 1, order: { by: () => 'p1', afterDeadLeter: 'hold' } }, 'there is no option "afterDeadLeter"'],
    [{ run: () => 1, order: { afterDeadLetter: 'hold' } }, '"order.by" is not a function'],
    [{ run: () => 1, order: { by: () => 'p1', afterDeadLetter: 'stop' } }, '"order.afterDeadLetter" is "stop"'],
    [{ run: () => 1, supersede: () => 'p1' }, '"supersede" is'],
    [{ run: () => 1, supersede: { by: () => 'p1', version: 7 } }, '"supersede.version" is not a function'],
    [{ run: () => 1, order: () => 'p1', supersede: { by: () => 'p1' } }, 'both "order" and "supersede"'],
    [
      { run: () => 1, supersede: { by: () => 'p1' }, compensate: { run: () => 1 } },
      'both "supersede" and "compensate"',
    ],
    [{ run: () => 1, compensate: () => 1 }, '"compensate" is a function'],
    [{ integration: 'crm', request, reconcile: { request } }, '"match" is not a function'],
    [{ integration: 'crm', request, reconcile: { request, match, look: 3 } }, 'there is no option "look"'],
    [{ integration: 'crm', request, reconcile: { request, match, looks: 0 } }, '"reconcile.looks" is 0'],
    [{ integration: 'crm', request, reconcile: { request, match, delay: 'soon' } }, '"reconcile.delay"'],
    [
      { integration: 'crm', request, reconcile: { request: { method: 'POST', path: '/search' }, match } },
      '"reconcile.request" is a POST: a look must change nothing',
    ],
    [
      {
        integration: 'crm',
        request,
        reconcile: { request: { method: 'DELETE', path: '/x' }, match, readOnly: true },
      },
      '"reconcile.request" is a DELETE: a look must change nothing',
    ],
    [{ run: () => 1, compensate: { run: 1 } }, '"run" is not a function'],
    [{ run: () => 1, compensate: { run: () => 1, save: true } }, 'there is no option "save"; did you mean "safe"?'],
    [
      { integration: 'crm', request, compensate: { request: { method: 'DELETE', path: 'x' } } },
      '"request.path" is "x"',
    ],
    [{ integration: 'crm', request, batch: 100 }, '"batch" is 100'],
    [{ integration: 'crm', request, batch: { shape: 'hubspot' } }, '"batch.size" is missing'],
    [{ integration: 'crm', request, batch: { size: 0 } }, '"batch.size" is 0'],
    [{ integration: 'crm', request, batch: { size: 1, bytes: '5 bytes' } }, '"batch.bytes": "5 bytes" is not a size'],
    [{ integration: 'crm', request, batch: { size: 1, bytes: -1 } }, '"batch.bytes" is -1'],
    [{ integration: 'crm', request, batch: { size: 1, linger: 'soon' } }, '"batch.linger": "soon" is not a duration'],
    [{ integration: 'crm', request, batch: { size: 1, lingers: '1s' } }, 'there is no option "lingers"'],
    [{ integration: 'crm', request, batch: { size: 1, shape: 'hubspt' } }, 'no batch shape "hubspt"; did you mean'],
    [{ integration: 'crm', request, batch: { size: 1, split: 'x' } }, '"batch.split" is not a function'],
    [{ run: () => 1, batch: { size: 2 } }, 'there is no option "batch"'],
    [{ integration: 'crm', request, safe: true }, 'there is no option "safe"'],
    [{ integration: 'crm', request }, 'there is no integration "crm"'],
  ]

  test.each(slips)('%o is refused with what is wrong and where', (step, message) => {
    expect(refusal(step).toLowerCase()).toContain(message.toLowerCase())
  })

  test('a good one is accepted, with its own backoff', () => {
    const step = {
      safe: true,
      run: () => 1,
      backoff: { base: '5ms', cap: '10ms', jitter: 'none' },
      maxAttempts: 9,
    } as const
    const plan = createCatalog([], [definePipeline('orders').step('send', step)]).plan('orders', 'send')
    expect(plan?.retry).toMatchObject({ baseMs: 5, capMs: 10, jitter: 'none', maxAttempts: 9, maxAgeMs: 4 * 3_600_000 })
  })
})
