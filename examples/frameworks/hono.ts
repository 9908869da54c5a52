import type { Holdfast } from 'holdfast'
import { idempotent } from 'holdfast/webhooks'
import { Hono } from 'hono'
import type { CreateOrder } from './shop.ts'

export function shopOnHono(hf: Holdfast, createOrder: CreateOrder): Hono {
  const orders = idempotent(createOrder, { store: hf })
  const github = hf.webhookHandler('github')
  const app = new Hono()
  // `c.req.raw` is the request itself. A middleware that reads the body, such as a validator, must not stand before these two.
  app.post('/orders', (c) => orders(c.req.raw))
  app.post('/webhooks/github', (c) => github(c.req.raw))
  app.post('/echo', async (c) => c.json(await c.req.json()))
  return app
}
