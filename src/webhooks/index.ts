/** `holdfast/webhooks`: signatures of webhooks, and Web-standard handlers for them and for idempotency keys. */
export { WEBHOOK_PROVIDERS, type WebhookProvider } from '../config/webhook-providers.ts'
export type { HmacSettings, TimestampUnit, WebhookPlace } from '../config/webhook-settings.ts'
export type { WebhookEvent } from './event.ts'
export type { IdempotencyStore } from './idempotency-store.ts'
export { type IdempotentOptions, idempotent, type WebHandler } from './idempotent.ts'
export { type NodeListener, nodeListener } from './node-listener.ts'
export type { PlainAnswer } from './problem.ts'
export type { WebhookHandlerOptions, WebhookReceiver } from './receiver.ts'
export type { WebhookHeaders, WebhookRequest } from './request.ts'
export type { Handshake, RefusalReason } from './scheme.ts'
export { type RequestToSend, type SignOptions, signWebhook } from './sign.ts'
export {
  createVerifier,
  type RefusedWebhook,
  type Verification,
  type Verified,
  type Verifier,
  type VerifyOptions,
  verifyWebhook,
} from './verify.ts'
