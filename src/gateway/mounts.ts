/** What the gateway takes from other rooms: webhooks and the proxy, on one `Holdfast`. */
import type { Clock } from '../core/clock.ts'
import { configurationError, HoldfastError, isHoldfastError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { Holdfast } from '../engine/api.ts'
import type { Method } from '../engine/pipelines/pipeline.ts'
import { SINGLE_STEP } from '../engine/pipelines/request-plans.ts'
import type { WebhookReceiver } from '../webhooks/receiver.ts'
import type { GatewayParts } from './parts.ts'
import type { AcceptedRequest, DurableRequest } from './proxy/durable.ts'
import { createNodeProxy } from './proxy/node.ts'

/**
 * Each source has its keys prepared once; a source that is not configured is an error of the request.
 * @param sources those that are prepared now. Default: none; each with its first request
 * @throws HoldfastError `webhook_secret_invalid`, `webhook_secret_missing`: now, and not by the first event that is refused
 */
export function webhooksOf(holdfast: Holdfast, sources: readonly string[] = []): NonNullable<GatewayParts['webhooks']> {
  const receivers = new Map<string, WebhookReceiver>()
  for (const source of sources) receivers.set(source, preparedReceiver(holdfast, source))
  return (source) => {
    let receiver = receivers.get(source)
    if (!receiver) {
      receiver = holdfast.webhookReceiver(source)
      receivers.set(source, receiver)
    }
    return receiver
  }
}

function preparedReceiver(holdfast: Holdfast, source: string): WebhookReceiver {
  try {
    return holdfast.webhookReceiver(source)
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause
    throw configurationError(cause.code, `webhooks.${source}: ${cause.message}`, cause.hint, { source }, cause)
  }
}

interface ProxyMount {
  readonly clock: Clock
  readonly newId: () => string
  readonly onTrouble: GatewayParts['onTrouble']
}

export function proxyOf(holdfast: Holdfast, mount: ProxyMount): NonNullable<GatewayParts['proxy']> {
  const { clock, newId, onTrouble } = mount
  return createNodeProxy({
    clock,
    newId,
    forwarder: (integration) => holdfast.forwarder(integration),
    submitRequest: (request) => submitDurably(holdfast, request),
    onTrouble: (error, correlationId) => onTrouble({ correlationId, error }),
  })
}

/** `Prefer: respond-async`: a run of its own, as `POST /v1/requests` makes it. */
async function submitDurably(holdfast: Holdfast, request: DurableRequest): Promise<AcceptedRequest> {
  const { integration, method, path, headers, body, idempotencyKey, correlationId } = request
  const single = { integration, method: method as Method, path, headers: storable(headers), ...jsonBody(body) }
  const key = idempotencyKey === undefined ? {} : { key: idempotencyKey }
  const { runId, duplicate } = await holdfast.submitRequest(single, { correlationId, ...key })
  return { runId, itemId: `${runId}.${SINGLE_STEP}`, location: `/v1/runs/${runId}`, duplicate }
}

/** The connection's, and what the call that is made later says by itself. */
const OF_THIS_CALL = /^(content-length|via|x-correlation-id|traceparent|tracestate|content-type)$/

function storable(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THIS_CALL.test(name)))
}

/** @throws HoldfastError `body_not_json`: what is kept is kept as JSON */
function jsonBody(body: Uint8Array | undefined): { body?: Json } {
  if (body === undefined || body.length === 0) return {}
  try {
    return { body: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Json }
  } catch (cause) {
    throw new HoldfastError({
      code: 'body_not_json',
      class: 'validation',
      message: 'A call that is answered later can only carry JSON, and this body is none',
      hint: 'Send JSON, or leave out "Prefer: respond-async".',
      cause,
    })
  }
}
