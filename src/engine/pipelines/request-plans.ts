/**
 * Single requests as items: for each integration a pipeline of one step, `request:INTEGRATION`, whose endpoint is told by each
 * item. So a key names one call of an integration whatever its address, and the number of pipelines stays that of integrations.
 */
import { laneName } from '../../client/call/call.ts'
import { resolveEndpoint } from '../../client/call/request.ts'
import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import type { SingleRequest } from '../api.ts'
import type { RequestPlan, StepPlan } from './catalog.ts'
import type { Method, StepContext } from './pipeline.ts'

/** No pipeline of a user can have this name: a colon is not part of names. */
const PREFIX = 'request:'
export const SINGLE_STEP = 'send'

export interface RequestPlans {
  /** `undefined` where it is no pipeline of single requests, or of an integration that is not known here. */
  plan(pipeline: string, endpoint: string): StepPlan | undefined
  planOfChannel(lane: string, endpoint: string): StepPlan | undefined
}

export function pipelineOfRequests(integration: string): string {
  return PREFIX + integration
}

export function createRequestPlans(integrations: ReadonlyMap<string, IntegrationSettings>): RequestPlans {
  const plans = new WeakMap<EndpointSettings, StepPlan>()

  function planFor(name: string, endpoint: string): StepPlan | undefined {
    const integration = integrations.get(name)
    const space = endpoint.indexOf(' ')
    if (!integration || space < 0) return undefined
    const settings = resolveEndpoint(integration, endpoint.slice(0, space), endpoint.slice(space + 1))
    const plan = plans.get(settings) ?? planRequestTo(integration, settings)
    plans.set(settings, plan)
    return plan
  }

  return {
    plan: (pipeline, endpoint) =>
      pipeline.startsWith(PREFIX) ? planFor(pipeline.slice(PREFIX.length), endpoint) : undefined,
    planOfChannel(lane, endpoint) {
      const [name = '', credential] = lane.split('/')
      return integrations.get(name)?.credential === credential ? planFor(name, endpoint) : undefined
    },
  }
}

/** The plan of a call to an endpoint; equal for the concrete path of a call and for the endpoint's own name. */
export function planRequestTo(integration: IntegrationSettings, endpoint: EndpointSettings): RequestPlan {
  const space = endpoint.endpoint.indexOf(' ')
  const request = {
    method: endpoint.endpoint.slice(0, space) as Method,
    path: endpoint.endpoint.slice(space + 1),
    query: (context: StepContext) => inputOf(context).query ?? {},
    headers: (context: StepContext) => inputOf(context).headers ?? {},
    body: (context: StepContext) => inputOf(context).body,
  }
  return {
    kind: 'request',
    pipeline: pipelineOfRequests(integration.name),
    step: SINGLE_STEP,
    definition: { integration: integration.name, request },
    integration,
    endpoint,
    batch: undefined,
    pathOf: (context) => inputOf(context).path,
    endpointName: endpoint.endpoint,
    after: [],
    optional: false,
    retry: endpoint.retry,
    repeatable: isRepeatable(endpoint.idempotency),
    turnOf: undefined,
    looking: undefined,
    concurrency: integration.limits.concurrency,
    laneFor: (tenant) => laneName(integration.name, integration.credential, tenant),
  }
}

function inputOf(context: StepContext): Omit<SingleRequest, 'integration'> {
  return context.input as Omit<SingleRequest, 'integration'>
}
