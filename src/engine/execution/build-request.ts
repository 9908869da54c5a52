/** From a request template and a context to a call that can be sent. */
import type { OutboundCall } from '../../client/call/call.ts'
import { checkPath, expandPath, withQuery } from '../../client/call/request.ts'
import type { ClaimedItem } from '../../ledger/port.ts'
import type { RequestPlan } from '../pipelines/catalog.ts'
import type { RequestTemplate, StepContext } from '../pipelines/pipeline.ts'
import { idempotencyKeyOf } from './context.ts'

export interface ClaimToSend {
  readonly signal: AbortSignal | undefined
  readonly leaseIsLive: () => boolean
}

/**
 * @throws whatever the template's functions throw, and HoldfastError for a missing path parameter: nothing was sent then.
 */
export async function buildCall(
  plan: RequestPlan,
  item: ClaimedItem,
  context: StepContext,
  claim: ClaimToSend,
  idempotencyKey = idempotencyKeyOf(item),
): Promise<OutboundCall> {
  const template = plan.definition.request as RequestTemplate<StepContext>
  return {
    ...(await templateParts(template, context, plan.pathOf)),
    integration: plan.integration,
    endpoint: plan.endpoint,
    lane: item.lane,
    tenant: item.tenant,
    responseSchema: plan.definition.response,
    expects: plan.definition.response ? 'json' : 'any',
    idempotencyKey,
    correlationId: item.correlationId,
    traceId: traceIdOf(item),
    itemId: item.itemId,
    pipeline: item.pipeline,
    attempt: item.counters.attempts + 1,
    signal: claim.signal,
    maySend: claim.leaseIsLive,
  }
}

/** The look for a lost effect: a read through the same integration, lane and health, with an endpoint of its own. */
export async function buildLookup(
  plan: RequestPlan,
  template: RequestTemplate<StepContext>,
  item: ClaimedItem,
  context: StepContext,
  claim: ClaimToSend,
): Promise<OutboundCall> {
  const call = await buildCall(plan, item, context, claim)
  return {
    ...call,
    ...(await templateParts(template, context)),
    endpoint: {
      ...plan.endpoint,
      endpoint: `${template.method} ${template.path}`,
      idempotency: { kind: 'safe' },
    },
    responseSchema: undefined,
    idempotencyKey: undefined,
    expects: 'any',
  }
}

async function templateParts(
  template: RequestTemplate<StepContext>,
  context: StepContext,
  pathOf?: RequestPlan['pathOf'],
): Promise<Pick<OutboundCall, 'method' | 'path' | 'headers' | 'body'>> {
  const params = template.params ? await template.params(context) : {}
  const query = template.query ? await template.query(context) : undefined
  return {
    method: template.method,
    path: withQuery(pathOf ? checkPath(pathOf(context)) : expandPath(template.path, params), query),
    headers: template.headers ? await template.headers(context) : {},
    body: template.body ? await template.body(context) : undefined,
  }
}

/** One trace for one run: the caller's, where it brought one, else its id without the dashes, 32 hex digits. */
function traceIdOf({ runId, correlationId }: ClaimedItem): string {
  return TRACE_ID.test(correlationId) ? correlationId : runId.replaceAll('-', '')
}

/** W3C trace context; all zeros is none. */
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/
