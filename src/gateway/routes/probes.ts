/** Whether the process lives, and whether it should be sent requests: the truth, asked of the store itself. */
import { z } from '@hono/zod-openapi'
import { isHoldfastError } from '../../core/errors.ts'
import type { GatewayParts } from '../parts.ts'
import { jsonAnswer } from '../present.ts'
import type { Add } from '../route.ts'

/** Those who ask within this time share an answer: a probe is a write. */
const FRESH_MS = 1000
/** A store that takes longer is not one to send requests to. */
const PATIENCE_MS = 3000

const health = z.object({ status: z.literal('ok') })
const readiness = z.object({
  status: z.enum(['ready', 'draining', 'not_ready']),
  reason: z.string().describe('A code, such as `store_full`.').optional(),
})

type Readiness = z.infer<typeof readiness>

export function addProbes(add: Add, parts: GatewayParts, isDraining: () => boolean): void {
  const askStore = createStoreQuestion(parts)
  add({
    method: 'get',
    path: '/healthz',
    scope: 'none',
    load: 'exempt',
    summary: 'The process lives',
    answers: { 200: { description: 'It does.', schema: health } },
    handle: () => jsonAnswer({ status: 'ok' }),
  })
  add({
    method: 'get',
    path: '/readyz',
    scope: 'none',
    load: 'exempt',
    summary: 'It can store what it is sent',
    answers: {
      200: { description: 'It can.', schema: readiness },
      503: { description: 'It cannot: the store is gone or full, or it is stopping.', schema: readiness },
    },
    async handle() {
      const answer: Readiness = isDraining() ? { status: 'draining' } : await askStore()
      return jsonAnswer(answer, answer.status === 'ready' ? 200 : 503)
    },
  })
}

function createStoreQuestion({ holdfast, clock }: GatewayParts): () => Promise<Readiness> {
  let asked: { readonly atMs: number; readonly answer: Promise<Readiness> } | undefined

  async function ask(): Promise<Readiness> {
    const late = Promise.withResolvers<Readiness>()
    const timer = clock.setTimer(PATIENCE_MS, () => late.resolve({ status: 'not_ready', reason: 'store_slow' }))
    const probing = holdfast.operations.probe().then(
      (): Readiness => ({ status: 'ready' }),
      (error: unknown): Readiness => ({
        status: 'not_ready',
        reason: isHoldfastError(error) ? error.code : 'store_failed',
      }),
    )
    try {
      return await Promise.race([probing, late.promise])
    } finally {
      timer.cancel()
    }
  }

  return () => {
    const nowMs = clock.monotonicMs()
    if (!asked || nowMs - asked.atMs >= FRESH_MS) asked = { atMs: nowMs, answer: ask() }
    return asked.answer
  }
}
