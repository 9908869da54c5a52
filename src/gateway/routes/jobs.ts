/** Jobs: what is done to many items is planned, begun, watched and cancelled. */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import type { Timer } from '../../core/clock.ts'
import type { Json } from '../../core/json.ts'
import type { JobOrder, JobView } from '../../engine/api.ts'
import type { EventStream, EventStreams } from '../event-stream.ts'
import { jsonAnswer, shownSamples } from '../present.ts'
import { notFound } from '../problems.ts'
import type { Add, Call } from '../route.ts'
import * as schemas from '../schemas.ts'
import { pageOf, selectionOf } from '../schemas.ts'
import * as jobSchemas from '../schemas-jobs.ts'

const LOOK_EVERY_MS = 1000

type JobCall = Call<unknown, unknown, z.output<typeof jobSchemas.jobOrder>>

export function addJobs(add: Add, streams: EventStreams): void {
  addOrders(add)
  addViews(add)
  addProgress(add, streams)
}

function addOrders(add: Add): void {
  add({
    method: 'post',
    path: '/v1/jobs/plan',
    scope: 'read',
    summary: 'What a job would do: how many items, which it would leave alone and why, how long it takes at least',
    description: 'Changes nothing.',
    body: jobSchemas.jobOrder,
    answers: { 200: { description: 'The plan.', schema: jobSchemas.jobPlan } },
    async handle(call) {
      const plan = await call.operations.planJob(orderOf(call))
      return jsonAnswer({
        ...plan,
        estimatedMs: plan.estimatedMs ?? null,
        samples: shownSamples(plan.samples, call.parts.redact),
      })
    },
  })
  add({
    method: 'post',
    path: '/v1/jobs',
    scope: 'operate',
    summary: 'Replay, discard or cancel many items, as a job',
    description:
      'Answered once it is on disk which items it is about. It is paced, few at first; whichever process has a worker works on it, and another goes on where that is lost.',
    body: jobSchemas.jobOrder,
    answers: { 202: { description: 'It is on disk.', schema: jobSchemas.job } },
    async handle(call) {
      const job = await call.operations.startJob(orderOf(call))
      return jsonAnswer(job, 202, { location: `/v1/jobs/${job.id}` })
    },
  })
  add({
    method: 'post',
    path: '/v1/jobs/{id}/cancel',
    scope: 'operate',
    summary: 'Leave what has not had its turn as it is; what was put back goes on',
    params: schemas.idParams,
    body: closed({ reason: schemas.reason }).openapi('CancelJobOrder'),
    answers: { 200: { description: 'How far it came.', schema: jobSchemas.job } },
    async handle({ params, body, operations, principal }) {
      return jsonAnswer(known(await operations.cancelJob(params.id, body.reason, principal.by), params.id))
    },
  })
}

function orderOf({ body, principal }: JobCall): JobOrder {
  const { what, selection, reason, patch, canary, notApplied } = body
  return {
    what,
    selection: selectionOf(selection),
    by: principal.by,
    ...(reason !== undefined && { reason }),
    ...(patch !== undefined && { patch: patch as Json }),
    ...(canary !== undefined && { canary }),
    ...(notApplied && { knownNotApplied: true }),
  }
}

function addViews(add: Add): void {
  add({
    method: 'get',
    path: '/v1/jobs',
    scope: 'read',
    summary: 'Jobs, newest first',
    query: schemas.pageQuery,
    answers: { 200: { description: 'One page.', schema: jobSchemas.jobPage } },
    async handle({ query, operations }) {
      const page = await operations.jobs(pageOf(query))
      return jsonAnswer({ jobs: page.rows, cursor: page.cursor ?? null })
    },
  })
  add({
    method: 'get',
    path: '/v1/jobs/{id}',
    scope: 'read',
    summary: 'One job: how many wait, are under way, have succeeded, failed again, were refused',
    params: schemas.idParams,
    answers: { 200: { description: 'As of now.', schema: jobSchemas.job } },
    async handle({ params, operations }) {
      return jsonAnswer(known(await operations.job(params.id), params.id))
    },
  })
  add({
    method: 'get',
    path: '/v1/jobs/{id}/items',
    scope: 'read',
    summary: 'The items of a job, in their order, each with its state, or why it was left alone',
    params: schemas.idParams,
    query: jobSchemas.jobItemsQuery,
    answers: { 200: { description: 'One page.', schema: jobSchemas.jobItemPage } },
    async handle({ params, query, operations }) {
      known(await operations.job(params.id), params.id)
      return jsonAnswer({ items: await operations.jobItems(params.id, { after: query.after ?? 0, ...pageOf(query) }) })
    },
  })
}

function addProgress(add: Add, streams: EventStreams): void {
  add({
    method: 'get',
    path: '/v1/jobs/{id}/events',
    scope: 'read',
    load: 'exempt',
    summary: 'The progress of a job, as server-sent events, whichever process works on it',
    description: '`event: progress` has the job, whenever it has come further; `event: end` follows its last.',
    params: schemas.idParams,
    answers: { 200: { description: 'A stream.', schema: z.string(), type: 'text/event-stream' } },
    async handle(call) {
      const job = known(await call.operations.job(call.params.id), call.params.id)
      return streams.open(`progress of job ${job.id}`, (stream) => tellProgress(call, job, stream))
    },
  })
}

function tellProgress({ operations, parts }: Call, job: JobView, stream: EventStream): Disposable {
  let timer: Timer | undefined
  let told = ''

  function tell(view: JobView): void {
    const text = JSON.stringify(view)
    if (text !== told) stream.send('progress', view)
    told = text
    if (view.endedAtMs !== undefined) stream.end('the job has ended')
    else timer = parts.clock.setTimer(LOOK_EVERY_MS, look)
  }

  function look(): void {
    operations.job(job.id).then(
      (view) => (view ? tell(view) : stream.end('the job is forgotten')),
      () => stream.end('the store cannot be read now: come back later'),
    )
  }

  tell(job)
  return { [Symbol.dispose]: () => timer?.cancel() }
}

function known(job: JobView | undefined, id: string): JobView {
  if (!job) throw notFound('job', id)
  return job
}
