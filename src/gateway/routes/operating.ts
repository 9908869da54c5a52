/** Putting things right: replay, discard, resolve; suspend, resume, reset. All of it is written to the trail of actions. */
import { z } from '@hono/zod-openapi'
import { closed } from '../../config/schema-parts.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { ReplayReport, ReplayRequest } from '../../engine/api.ts'
import { notDisabled } from '../../engine/callbacks/disabled-addresses.ts'
import type { OperatorReceipt } from '../../ledger/port.ts'
import { jsonAnswer, shownReplay } from '../present.ts'
import { notFound } from '../problems.ts'
import type { Add, Call } from '../route.ts'
import * as schemas from '../schemas.ts'
import { selectionOf } from '../schemas.ts'

/** How long an answer waits for a canary; its items go on being worked on after that. */
const CANARY_WAIT_MS = 60_000

export function addOperating(add: Add): void {
  addDeadLetterOrders(add)
  addIntegrations(add)
  addBreakers(add)
  addCallbacks(add)
}

const refusedItem = z.object({ itemId: z.string(), why: z.string() })

const replayBody = closed({
  selection: schemas.selectionSchema,
  dryRun: z.boolean().describe('Only say what would happen.').optional(),
  patch: z.unknown().describe('RFC 7396 merge patch for each payload; null removes a field.').optional(),
  canary: z.int().min(0).max(1000).describe('This many first; the rest only if all of them succeed.').optional(),
  notApplied: z.boolean().describe('Unknown outcomes too: your word that they did not happen.').optional(),
}).openapi('ReplayOrder')

function addDeadLetterOrders(add: Add): void {
  add({
    method: 'post',
    path: '/v1/dead-letters/replay',
    scope: 'operate',
    summary: 'Put dead letters back, corrected if need be',
    body: replayBody,
    answers: { 200: { description: 'What was done, or would be.', schema: schemas.replayReport } },
    async handle(call) {
      return jsonAnswer(shownReplay(await replay(call), call.parts.redact))
    },
  })
  add({
    method: 'post',
    path: '/v1/dead-letters/discard',
    scope: 'operate',
    summary: 'End dead letters for good, with a reason',
    body: closed({ selection: schemas.selectionSchema, reason: schemas.reason }).openapi('DiscardOrder'),
    answers: {
      200: {
        description: 'What was done.',
        schema: z.object({ discarded: z.int(), refused: z.array(refusedItem) }),
      },
    },
    async handle({ body, operations, principal }) {
      const receipts = await operations.discard(selectionOf(body.selection), body.reason, principal.by)
      const refused = receipts.flatMap(whyRefused)
      return jsonAnswer({ discarded: receipts.length - refused.length, refused })
    },
  })
  add({
    method: 'post',
    path: '/v1/items/cancel',
    scope: 'operate',
    summary: 'Give up on items that have not ended, and on what waits for them, with a reason',
    description:
      'Of many items a job does the same, paced: POST /v1/jobs. Dead letters are for /v1/dead-letters/discard.',
    body: closed({ selection: schemas.selectionSchema, reason: schemas.reason }).openapi('CancelOrder'),
    answers: {
      200: {
        description: 'What was done. Marked: a worker has it; it ends as cancelled, unless it succeeds.',
        schema: z.object({ cancelled: z.int(), marked: z.int(), refused: z.array(refusedItem) }),
      },
    },
    async handle({ body, operations, principal }) {
      const receipts = await operations.cancel(selectionOf(body.selection), body.reason, principal.by)
      const count = (outcome: OperatorReceipt['outcome']) => receipts.filter((one) => one.outcome === outcome).length
      return jsonAnswer({ cancelled: count('done'), marked: count('marked'), refused: receipts.flatMap(whyRefused) })
    },
  })
  add({
    method: 'post',
    path: '/v1/items/{id}/resolve',
    scope: 'operate',
    summary: 'A verdict on an unknown outcome: it happened, or it did not',
    params: schemas.idParams,
    body: z
      .union([
        closed({
          happened: z.literal(true),
          externalId: z.string().max(1000).optional(),
          output: z.unknown().describe('What the step would have given.').optional(),
          reason: schemas.reason.optional(),
        }),
        closed({ happened: z.literal(false).describe('It is sent again.') }),
      ])
      .openapi('Verdict'),
    answers: { 200: { description: 'Done.', schema: z.object({ itemId: z.string(), outcome: z.string() }) } },
    async handle({ params, body, operations, principal }) {
      const receipt = await operations.resolve(params.id, verdictOf(body), principal.by)
      if (receipt.outcome === 'not_found') throw notFound('item', params.id)
      if (receipt.outcome === 'refused') throw conflict(`It is ${receipt.state}: ${receipt.why}`)
      return jsonAnswer({ itemId: params.id, outcome: receipt.outcome })
    },
  })
}

type Verdict =
  | { happened: true; externalId?: string | undefined; output?: unknown; reason?: string | undefined }
  | { happened: false }

function verdictOf(written: Verdict): Parameters<Call['operations']['resolve']>[1] {
  if (!written.happened) return { happened: false }
  const { externalId, output, reason } = written
  return {
    happened: true,
    ...(externalId !== undefined && { externalId }),
    ...(output !== undefined && { output: output as Json }),
    ...(reason !== undefined && { reason }),
  }
}

async function replay({
  body,
  operations,
  principal,
  parts,
  request,
}: Call<unknown, unknown, z.output<typeof replayBody>>): Promise<ReplayReport> {
  const order: ReplayRequest = {
    selection: selectionOf(body.selection),
    by: principal.by,
    ...(body.dryRun && { dryRun: true }),
    ...(body.patch !== undefined && { patch: body.patch as Json }),
    ...(body.notApplied && { knownNotApplied: true }),
  }
  if (body.canary === undefined || body.dryRun) return operations.replay(order)
  const tooLong = new AbortController()
  const timer = parts.clock.setTimer(CANARY_WAIT_MS, () => tooLong.abort())
  try {
    const signal = AbortSignal.any([tooLong.signal, request.signal])
    return await operations.replay({ ...order, canary: body.canary, signal })
  } catch (error) {
    throw tooLong.signal.aborted ? canaryNotEnded(body.canary) : error
  } finally {
    timer.cancel()
  }
}

function canaryNotEnded(canary: number): HoldfastError {
  return new HoldfastError({
    code: 'canary_not_ended',
    class: 'transient',
    message: `The first ${canary} are put back, and have not all ended within ${CANARY_WAIT_MS / 1000} seconds; nothing else was touched`,
    hint: 'Look at them with GET /v1/items; once they have succeeded, replay the rest.',
  })
}

function addIntegrations(add: Add): void {
  const lanes = z.array(z.string())
  add({
    method: 'get',
    path: '/v1/integrations',
    scope: 'read',
    summary: 'The APIs, and how they are',
    answers: { 200: { description: 'All of them.', schema: z.object({ integrations: z.array(schemas.integration) }) } },
    async handle({ operations }) {
      return jsonAnswer({ integrations: await operations.integrations() })
    },
  })
  add({
    method: 'post',
    path: '/v1/integrations/{name}/suspend',
    scope: 'operate',
    summary: 'Hold all items of an integration, without using their attempts',
    params: schemas.nameParams,
    body: closed({ reason: schemas.reason }).openapi('SuspendOrder'),
    answers: { 200: { description: 'Its lanes.', schema: z.object({ suspended: lanes, reason: z.string() }) } },
    async handle({ params, body, operations }) {
      return jsonAnswer({ suspended: await operations.suspend(params.name, body.reason), reason: body.reason })
    },
  })
  add({
    method: 'post',
    path: '/v1/integrations/{name}/resume',
    scope: 'operate',
    summary: 'Let the items of an integration go on',
    params: schemas.nameParams,
    answers: { 200: { description: 'Its lanes.', schema: z.object({ resumed: lanes }) } },
    async handle({ params, operations }) {
      return jsonAnswer({ resumed: await operations.resume(params.name) })
    },
  })
}

function addBreakers(add: Add): void {
  add({
    method: 'get',
    path: '/v1/breakers',
    scope: 'read',
    summary: 'Circuit breakers: which endpoint is refused, why, and when it is tried again',
    answers: { 200: { description: 'All of them.', schema: z.object({ breakers: z.array(schemas.breaker) }) } },
    async handle({ operations }) {
      return jsonAnswer({ breakers: await operations.breakers() })
    },
  })
  add({
    method: 'post',
    path: '/v1/breakers/{key}/reset',
    scope: 'operate',
    summary: 'Close a breaker now; what it held is due at once',
    params: schemas.keyParams,
    answers: { 200: { description: 'Done.', schema: z.object({ reset: z.string() }) } },
    async handle({ params, operations }) {
      if (!(await operations.resetBreaker(params.key))) throw notFound('breaker', params.key)
      return jsonAnswer({ reset: params.key })
    },
  })
}

function addCallbacks(add: Add): void {
  add({
    method: 'get',
    path: '/v1/callbacks/disabled',
    scope: 'read',
    summary: 'Addresses of callbacks that answered 410 Gone: nothing is sent there',
    answers: {
      200: { description: 'All of them.', schema: z.object({ disabled: z.array(schemas.disabledAddress) }) },
    },
    async handle({ operations }) {
      return jsonAnswer({ disabled: await operations.disabledAddresses() })
    },
  })
  add({
    method: 'post',
    path: '/v1/callbacks/{address}/enable',
    scope: 'operate',
    summary: 'Send callbacks to an address again; those that ended meanwhile are dead letters, to be replayed',
    params: z.object({ address: z.string().min(1).max(100) }),
    answers: { 200: { description: 'What it was.', schema: z.object({ enabled: schemas.disabledAddress }) } },
    async handle({ params, operations }) {
      const enabled = await operations.enableAddress(params.address)
      if (!enabled) throw notDisabled(params.address)
      return jsonAnswer({ enabled })
    },
  })
}

function whyRefused(receipt: OperatorReceipt): { itemId: string; why: string }[] {
  if (receipt.outcome === 'refused') return [{ itemId: receipt.itemId, why: receipt.why }]
  return receipt.outcome === 'not_found' ? [{ itemId: receipt.itemId, why: 'there is no such item' }] : []
}

function conflict(message: string): HoldfastError {
  return new HoldfastError({
    code: 'not_possible_now',
    class: 'conflict',
    message,
    hint: 'Look at the item first: GET /v1/items/{id}.',
  })
}
