/**
 * What this process knows how to do: integrations and pipelines, each step resolved to the settings it runs under.
 */
import { laneName } from '../../client/call/call.ts'
import { resolveEndpoint } from '../../client/call/request.ts'
import type {
  EndpointSettings,
  IdempotencySettings,
  IntegrationSettings,
  RetrySettings,
} from '../../config/settings.ts'
import { durationMs } from '../../core/duration.ts'
import { configurationError, type HoldfastError } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import type { ClaimedItem } from '../../ledger/port.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import { DEFAULT_CODE_CONCURRENCY, DEFAULT_CODE_RETRY, DEFAULT_CODE_TIMEOUT_MS } from '../defaults.ts'
import { type TurnOf, turnOfStep } from '../step-order.ts'
import { type BatchPlan, planBatch } from './batch-plan.ts'
import { checkStep } from './check-step.ts'
import type { AnyCodeStep, AnyPipeline, AnyRequestStep, StepContext } from './pipeline.ts'
import { createRequestPlans } from './request-plans.ts'
import { undoPipelineOf } from './undo-pipeline.ts'

interface CommonPlan {
  readonly pipeline: string
  readonly step: string
  readonly endpointName: string
  readonly after: readonly string[]
  readonly optional: boolean
  readonly retry: RetrySettings
  /** Repeating it without looking first is safe: by nature or by key (rule 3). */
  readonly repeatable: boolean
  readonly concurrency: number
  /** How patiently a lost effect is looked for, where the step says how. */
  readonly looking: Looking | undefined
  /** Whose turn its items take; `undefined`: nobody's. */
  readonly turnOf: TurnOf | undefined
  laneFor(tenant: string): string
  /** Asked before each try: whether what it waits for is so. Waiting uses no attempt. Default: it is. */
  readonly readiness?: (item: ClaimedItem) => Promise<Readiness>
}

export type Readiness =
  | { readonly kind: 'ready' }
  | { readonly kind: 'wait'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'skip'; readonly reason: string }
  /** It will not become so by itself: a person decides. */
  | { readonly kind: 'refuse'; readonly failure: Failure }

/** `undefined`: the engine's own settings. */
export interface Looking {
  readonly looks: number | undefined
  readonly delayMs: number | undefined
}

export interface RequestPlan extends CommonPlan {
  readonly kind: 'request'
  readonly definition: AnyRequestStep
  readonly integration: IntegrationSettings
  readonly endpoint: EndpointSettings
  /** Where its records share calls. */
  readonly batch: BatchPlan | undefined
  /** Where each item brings its path: single requests. Default: the template of the definition. */
  readonly pathOf?: (context: StepContext) => string
  /** Told of each try that failed, before that is written down. Gives what it means here, where that is more than the API said. */
  readonly whenFailed?: (item: ClaimedItem, failure: Failure) => Promise<Failure>
}

export interface CodePlan extends CommonPlan {
  readonly kind: 'code'
  readonly definition: AnyCodeStep
  readonly timeoutMs: number
}

export type StepPlan = RequestPlan | CodePlan

export interface Catalog {
  readonly integrations: ReadonlyMap<string, IntegrationSettings>
  readonly pipelines: ReadonlyMap<string, AnyPipeline>
  integration(name: string): IntegrationSettings
  pipeline(name: string): AnyPipeline
  /**
   * `undefined`: this process does not know it (an older deployment, a renamed step). The endpoint of the item tells
   * single requests apart, which share a pipeline.
   */
  plan(pipeline: string, step: string, endpoint?: string): StepPlan | undefined
  /** Of a channel that items of single requests may stand in. */
  planOfChannel(lane: string, endpoint: string): StepPlan | undefined
  plansOf(pipeline: string): readonly StepPlan[]
}

/** @throws HoldfastError `invalid_pipeline`, `invalid_step`, `unknown_integration`, `duplicate_name` */
export function createCatalog(
  integrationList: readonly IntegrationSettings[],
  pipelineList: readonly AnyPipeline[],
  /** Plans of pipelines that are not in the list. */
  further: Pick<Catalog, 'plan'> = { plan: () => undefined },
): Catalog {
  const integrations = byName('integration', integrationList)
  const undoing = pipelineList.map(undoPipelineOf).filter((pipeline) => pipeline !== undefined)
  const pipelines = byName('pipeline', [...pipelineList, ...undoing])
  const plans = new Map<string, ReadonlyMap<string, StepPlan>>()
  const plansByPipeline = new Map<string, StepPlan[]>()

  for (const pipeline of pipelines.values()) {
    if (pipeline.steps.size === 0) {
      throw configurationError('invalid_pipeline', `Pipeline "${pipeline.name}" has no steps`, 'Add at least one step.')
    }
    const ofPipeline = [...pipeline.steps].map(([step, definition]) => {
      checkStep(pipeline.name, step, definition)
      return 'run' in definition
        ? planCode(pipeline.name, step, definition)
        : planRequest(pipeline.name, step, definition, integrations)
    })
    plansByPipeline.set(pipeline.name, ofPipeline)
    plans.set(pipeline.name, new Map(ofPipeline.map((plan) => [plan.step, plan])))
  }

  const requests = createRequestPlans(integrations)

  return {
    integrations,
    pipelines,
    integration: (name) => integrations.get(name) ?? raise(unknownName('integration', name, integrations)),
    pipeline: (name) => pipelines.get(name) ?? raise(unknownName('pipeline', name, pipelines)),
    plan: (pipeline, step, endpoint = '') =>
      plans.get(pipeline)?.get(step) ?? requests.plan(pipeline, endpoint) ?? further.plan(pipeline, step, endpoint),
    planOfChannel: requests.planOfChannel,
    plansOf: (pipeline) => plansByPipeline.get(pipeline) ?? raise(unknownName('pipeline', pipeline, pipelines)),
  }
}

function planCode(pipeline: string, step: string, definition: AnyCodeStep): CodePlan {
  const lane = `code/${pipeline}.${step}`
  return {
    kind: 'code',
    pipeline,
    step,
    definition,
    endpointName: `run ${step}`,
    after: (definition.after ?? []) as readonly string[],
    optional: definition.optional ?? false,
    retry: withStepOverrides(DEFAULT_CODE_RETRY, definition),
    repeatable: definition.safe ?? false,
    concurrency: definition.concurrency ?? DEFAULT_CODE_CONCURRENCY,
    looking: definition.reconcile && { looks: undefined, delayMs: undefined },
    turnOf: turnOfStep(pipeline, step, definition),
    timeoutMs: definition.timeout === undefined ? DEFAULT_CODE_TIMEOUT_MS : durationMs(definition.timeout),
    laneFor: (tenant) => (tenant === 'default' ? lane : `${lane}/${tenant}`),
  }
}

function planRequest(
  pipeline: string,
  step: string,
  definition: AnyRequestStep,
  integrations: ReadonlyMap<string, IntegrationSettings>,
): RequestPlan {
  const integration = integrations.get(definition.integration)
  if (!integration) {
    const error = unknownName('integration', definition.integration, integrations)
    throw configurationError(error.code, `Pipeline "${pipeline}", step "${step}": ${error.message}`, error.hint)
  }
  const configured = resolveEndpoint(integration, definition.request.method, definition.request.path)
  const idempotency: IdempotencySettings = definition.idempotency ?? configured.idempotency
  const endpoint: EndpointSettings = {
    ...configured,
    endpoint: `${definition.request.method} ${definition.request.path}`,
    idempotency,
  }
  return {
    kind: 'request',
    pipeline,
    step,
    definition,
    integration,
    endpoint,
    batch: planBatch(pipeline, step, definition, endpoint),
    endpointName: endpoint.endpoint,
    after: (definition.after ?? []) as readonly string[],
    optional: definition.optional ?? false,
    retry: withStepOverrides(endpoint.retry, definition),
    repeatable: isRepeatable(idempotency),
    concurrency: integration.limits.concurrency,
    looking: lookingOf(definition),
    turnOf: turnOfStep(pipeline, step, definition),
    laneFor: (tenant) => laneName(integration.name, integration.credential, tenant),
  }
}

function lookingOf({ reconcile }: AnyRequestStep): Looking | undefined {
  if (!reconcile) return undefined
  return { looks: reconcile.looks, delayMs: reconcile.delay === undefined ? undefined : durationMs(reconcile.delay) }
}

function withStepOverrides(retry: RetrySettings, definition: AnyCodeStep | AnyRequestStep): RetrySettings {
  const { base, cap, jitter } = definition.backoff ?? {}
  return {
    ...retry,
    ...(base !== undefined && { baseMs: durationMs(base) }),
    ...(cap !== undefined && { capMs: durationMs(cap) }),
    ...(jitter !== undefined && { jitter }),
    ...(definition.maxAge !== undefined && { maxAgeMs: durationMs(definition.maxAge) }),
    ...(definition.maxAttempts !== undefined && { maxAttempts: definition.maxAttempts }),
  }
}

function byName<Named extends { readonly name: string }>(kind: string, list: readonly Named[]): Map<string, Named> {
  const map = new Map<string, Named>()
  for (const named of list) {
    if (map.has(named.name)) {
      throw configurationError('duplicate_name', `There are two ${kind}s named "${named.name}"`, 'Rename one of them.')
    }
    map.set(named.name, named)
  }
  return map
}

function unknownName(kind: string, name: string, known: ReadonlyMap<string, unknown>): HoldfastError {
  return configurationError(
    `unknown_${kind}`,
    `There is no ${kind} "${name}"`,
    known.size > 0 ? `Known: ${[...known.keys()].join(', ')}.` : `Define the ${kind} in the configuration.`,
    { [kind]: name },
  )
}

function raise(error: Error): never {
  throw error
}
