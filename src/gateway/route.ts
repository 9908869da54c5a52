/** A route: what it takes and gives as schemas, which check requests and make the contract, and what it does. */
import type { OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { HoldfastError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { Operations } from '../engine/api.ts'
import type { Principal } from './access.ts'
import { type ReadLimits, readJson } from './body.ts'
import type { Guarded } from './entrance.ts'
import type { Env, Guard } from './guard.ts'
import type { GatewayParts } from './parts.ts'
import { problemSchema, refusal } from './problems.ts'

export type Fields = z.ZodObject

export interface Answer {
  readonly description: string
  readonly schema?: z.ZodType
  /** Default `application/json`. */
  readonly type?: string
}

export interface Route<Params extends Fields, Query extends Fields, Body extends z.ZodType> extends Guarded {
  readonly method: 'get' | 'post'
  /** `/v1/items/{id}` */
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly params?: Params
  readonly query?: Query
  /** Read and checked before `handle`. */
  readonly body?: Body
  /** Bodies that `handle` reads itself, for the contract. */
  readonly content?: Readonly<Record<string, z.ZodType>>
  readonly headers?: Fields
  readonly answers: Readonly<Record<number, Answer>>
  handle(call: Call<z.output<Params>, z.output<Query>, z.output<Body>>): Promise<Response> | Response
}

/** One request, checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  readonly request: Request
  readonly params: Params
  readonly query: Query
  readonly body: Body
  readonly principal: Principal
  /** On behalf of the caller: what changes anything is written to the trail of actions. */
  readonly operations: Operations
  readonly parts: GatewayParts
  readonly reading: Reading
  readonly correlationId: string
  /** False: made here. */
  readonly hasOwnCorrelation: boolean
}

/** Of bodies that are no records: orders of operators. */
const MAX_ORDER_BYTES = 1024 * 1024
/** How bodies are read, of whatever size. */
export type Reading = Omit<ReadLimits, 'maxBytes'>

export type Add = <
  Params extends Fields = z.ZodObject<Record<never, never>>,
  Query extends Fields = z.ZodObject<Record<never, never>>,
  Body extends z.ZodType = z.ZodUnknown,
>(
  route: Route<Params, Query, Body>,
) => void

export function routesOf(app: OpenAPIHono<Env>, parts: GatewayParts, guard: Guard, reading: Reading): Add {
  return (route) => {
    describeRoute(app, route)
    const serve = async (context: Context<Env>, principal: Principal): Promise<Response> => {
      const { correlationId, hasOwnCorrelation } = context.env
      const call = {
        request: context.req.raw,
        params: checked('params', route.params, context.req.param()),
        query: checked('query', route.query, queryOf(context)),
        body: route.body
          ? checked('body', route.body, await orderOf(context, parts.maxPayloadBytes, reading))
          : undefined,
        principal,
        operations: parts.holdfast.operations.as(principal),
        parts,
        reading,
        correlationId,
        hasOwnCorrelation,
      }
      // The schemas have given these their types; where there is none, the handler's type is that of nothing.
      return route.handle(call as Parameters<typeof route.handle>[0])
    }
    app.on(route.method.toUpperCase(), route.path.replace(/\{(\w+)\}/g, ':$1'), (context) =>
      guard(context, route, (principal) => serve(context, principal)),
    )
  }
}

async function orderOf(context: Context<Env>, maxPayloadBytes: number, reading: Reading): Promise<Json> {
  requireJson(context.req.raw)
  return readJson(context.req.raw, { ...reading, maxBytes: maxPayloadBytes + MAX_ORDER_BYTES })
}

/** Also what keeps a form of another site from being taken for an order. */
export function requireJson(request: Request): void {
  const type = mediaTypeOf(request)
  if (type === 'application/json' || /^application\/[\w.-]+\+json$/.test(type)) return
  throw refusal(
    'unsupported_media_type',
    `The body is "${type.slice(0, 100)}"`,
    'Send `Content-Type: application/json`.',
  )
}

export function mediaTypeOf(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function queryOf(context: Context<Env>): Record<string, string | string[]> {
  const entries = Object.entries(context.req.queries())
  return Object.fromEntries(entries.map(([name, values]) => [name, values.length > 1 ? values : (values[0] ?? '')]))
}

function checked(where: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return value
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap(({ path, message }) =>
    message.split('\n').map((line) => ({ path: [where, ...path].join('.'), message: line })),
  )
  const [first] = problems
  throw new HoldfastError({
    code: 'invalid_request',
    class: 'validation',
    message: `The request is not valid: ${first ? `${first.path}: ${first.message}` : 'see the problems'}`,
    hint: 'GET /openapi.json says what is expected.',
    details: { problems: problems.slice(0, 100) },
  })
}

function describeRoute(app: OpenAPIHono<Env>, route: Route<Fields, Fields, z.ZodType>): void {
  const { method, path, scope, summary, description, params, query, headers } = route
  const content = route.content ?? (route.body ? { 'application/json': route.body } : undefined)
  app.openAPIRegistry.registerPath({
    method,
    path,
    summary,
    operationId: operationIdOf(method, path),
    ...(description !== undefined && { description }),
    ...(scope !== 'none' && { security: [{ token: [] }], 'x-scope': scope }),
    request: {
      ...(params && { params }),
      ...(query && { query }),
      ...(headers && { headers }),
      ...(content && { body: { required: true, content: contentOf(content) } }),
    },
    responses: {
      ...Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, describeAnswer(answer)])),
      default: {
        description: 'What was wrong, and what to do.',
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    },
  })
}

function contentOf(content: Readonly<Record<string, z.ZodType>>): Record<string, { schema: z.ZodType }> {
  return Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }]))
}

function describeAnswer({ description, schema, type = 'application/json' }: Answer) {
  return { description, ...(schema && { content: { [type]: { schema } } }) }
}

/** `get /v1/items/{id}` -> `getItemsId` */
function operationIdOf(method: string, path: string): string {
  const words = path
    .replace(/^\/v1/, '')
    .split(/[^A-Za-z]+/)
    .filter(Boolean)
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}
