/**
 * What a trial sends through: four effects per record, each made safe in another way, against a twin behind a socket that
 * loses answers, and keeps its own record of what was done.
 */
import { z } from 'zod'
import type { ConfigInput } from '../../src/config/define.ts'
import type { Random } from '../../src/core/random.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import type { FaultRule } from '../../src/testing/faults/fault.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { type RouteOptions, route } from '../../src/testing/twin/route.ts'
import { startTwin, type Twin } from '../../src/testing/twin/twin.ts'

export const STEPS_PER_RUN = 4

const created = z.object({ id: z.string() })
const found = z.object({ results: z.array(created) })

export const onboard = definePipeline('onboard', { input: z.object({ email: z.string() }) })
  // The one that is due at once, and safe to repeat: where a worker waits for it, it is leased to that by the submit (decision 035).
  .step('enrolment', {
    integration: 'twin',
    request: { method: 'POST', path: '/enrolments', body: ({ input }) => input },
    idempotency: { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 },
  })
  .step('contact', {
    after: ['enrolment'],
    integration: 'twin',
    // Unsafe: a repeated POST doubles it, so a lost answer must be looked for.
    request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
    parse: (answer) => created.parse(answer.data),
    reconcile: {
      request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
      match: (answer) => found.parse(answer.data).results[0],
    },
  })
  .step('account', {
    after: ['enrolment'],
    integration: 'twin',
    request: { method: 'POST', path: '/accounts', body: ({ input }) => input },
    idempotency: { kind: 'natural', field: 'email' },
  })
  .step('profile', {
    after: ['contact', 'account'],
    integration: 'twin',
    request: {
      method: 'PUT',
      path: '/profiles/{email}',
      params: ({ input }) => ({ email: input.email }),
      body: ({ outputs }) => ({ contactId: outputs.contact.id }),
    },
  })

export function emailOf(run: number): string {
  return `${run}@example.com`
}

/** Quick, and never so impatient that an item is given up: what is lost here must be our fault. */
export function configOf(store: string, url: string, leaseMs: number): ConfigInput {
  return {
    store,
    integrations: {
      twin: {
        baseUrl: url,
        timeouts: { connect: '5s', headers: '5s', body: '5s', total: '10s' },
        retry: { base: '50ms', cap: '1s', maxAttempts: 100 },
        retryBudget: { ratio: 1, minimumPerSecond: 10_000, burst: 10_000 },
        breaker: { consecutiveFailures: 1000, failureRate: 1, open: '100ms', maxOpen: '200ms' },
        // What the dead hold until their leases end counts too.
        limits: { concurrency: 1000 },
      },
    },
    pipelines: [onboard],
    worker: { lease: `${leaseMs}ms`, poll: '100ms', concurrency: 50 },
  }
}

/** Told of each effect, by a name that is the same however often it happens. */
export function startWorld(random: Random, onEffect: (key: string) => void): Promise<Twin> {
  const trouble: Pick<RouteOptions, 'faults'> = { faults: answersAreLost() }
  const counted: RouteOptions = {
    ...trouble,
    effectKey: (request) => `${request.path} ${request.field('email')}`,
    work: '5ms',
  }
  return startTwin({
    clock: systemClock,
    random,
    routes: [
      route('GET', '/contacts', {
        // By an index: there will be very many.
        apply({ query }, store) {
          const contact = store.collection('contacts').findBy('email', query['email'] ?? '')
          return { status: 200, body: { results: contact ? [contact] : [] } }
        },
      }),
      ...resource('/contacts', counted),
      ...resource('/enrolments', { ...counted, idempotency: true }),
      ...resource('/accounts', { ...trouble, work: '5ms', uniqueBy: 'email', effectKey: accountKey }),
      route('PUT', '/profiles/{id}', {
        ...trouble,
        effectKey: ({ path }) => path,
        apply: ({ params, body }, store) => {
          const record = store.collection('profiles').put(params['id'] ?? '', body as Record<string, unknown>)
          return { status: 200, body: record }
        },
      }),
    ],
    onEffect: ({ key }) => onEffect(key),
  })
}

/** A refusal is no effect: only what was created counts. */
const accountKey: NonNullable<Exclude<RouteOptions['effectKey'], string>> = (request, { status }) =>
  status < 300 ? `${request.path} ${request.field('email')}` : undefined

function answersAreLost(): Omit<FaultRule, 'route'>[] {
  return [
    { fault: 'executed_then_reset', probability: 0.03 },
    { fault: 'reset_before_executing', probability: 0.02 },
    { fault: { kind: 'status', status: 503 }, probability: 0.02 },
    { fault: { kind: 'delay', delay: '50ms' }, probability: 0.03 },
  ]
}

export interface TwinVerdict {
  /** Effects that were asked for and are not there. */
  readonly lost: readonly string[]
  /** Effects that are there more than once, or that nobody asked for. */
  readonly doubled: readonly string[]
  readonly requests: number
  readonly faults: number
}

/** The other side's own record, compared with what was submitted; nothing of Holdfast is asked. */
export function judgeTwin(twin: Twin, runs: number): TwinVerdict {
  const lost: string[] = []
  const doubled: string[] = []
  const contacts = new Map<string, string>()
  for (const collection of ['contacts', 'enrolments', 'accounts']) {
    const there = new Map<string, number>()
    for (const record of twin.store.collection(collection).all()) {
      const email = String(record['email'])
      there.set(email, (there.get(email) ?? 0) + 1)
      if (collection === 'contacts') contacts.set(email, record.id)
    }
    for (let run = 0; run < runs; run++) {
      const count = there.get(emailOf(run)) ?? 0
      if (count === 0) lost.push(`${collection} ${emailOf(run)}`)
      if (count > 1) doubled.push(`${collection} ${emailOf(run)}: ${count} times`)
      there.delete(emailOf(run))
    }
    for (const email of there.keys()) doubled.push(`${collection} ${email}: never asked for`)
  }
  const profiles = twin.store.collection('profiles')
  for (let run = 0; run < runs; run++) {
    // A PUT may be repeated; what counts is that it is there, and of the contact that is there.
    if (profiles.get(emailOf(run))?.['contactId'] !== contacts.get(emailOf(run))) lost.push(`profiles ${emailOf(run)}`)
  }
  const faults = [...twin.faults.values()].reduce((sum, count) => sum + count, 0)
  return { lost, doubled, requests: twin.requests.total, faults }
}
