/** Three effects of three kinds per record, against a twin that loses answers: what the kill tests send through. */
import { z } from 'zod'
import type { ConfigInput } from '../../../src/config/define.ts'
import type { Random } from '../../../src/core/random.ts'
import { definePipeline } from '../../../src/engine/pipelines/pipeline.ts'
import { systemClock } from '../../../src/system/system-clock.ts'
import type { FaultRule } from '../../../src/testing/faults/fault.ts'
import type { TwinRequest } from '../../../src/testing/twin/request.ts'
import { resource } from '../../../src/testing/twin/resource.ts'
import { route } from '../../../src/testing/twin/route.ts'
import { startTwin, type Twin } from '../../../src/testing/twin/twin.ts'

export const STEPS = ['contact', 'enrolment', 'profile'] as const

const found = z.object({ results: z.array(z.object({ id: z.string() })) })

export const onboard = definePipeline('onboard', { input: z.object({ email: z.string() }) })
  .step('contact', {
    integration: 'twin',
    // Unsafe: a repeated POST doubles it.
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    parse: (answer) => z.object({ id: z.string() }).parse(answer.data),
    reconcile: {
      request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
      match: (answer) => found.parse(answer.data).results[0],
    },
  })
  .step('enrolment', {
    integration: 'twin',
    request: { method: 'POST', path: '/enrolments', body: ({ input }) => input },
    idempotency: { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 },
  })
  .step('profile', {
    after: ['contact'],
    integration: 'twin',
    request: {
      method: 'PUT',
      path: '/profiles/{email}',
      params: ({ input }) => ({ email: input.email }),
      body: ({ outputs }) => ({ contactId: outputs.contact.id }),
    },
  })

/** So quick that minutes of trouble fit into seconds; never so impatient that an item is given up. */
export function integrations(url: string): NonNullable<ConfigInput['integrations']> {
  return {
    twin: {
      baseUrl: url,
      timeouts: { connect: '2s', headers: '2s', body: '2s', total: '4s' },
      retry: { base: '20ms', cap: '200ms', maxAttempts: 100 },
      retryBudget: { ratio: 1, minimumPerSecond: 1000, burst: 1000 },
      breaker: { consecutiveFailures: 50, failureRate: 1, open: '100ms', maxOpen: '200ms' },
      limits: { concurrency: 30 },
    },
  }
}

/** Effects of POSTs are counted by e-mail; a PUT may be repeated, so only what is there counts. */
export function startKillTwin(random: Random): Promise<Twin> {
  const counted = {
    effectKey: (request: TwinRequest) => `${request.path} ${request.field('email')}`,
    work: '5ms',
    faults: answersAreLost(),
  } as const
  return startTwin({
    clock: systemClock,
    random,
    routes: [
      ...resource('/contacts', counted),
      ...resource('/enrolments', { ...counted, idempotency: true }),
      route('PUT', '/profiles/{id}', {
        effectKey: () => undefined,
        faults: answersAreLost(),
        apply: ({ params, body }, store) => {
          const record = store.collection('profiles').put(params['id'] ?? '', body as Record<string, unknown>)
          return { status: 200, body: record }
        },
      }),
    ],
  })
}

function answersAreLost(): Omit<FaultRule, 'route'>[] {
  return [
    { fault: 'executed_then_reset', probability: 0.05 },
    { fault: 'reset_before_executing', probability: 0.03 },
    { fault: { kind: 'status', status: 503 }, probability: 0.03 },
    { fault: { kind: 'delay', delay: '30ms' }, probability: 0.05 },
  ]
}
