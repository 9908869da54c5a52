/** The gateway as one function from a request to an answer: whatever listens, or a test, calls it. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { createAccess } from './access.ts'
import { createAdmission } from './admission.ts'
import { correlationOf } from './correlation.ts'
import { createEventStreams, type EventStreams } from './event-stream.ts'
import { createGuard, type Env, type Guard, type RequestFacts } from './guard.ts'
import { withHeaders } from './headers.ts'
import { contractOf } from './openapi.ts'
import type { GatewayParts } from './parts.ts'
import { jsonAnswer } from './present.ts'
import { problemResponse, statusOf } from './problems.ts'
import { routesOf } from './route.ts'
import { addErasing } from './routes/erasing.ts'
import { addEvents } from './routes/events.ts'
import { addExport } from './routes/export.ts'
import { addInstallation } from './routes/installation.ts'
import { addJobs } from './routes/jobs.ts'
import { addLooking } from './routes/looking.ts'
import { addOperating } from './routes/operating.ts'
import { addProbes } from './routes/probes.ts'
import { addSubmitting } from './routes/submitting.ts'

export interface GatewayApp {
  /** @param from the caller's network address. Never throws. */
  fetch(request: Request, from: string): Promise<Response>
  /** From now on answers ask for their connection to be closed; streams end; `/readyz` says so. */
  drain(): void
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>
}

export function createGatewayApp(parts: GatewayParts): GatewayApp {
  const { settings, clock, loopDelayMs } = parts
  const admission = createAdmission({ settings, clock, loopDelayMs })
  const guard = createGuard(createAccess(settings), admission)
  const streams = createEventStreams(clock)
  let isDraining = false
  const app = createRoutes(parts, guard, streams, () => isDraining)
  return {
    async fetch(request, from) {
      const { id: correlationId, isGiven: hasOwnCorrelation } = correlationOf(request.headers, parts.newId)
      const facts: RequestFacts = { from, correlationId, hasOwnCorrelation }
      return withHeaders(await app.fetch(request, facts), correlationId, isDraining)
    },
    drain() {
      isDraining = true
      streams.close()
    },
    idle: () => admission.idle(),
  }
}

function createRoutes(
  parts: GatewayParts,
  guard: Guard,
  streams: EventStreams,
  isDraining: () => boolean,
): OpenAPIHono<Env> {
  const app = new OpenAPIHono<Env>()
  const add = routesOf(app, parts, guard)
  addSubmitting(add)
  addLooking(add)
  addOperating(add)
  addErasing(add)
  addExport(add)
  addJobs(add, streams)
  addInstallation(add)
  addEvents(add, streams)
  addProbes(add, parts, isDraining)
  addSeams(app, parts, guard)
  const contract = contractOf(app)
  app.get('/openapi.json', (context) => guard(context, { scope: 'read' }, () => jsonAnswer(contract)))
  app.notFound(({ req }) => {
    throw unknownRoute(req.method, req.path)
  })
  app.onError((error, { env: { correlationId } }) => {
    if (!isHoldfastError(error) || statusOf(error) === 500) parts.onTrouble({ correlationId, error })
    return problemResponse(error, correlationId)
  })
  return app
}

/** What is made elsewhere, and only guarded here: webhooks prove themselves by their signatures. */
function addSeams(app: OpenAPIHono<Env>, { webhooks, proxy }: GatewayParts, guard: Guard): void {
  if (webhooks) {
    app.post('/webhooks/:source', (context) =>
      guard(context, { scope: 'none' }, () => webhooks(context.req.raw, context.req.param('source'))),
    )
  }
  if (proxy) {
    app.all('/proxy/:integration/*', (context) =>
      guard(context, { scope: 'submit' }, () => {
        const { integration } = context.req.param()
        return proxy(context.req.raw, integration, proxiedPath(context.req.raw.url), context.env.correlationId)
      }),
    )
  }
}

/** As it came, byte by byte: what follows on `/proxy/NAME`. */
function proxiedPath(url: string): string {
  return /^[a-z]+:\/\/[^/]*\/proxy\/[^/?#]*([^#]*)/i.exec(url)?.[1] ?? '/'
}

function unknownRoute(method: string, path: string): HoldfastError {
  return new HoldfastError({
    code: 'route_not_found',
    class: 'not_found',
    message: `There is no ${method} ${path.slice(0, 200)}`,
    hint: 'GET /openapi.json lists all routes.',
  })
}
