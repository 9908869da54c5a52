/** The same shop in each framework, on a real port; time alone is virtual, so that a day passes at once. */
import { Webhooks } from '@octokit/webhooks'
import { createTestbed, type Testbed } from 'holdfast/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FRAMEWORKS, PARSED_FIRST, type RunningShop } from './servers.ts'
import { type CreateOrder, config, takeOrders } from './shop.ts'

const SECRET = 'a secret of the repository'
const github = new Webhooks({ secret: SECRET })
/** No parser gives these bytes back: spaces, an escape, a number that is no double, a key that stands twice. */
const AS_SENT =
  '{ "ref":"refs/heads/gr\\u00fcn",  "size": 12345678901234567890, "ref": "refs/heads/main", "rate": 1.0 }\n'

function bedOfShop(): Promise<Testbed> {
  return createTestbed({ ...config, apis: {}, env: { GITHUB_WEBHOOK_SECRET: SECRET } })
}

function order(shop: RunningShop, key: string, body = '{"amount":5}'): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key }
  return fetch(`${shop.url}/orders`, { method: 'POST', headers, body })
}

async function deliver(shop: RunningShop, body: string, signed = body): Promise<number> {
  const signature = await github.sign(signed)
  const headers = {
    'content-type': 'application/json',
    'x-github-delivery': 'd-1',
    'x-github-event': 'push',
    'x-hub-signature-256': signature,
  }
  return (await fetch(`${shop.url}/webhooks/github`, { method: 'POST', headers, body })).status
}

async function statusAndCode(response: Response): Promise<[number, unknown]> {
  return [response.status, ((await response.json()) as { code?: unknown }).code]
}

/** What a framework says of an error goes to the console where nobody takes it. */
const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined)
afterEach(() => errors.mockClear())

describe.each(Object.entries(FRAMEWORKS))('%s', (_name, start) => {
  const serve = (bed: Testbed, createOrder: CreateOrder) => start(bed.hf, createOrder, console.error)

  test('R154 R155: a webhook is verified by the bytes that were sent, stored and run; forged ones are 401', async () => {
    await using bed = await bedOfShop()
    await using shop = await serve(
      bed,
      takeOrders(async () => undefined),
    )
    expect(await deliver(shop, AS_SENT)).toBe(200)
    expect(await deliver(shop, AS_SENT)).toBe(200)
    expect(await deliver(shop, AS_SENT, JSON.stringify(JSON.parse(AS_SENT)))).toBe(401)
    expect(await bed.drain()).toMatchObject({ accepted: 1, states: { succeeded: 1 } })
  })

  test('routes beside them are parsed as ever', async () => {
    await using bed = await bedOfShop()
    await using shop = await serve(
      bed,
      takeOrders(async () => undefined),
    )
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${shop.url}/echo`, { method: 'POST', headers, body: '{"a":[1]}' })
    expect(await answer.json()).toEqual({ a: [1] })
  })

  test('R098: the same key while the first is at it is 409, afterwards the same answer; with other content 422', async () => {
    await using bed = await bedOfShop()
    const begun = Promise.withResolvers<void>()
    const charged = Promise.withResolvers<void>()
    const charge = vi.fn(() => {
      begun.resolve()
      return charged.promise
    })
    await using shop = await serve(bed, takeOrders(charge))
    const first = order(shop, 'k1')
    await begun.promise
    const early = await order(shop, 'k1')
    expect(early.headers.get('retry-after')).toBe('1')
    expect(await statusAndCode(early)).toEqual([409, 'idempotency_in_progress'])
    charged.resolve()
    expect((await first).status).toBe(201)
    expect(await (await first).json()).toEqual({ order: 1, amount: 5 })

    const again = await order(shop, 'k1')
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(await again.json()).toEqual({ order: 1, amount: 5 })
    for (const other of ['{"amount":6}', '{"amount": 5}'])
      expect(await statusAndCode(await order(shop, 'k1', other))).toEqual([422, 'idempotency_key_reused'])
    expect(charge).toHaveBeenCalledTimes(1)
  })

  test('R097: a handler that throws may have done half of it: 500 from then on, and it is not run again', async () => {
    await using bed = await bedOfShop()
    const charge = vi.fn(async () => {
      throw new Error('the bank hung up')
    })
    await using shop = await serve(bed, takeOrders(charge))
    expect((await order(shop, 'k1')).status).toBe(500)
    expect(await statusAndCode(await order(shop, 'k1'))).toEqual([500, 'handler_failed'])
    expect(charge).toHaveBeenCalledTimes(1)
  })

  test('R097: a process that dies in the middle holds its key for 5 minutes; then nobody knows, and nobody tries', async () => {
    await using bed = await bedOfShop()
    const begun = Promise.withResolvers<void>()
    const charge = vi.fn(() => {
      bed.kill()
      begun.resolve()
      return new Promise<void>(() => undefined)
    })
    const dying = await serve(bed, takeOrders(charge))
    const broken = expect(order(dying, 'k1')).rejects.toThrow('fetch failed')
    await begun.promise
    await dying[Symbol.asyncDispose]()
    await broken
    await bed.restart()
    await using shop = await serve(bed, takeOrders(charge))
    expect(await statusAndCode(await order(shop, 'k1'))).toEqual([409, 'idempotency_in_progress'])
    await bed.advance('5m')
    expect(await statusAndCode(await order(shop, 'k1'))).toEqual([409, 'unknown_outcome'])
    expect(charge).toHaveBeenCalledTimes(1)
  })

  test('R098: an answer is kept for a day', async () => {
    await using bed = await bedOfShop()
    await using shop = await serve(
      bed,
      takeOrders(async () => undefined),
    )
    expect(await (await order(shop, 'k1')).json()).toMatchObject({ order: 1 })
    await bed.advance('23h')
    expect(await (await order(shop, 'k1')).json()).toMatchObject({ order: 1 })
    await bed.advance('1h')
    expect(await (await order(shop, 'k1')).json()).toMatchObject({ order: 2 })
  })
})

describe.each(Object.entries(PARSED_FIRST))('%s, where something parses the body first', (_name, start) => {
  test('R154: nothing is believed or run, and whoever mounted it is told why', async () => {
    await using bed = await bedOfShop()
    const charge = vi.fn(async () => undefined)
    await using shop = await start(bed.hf, takeOrders(charge), console.error)
    for (const send of [() => deliver(shop, AS_SENT), async () => (await order(shop, 'k1')).status]) {
      errors.mockClear()
      expect(await send()).toBe(500)
      expect(errors.mock.calls.flat()).toContainEqual(expect.objectContaining({ code: 'body_already_read' }))
    }
    expect(charge).not.toHaveBeenCalled()
    expect(await bed.balance()).toMatchObject({ accepted: 0 })
  })
})
