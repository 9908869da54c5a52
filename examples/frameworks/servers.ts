/** The four of them on real ports, for the tests. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import type { Holdfast } from 'holdfast'
import { idempotent, nodeListener } from 'holdfast/webhooks'
import { Hono } from 'hono'
import { shopOnExpress } from './express.ts'
import { shopOnFastify } from './fastify.ts'
import { shopOnHono } from './hono.ts'
import { POST as postOrder } from './next/app/orders/route.ts'
import { POST as postWebhook } from './next/app/webhooks/github/route.ts'
import { handlersOf } from './next/shop.ts'
import type { CreateOrder } from './shop.ts'

export interface RunningShop extends AsyncDisposable {
  readonly url: string
}

type Start = (hf: Holdfast, createOrder: CreateOrder, onError: (error: unknown) => void) => Promise<RunningShop>

export const FRAMEWORKS: Readonly<Record<string, Start>> = {
  async Hono(hf, createOrder, onError) {
    return listening(createAdaptorServer({ fetch: telling(shopOnHono(hf, createOrder), onError).fetch }) as Server)
  },
  async 'Express 5'(hf, createOrder) {
    return listening(createServer(shopOnExpress(hf, createOrder)))
  },
  async 'Fastify 5'(hf, createOrder) {
    const app = shopOnFastify(hf, createOrder)
    await app.ready()
    return listening(app.server)
  },
  /** Next itself is not here: routes are functions of a `Request`, and all that it does for them is to call the right one. */
  async 'a Next-style route'(hf, createOrder, onError) {
    Object.assign(globalThis, { shop: Promise.resolve(handlersOf(hf, createOrder)) })
    const routes: Record<string, CreateOrder> = {
      '/orders': postOrder,
      '/webhooks/github': postWebhook,
      '/echo': async (request) => Response.json(await request.json()),
    }
    const route = (request: Request) => routes[new URL(request.url).pathname]?.(request) ?? Response.error()
    return listening(createServer(nodeListener(route, onError)))
  },
}

/** What goes wrong everywhere: something parses the body first. */
export const PARSED_FIRST: Readonly<Record<string, Start>> = {
  async Hono(hf, createOrder, onError) {
    const app = telling(new Hono(), onError)
    app.use(async (c, next) => {
      await c.req.json()
      await next()
    })
    app.route('/', shopOnHono(hf, createOrder))
    return listening(createAdaptorServer({ fetch: app.fetch }) as Server)
  },
  async 'Express 5'(hf, createOrder) {
    return listening(createServer(express().use(express.json()).use(shopOnExpress(hf, createOrder))))
  },
  async 'Fastify 5'(hf, createOrder, onError) {
    const app = fastify()
    const orders = nodeListener(idempotent(createOrder, { store: hf }), onError)
    const github = nodeListener(hf.webhookHandler('github'), onError)
    app.post('/orders', (request, reply) => orders(request.raw, reply.hijack().raw))
    app.post('/webhooks/github', (request, reply) => github(request.raw, reply.hijack().raw))
    await app.ready()
    return listening(app.server)
  },
  async 'a Next-style route'(hf, createOrder, onError) {
    const { orders, github } = handlersOf(hf, createOrder)
    const route = async (request: Request) => {
      await request.json()
      return new URL(request.url).pathname === '/orders' ? orders(request) : github(request)
    }
    return listening(createServer(nodeListener(route, onError)))
  },
}

function telling(app: Hono, onError: (error: unknown) => void): Hono {
  return app.onError((error, c) => {
    onError(error)
    return c.text('', 500)
  })
}

async function listening(server: Server): Promise<RunningShop> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
