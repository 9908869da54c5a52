/** Looking things up: runs, items, dead letters, the balance, what operators did. */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import { jsonAnswer, shownItem, shownRun } from '../present.ts'
import { notFound } from '../problems.ts'
import type { Add } from '../route.ts'
import * as schemas from '../schemas.ts'
import { filterOf, pageOf } from '../schemas.ts'

const INBOX = ['dead_lettered', 'unknown_outcome'] as const

export function addLooking(add: Add): void {
  addItems(add)
  addDeadLetters(add)
  addBooks(add)
}

function addItems(add: Add): void {
  add({
    method: 'get',
    path: '/v1/runs/{id}',
    scope: 'read',
    summary: 'One run, with its items',
    params: schemas.idParams,
    answers: { 200: { description: 'The run.', schema: schemas.run } },
    async handle({ params, operations, parts }) {
      const run = await operations.run(params.id)
      if (!run) throw notFound('run', params.id)
      return jsonAnswer(shownRun(run, parts.redact))
    },
  })
  add({
    method: 'get',
    path: '/v1/items',
    scope: 'read',
    summary: 'Items, newest first',
    query: schemas.itemsQuery,
    answers: { 200: { description: 'One page.', schema: schemas.itemPage } },
    async handle({ query, operations }) {
      const page = await operations.items(filterOf(query), pageOf(query))
      return jsonAnswer({ items: page.rows, cursor: page.cursor ?? null })
    },
  })
  add({
    method: 'get',
    path: '/v1/items/{id}',
    scope: 'read',
    summary: 'One item: every attempt, and its explanation',
    params: schemas.idParams,
    answers: {
      200: {
        description: 'The item, and its story.',
        schema: z.object({ item: schemas.itemRecord, explanation: schemas.explanation }),
      },
    },
    async handle({ params, operations, parts }) {
      const [item, explanation] = await Promise.all([operations.item(params.id), operations.explain(params.id)])
      if (!item || !explanation) throw notFound('item', params.id)
      return jsonAnswer({ item: shownItem(item, parts.redact), explanation })
    },
  })
}

function addDeadLetters(add: Add): void {
  add({
    method: 'get',
    path: '/v1/dead-letters',
    scope: 'read',
    summary: 'Dead letters and unknown outcomes, newest first',
    query: schemas.deadLettersQuery,
    answers: { 200: { description: 'One page.', schema: schemas.itemPage } },
    async handle({ query, operations }) {
      const page = await operations.items({ ...filterOf(query), states: INBOX }, pageOf(query))
      return jsonAnswer({ items: page.rows, cursor: page.cursor ?? null })
    },
  })
  add({
    method: 'get',
    path: '/v1/dead-letters/groups',
    scope: 'read',
    summary: 'Dead letters and unknown outcomes by cause, the largest group first',
    query: schemas.groupsQuery,
    answers: { 200: { description: 'All groups.', schema: z.object({ groups: z.array(schemas.group) }) } },
    async handle({ query, operations }) {
      return jsonAnswer({ groups: await operations.groups({ needsPerson: false, ...filterOf(query) }) })
    },
  })
}

function addBooks(add: Add): void {
  add({
    method: 'get',
    path: '/v1/stats',
    scope: 'read',
    summary: 'The balance, and whatever is not well: what `holdfast status` says',
    query: schemas.statsQuery,
    answers: {
      200: {
        description: 'As of now.',
        schema: z.object({
          balance: schemas.balance,
          needsPerson: z.int(),
          groups: z.array(schemas.group),
          breakers: z.array(schemas.breaker).describe('Those that are not closed.'),
          lanes: z.array(schemas.lane).describe('Those that are suspended, or whose gate is closed.'),
          disabledAddresses: z.array(schemas.disabledAddress).describe('Of callbacks.'),
        }),
      },
    },
    async handle({ query, operations, parts }) {
      const filter = filterOf(query)
      const nowMs = parts.clock.wallMs()
      const [balance, groups, breakers, lanes, disabledAddresses] = await Promise.all([
        operations.balance(filter),
        operations.groups(filter),
        operations.breakers(),
        operations.lanes(),
        operations.disabledAddresses(),
      ])
      return jsonAnswer({
        balance,
        needsPerson: balance.needsPerson,
        groups,
        breakers: breakers.filter(({ phase }) => phase !== 'closed'),
        lanes: lanes.filter(({ suspended, gateUntilMs }) => suspended !== undefined || gateUntilMs > nowMs),
        disabledAddresses,
      })
    },
  })
  let auditing: Promise<unknown> | undefined
  add({
    method: 'get',
    path: '/v1/audit',
    scope: 'read',
    summary: 'Proves that no record is lost: reads the whole store',
    description: 'Those who ask while one is under way get its answer.',
    answers: { 200: { description: 'The proof.', schema: schemas.auditReport } },
    async handle({ operations }) {
      auditing ??= operations.audit().finally(() => {
        auditing = undefined
      })
      return jsonAnswer(await auditing)
    },
  })
  add({
    method: 'get',
    path: '/v1/actions',
    scope: 'read',
    summary: 'What operators did: who, what, when, from where',
    query: closed({
      by: z.string().max(200).describe('`cli:ada`, `token:ci`').optional(),
      what: z.string().max(200).describe('`replay`, `suspend`, ...').optional(),
      ...schemas.pageQuery.shape,
    }),
    answers: { 200: { description: 'One page, newest first.', schema: schemas.actionPage } },
    async handle({ query, operations }) {
      const filter = {
        ...(query.by !== undefined && { by: query.by }),
        ...(query.what !== undefined && { what: query.what }),
      }
      const page = await operations.actions(filter, pageOf(query))
      return jsonAnswer({ actions: page.rows, cursor: page.cursor ?? null })
    },
  })
}
