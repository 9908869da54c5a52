/** The gateway as one function from a request to an answer: whatever listens, or a test, calls it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { OpenAPIHono } from '@hono/zod-openapi'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { createAccess } from './access.ts'
import { createAdmission } from './admission.ts'
import { createGauge } from './body.ts'
import { correlationOf } from './correlation.ts'
import { createDirectRoutes } from './direct.ts'
import { createEntrance } from './entrance.ts'
import { createEventStreams, type EventStreams } from './event-stream.ts'
import { createGuard, type Env, type Guard, type RequestFacts } from './guard.ts'
import { headOfRequest } from './head.ts'
import { withHeaders } from './headers.ts'
import { createReadIncoming } from './incoming-body.ts'
import { contractOf } from './openapi.ts'
import type { GatewayParts } from './parts.ts'
import { jsonAnswer } from './present.ts'
import { problemResponse, statusOf } from './problems.ts'
import { type Reading, routesOf } from './route.ts'
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
  /** All but webhooks and the proxy. @param from the caller's network address. Never throws. */
  fetch(request: Request, from: string): Promise<Response>
  /** Webhooks and the proxy. False: it is for `fetch`. */
  serve(incoming: IncomingMessage, outgoing: ServerResponse): boolean
  /** From now on nobody is let in, answers ask for their connection to be closed, streams end, and `/readyz` says so. */
  drain(): void
  readonly inFlight: number
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>
}

/** Of all bodies that are arriving. */
const MAX_ARRIVING_BYTES = 256 * 1024 * 1024

export function createGatewayApp(parts: GatewayParts): GatewayApp {
  const { settings, clock, loopDelayMs, proxyHosts = new Map() } = parts
  const admission = createAdmission({ settings, clock, loopDelayMs })
  const access = createAccess({ ...settings, hosts: [...settings.hosts, ...proxyHosts.keys()] })
  const entrance = createEntrance(access, admission)
  const mostArriving = parts.maxArrivingBytes ?? MAX_ARRIVING_BYTES
  const buffers = { bytes: 0, maxBytes: Math.max(mostArriving, 4 * parts.maxPayloadBytes) }
  const reading = { clock, arrivalMs: settings.arrivalMs, buffers }
  const streams = createEventStreams(clock)
  let draining = false
  const isDraining = () => draining
  const app = createRoutes(parts, createGuard(entrance), reading, streams, isDraining)
  const readBody = createReadIncoming(reading)
  const gauge = () => createGauge({ maxBytes: Number.POSITIVE_INFINITY, buffers })
  const arriving = { read: readBody, gauge, waitMs: settings.arrivalMs }
  const direct = createDirectRoutes({ parts, entrance, readBody, arriving, isDraining })
  return {
    async fetch(request, from) {
      const { id: correlationId, isGiven } = correlationOf(headOfRequest(request, from), parts.newId)
      const facts: RequestFacts = { from, correlationId, hasOwnCorrelation: isGiven }
      return withHeaders(await app.fetch(request, facts), correlationId, draining)
    },
    serve: direct.serve,
    drain() {
      draining = true
      admission.close()
      streams.close()
    },
    get inFlight() {
      return admission.inFlight
    },
    idle: () => admission.idle(),
  }
}

function createRoutes(
  parts: GatewayParts,
  guard: Guard,
  reading: Reading,
  streams: EventStreams,
  isDraining: () => boolean,
): OpenAPIHono<Env> {
  const app = new OpenAPIHono<Env>()
  const add = routesOf(app, parts, guard, reading)
  addSubmitting(add)
  addLooking(add)
  addOperating(add)
  addErasing(add)
  addExport(add)
  addJobs(add, streams)
  addInstallation(add)
  addEvents(add, streams)
  addProbes(add, parts, isDraining)
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

function unknownRoute(method: string, path: string): HoldfastError {
  return new HoldfastError({
    code: 'route_not_found',
    class: 'not_found',
    message: `There is no ${method} ${path.slice(0, 200)}`,
    hint: 'GET /openapi.json lists all routes.',
  })
}
