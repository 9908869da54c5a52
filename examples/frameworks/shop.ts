/** What this shop does, whatever framework stands in front of it. */
import { type ConfigInput, definePipeline } from 'holdfast'

const onPush = definePipeline<{ ref: string }>('on-push').step('note', { safe: true, run: ({ input }) => input.ref })

export const config = {
  pipelines: [onPush],
  webhooks: { github: { provider: 'github', secret: '${GITHUB_WEBHOOK_SECRET}', pipeline: 'on-push' } },
} satisfies ConfigInput

export type CreateOrder = (request: Request) => Promise<Response>

/** A plain handler that knows nothing of keys: `idempotent` makes it run once for each. */
export function takeOrders(charge: (amount: number) => Promise<void>): CreateOrder {
  let orders = 0
  return async (request) => {
    const { amount } = (await request.json()) as { amount: number }
    await charge(amount)
    return Response.json({ order: ++orders, amount }, { status: 201 })
  }
}
