/** The contract: made of the schemas that check requests, so that it cannot say anything else. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Env } from './guard.ts'

export function contractOf(app: OpenAPIHono<Env>): object {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description:
      'Made by `holdfast token create`. Without configured tokens only this machine is served, and none is needed.',
  })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: '1',
      description:
        'Records and requests in, operations on what became of them. Every error is a problem (RFC 9457) with a stable `code`; every answer carries `x-correlation-id`. Nothing is answered 2xx before it is on disk.',
    },
  })
}
