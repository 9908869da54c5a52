import fastify, { type FastifyInstance } from 'fastify'
import type { Holdfast } from 'holdfast'
import { idempotent, nodeListener } from 'holdfast/webhooks'
import type { CreateOrder } from './shop.ts'

export function shopOnFastify(hf: Holdfast, createOrder: CreateOrder): FastifyInstance {
  const app = fastify()
  const orders = nodeListener(idempotent(createOrder, { store: hf }), (error) => app.log.error(error))
  const github = nodeListener(hf.webhookHandler('github'), (error) => app.log.error(error))
  // Parsers belong to the plugin they are added in: here bodies are left unread, outside of it JSON is parsed as ever.
  app.register(async (raw) => {
    raw.removeAllContentTypeParsers()
    raw.addContentTypeParser('*', (_request, _body, done) => done(null))
    raw.post('/orders', (request, reply) => orders(request.raw, reply.hijack().raw))
    raw.post('/webhooks/github', (request, reply) => github(request.raw, reply.hijack().raw))
  })
  app.post('/echo', (request) => request.body)
  return app
}
