import express, { type Express } from 'express'
import type { Holdfast } from 'holdfast'
import { idempotent, nodeListener } from 'holdfast/webhooks'
import type { CreateOrder } from './shop.ts'

export function shopOnExpress(hf: Holdfast, createOrder: CreateOrder): Express {
  const app = express()
  // Before `express.json()`: a body can be read once, and signatures are over its exact bytes.
  app.post('/orders', nodeListener(idempotent(createOrder, { store: hf })))
  app.post('/webhooks/github', nodeListener(hf.webhookHandler('github')))
  app.use(express.json())
  app.post('/echo', (request, response) => {
    response.json(request.body)
  })
  return app
}
