/**
 * One Holdfast for the whole process. It is opened by the first request, not by an import: `next build` imports routes too, where
 * there is neither a store nor a secret. It is kept on `globalThis`, because `next dev` loads modules again and again.
 */
import { type Holdfast, holdfast } from 'holdfast'
import { idempotent } from 'holdfast/webhooks'
import { type CreateOrder, config, takeOrders } from '../shop.ts'

export interface Handlers {
  readonly orders: (request: Request) => Promise<Response>
  readonly github: (request: Request) => Promise<Response>
}

const place = globalThis as { shop?: Promise<Handlers> | undefined }

export function shop(): Promise<Handlers> {
  place.shop ??= open().catch((error: unknown) => {
    // A store that was away is asked again by the next request.
    place.shop = undefined
    throw error
  })
  return place.shop
}

async function open(): Promise<Handlers> {
  const hf = await holdfast(config)
  hf.startWorker()
  return handlersOf(hf, takeOrders(charge))
}

export function handlersOf(hf: Holdfast, createOrder: CreateOrder): Handlers {
  return { orders: idempotent(createOrder, { store: hf }), github: hf.webhookHandler('github') }
}

async function charge(amount: number): Promise<void> {
  console.log(`charged ${amount}`)
}
