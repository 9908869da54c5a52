/** The routes of every simulated vendor: one for each way in which a repetition may matter. */
import type { TwinRequest } from '../twin/request.ts'
import { resource } from '../twin/resource.ts'
import { type FieldProblem, route, type TwinRoute } from '../twin/route.ts'
import { type BatchRecord, batchRoutes } from './twin-batches.ts'

const REPEATABLE: ReadonlySet<string> = new Set([
  'PUT /things/{id}',
  'DELETE /things/{id}',
  'POST /batch-things',
  'POST /batch-things-atomic',
])

/** Whether a repetition of the route's effect changes nothing. */
export function isRepeatable(route: string): boolean {
  return REPEATABLE.has(route)
}

/** What a vendor answers with status 200 where it has done nothing. Integrations have a rule for it (`draw/apis.ts`). */
export const ERROR_IN_200 = { code: 'overloaded', message: 'This could not be done right now' } as const

/** Longer than any retry can come. */
const KEY_LIFETIME = '3650d'

/**
 * - `POST /records`: each execution is another effect; `GET /records?operation=` finds it as soon as it is done.
 * - `POST /keyed`: honours an Idempotency-Key. `POST /unique`: a second record of the same `operation` is refused with 409.
 * - `PUT /things/{id}`, `DELETE /things/{id}`: effects that may be repeated. `GET /lookup/{id}`: none.
 *
 * - Calls with several records: `twin-batches.ts`.
 *
 * The effect's key is the body's `operation`, or the id. Writes with a body answer 422 where `refused` in it names their `step`.
 */
export function twinRoutes(): readonly TwinRoute[] {
  const posted = { effectKey: 'operation', required: ['operation'], ids: 'number', validate: refusedData } as const
  const things = { effectKey: idOf, validate: refusedData }
  return [
    ...resource('/records', posted),
    ...resource('/keyed', { ...posted, idempotency: { required: true, lifetime: KEY_LIFETIME } }),
    ...resource('/unique', { ...posted, uniqueBy: 'operation' }),
    route('PUT', '/things/{id}', {
      ...things,
      apply: (request, store) => ({
        status: 200,
        body: store.collection('things').put(idOf(request), request.body as Record<string, unknown>),
      }),
    }),
    route('DELETE', '/things/{id}', {
      effectKey: idOf,
      apply(request, store) {
        store.collection('things').delete(idOf(request))
        return { status: 204 }
      },
    }),
    ...batchRoutes(isRefused),
    route('GET', '/lookup/{id}', { apply: (request) => ({ status: 200, body: { operation: idOf(request) } }) }),
  ]
}

function idOf({ params }: TwinRequest): string {
  return params['id'] as string
}

function refusedData({ body }: TwinRequest): readonly FieldProblem[] {
  const record = (body ?? {}) as Partial<BatchRecord>
  if (!isRefused(record)) return []
  return [{ field: 'refused', code: 'invalid', message: `This data is refused for ${record.step}` }]
}

function isRefused({ refused, step }: Partial<BatchRecord>): boolean {
  return step !== undefined && refused?.includes(step) === true
}
