/**
 * Callbacks as items: two for each run that is to be told about, accepted with it, one for its end and one for the time that it
 * needs a person. Each looks at the run from time to time, which uses no attempt, and is sent once what it waits for is so.
 * Nothing has to notice the end: so it cannot be missed, whoever brings it about, and whoever is killed.
 */
import { laneName } from '../../client/call/call.ts'
import { resolveEndpoint } from '../../client/call/request.ts'
import type { Cipher } from '../../client/credentials/cipher.ts'
import type { CallbackSettings } from '../../config/callbacks.ts'
import type { EndpointSettings, IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Failure } from '../../core/failure.ts'
import type { Json } from '../../core/json.ts'
import type { ClaimedItem, ItemRecord, Ledger, RunRecord } from '../../ledger/port.ts'
import { redactJson } from '../../policy/redact.ts'
import { signWebhook } from '../../webhooks/sign.ts'
import type { Readiness, RequestPlan } from '../pipelines/catalog.ts'
import type { StepContext } from '../pipelines/pipeline.ts'
import { planRequestTo } from '../pipelines/request-plans.ts'
import { addressGone, addressOf, type DisabledAddresses } from './disabled-addresses.ts'
import { eventOf, type RunStanding, standingOf } from './event.ts'

/** No pipeline of a user can have this name: a colon is not part of names. */
const PREFIX = 'callback:'
export const CALLBACK_BATCH = 'holdfast:callbacks'
const WAITS_FOR_PERSON = 'the run that it tells of needs a person'
const WAITS_FOR_END = 'the run that it tells of has not ended'

export const CALLBACK_STEPS = ['ended', 'stopped'] as const
export type CallbackStep = (typeof CALLBACK_STEPS)[number]

/** What is stored of a callback. */
export interface CallbackInput {
  readonly runId: string
  readonly url: string
  /** Encrypted; `null`: that of the configuration. */
  readonly secret: string | null
}

export interface CallbackPlans {
  plan(pipeline: string, step: string, endpoint: string): RequestPlan | undefined
}

export interface CallbackParts {
  readonly settings: CallbackSettings
  readonly ledger: Pick<Ledger, 'run' | 'item'>
  readonly clock: Clock
  readonly cipher: Cipher
  /** Fields of payloads whose values are not told. */
  readonly redact: readonly string[]
  readonly disabled: Pick<DisabledAddresses, 'find' | 'disable'>
}

export function pipelineOfCallbacks(integration: string): string {
  return PREFIX + integration
}

/** As an integration's: longer than anything is tried. */
const ID_LIFETIME_MS = 3650 * 86_400_000

const FIRST_LOOK_MS = 1000
const LONGEST_LOOK_MS = 900_000

/** The older a run is, the less a while matters: a quarter of its age, as a rule. */
export function nextLookMs(createdAtMs: number, nowMs: number): number {
  return nowMs + Math.min(LONGEST_LOOK_MS, Math.max(FIRST_LOOK_MS, (nowMs - createdAtMs) / 4))
}

export function createCallbackPlans(parts: CallbackParts): CallbackPlans {
  const integrations = new Map(parts.settings.integrations.map((integration) => [integration.name, integration]))
  const known = new WeakMap<EndpointSettings, Map<string, RequestPlan>>()

  function planOf(integration: IntegrationSettings, step: CallbackStep, endpoint: string): RequestPlan {
    const settings = resolveEndpoint(integration, 'POST', endpoint.slice('POST '.length))
    const plans = known.get(settings) ?? new Map<string, RequestPlan>()
    known.set(settings, plans)
    const plan = plans.get(step) ?? makePlan(parts, integration, step, settings)
    plans.set(step, plan)
    return plan
  }

  return {
    plan(pipeline, step, endpoint) {
      if (!pipeline.startsWith(PREFIX)) return undefined
      const integration = integrations.get(pipeline.slice(PREFIX.length))
      return integration && planOf(integration, step === 'stopped' ? step : 'ended', endpoint)
    },
  }
}

function makePlan(
  parts: CallbackParts,
  integration: IntegrationSettings,
  step: CallbackStep,
  settings: EndpointSettings,
): RequestPlan {
  const idempotency = { kind: 'key', header: 'webhook-id', lifetimeMs: ID_LIFETIME_MS } as const
  const common = planRequestTo(integration, settings)
  const messageOf = memoised((context) => makeMessage(parts, context))
  return {
    ...common,
    pipeline: pipelineOfCallbacks(integration.name),
    step,
    endpoint: { ...settings, idempotency },
    repeatable: true,
    pathOf: (context) => pathOf(inputOf(context).url),
    readiness: (item) => readinessOf(parts, item, step),
    whenFailed: (item, failure) => whenFailed(parts, integration, item, failure),
    definition: {
      integration: integration.name,
      request: {
        ...common.definition.request,
        query: () => ({}),
        headers: async (context) => (await messageOf(context)).headers,
        body: async (context) => (await messageOf(context)).body,
      },
      parse: () => null,
    },
    laneFor: (tenant) => laneName(integration.name, integration.credential, tenant),
  }
}

async function readinessOf(parts: CallbackParts, item: ClaimedItem, step: CallbackStep): Promise<Readiness> {
  const { url } = storedIn(item)
  const standing = await standingFor(parts, item, step)
  if (standing.kind !== 'ready') return standing
  // Only now: until it has something to tell, the address may be enabled again.
  const gone = await parts.disabled.find(addressOf(url))
  return gone ? { kind: 'refuse', failure: addressGone(gone) } : standing
}

async function standingFor(
  { ledger, clock }: CallbackParts,
  item: ClaimedItem,
  step: CallbackStep,
): Promise<Readiness> {
  const run = await ledger.run(storedIn(item).runId)
  if (!run) return { kind: 'skip', reason: 'the run that it tells of is forgotten' }
  const standing = standingOf(run.items)
  if (hasEnded(standing)) {
    return step === 'ended' ? { kind: 'ready' } : { kind: 'skip', reason: 'the run ended without a person' }
  }
  if (standing === 'stopped' && step === 'stopped') return { kind: 'ready' }
  const untilMs = nextLookMs(item.createdAtMs, clock.wallMs())
  return { kind: 'wait', untilMs, reason: standing === 'stopped' ? WAITS_FOR_PERSON : WAITS_FOR_END }
}

/** Gone for this one is gone for all that wait for it. */
async function whenFailed(
  { disabled }: CallbackParts,
  { name }: IntegrationSettings,
  item: ClaimedItem,
  failure: Failure,
): Promise<Failure> {
  if (failure.status !== 410) return failure
  const address = addressOf(storedIn(item).url)
  return { ...failure, ...addressGone(await disabled.disable({ address, integration: name, itemId: item.itemId })) }
}

function storedIn(item: ClaimedItem): CallbackInput {
  return JSON.parse(item.input) as CallbackInput
}

/** Whether a callback has nothing to tell before a person has done something. */
export async function waitsForPerson(ledger: Pick<Ledger, 'run'>, input: Json): Promise<boolean> {
  const run = await ledger.run((input as unknown as CallbackInput).runId)
  return run !== undefined && standingOf(run.items) === 'stopped'
}

function hasEnded(standing: RunStanding): boolean {
  return standing === 'succeeded' || standing === 'failed'
}

interface Message {
  readonly body: string
  readonly headers: Record<string, string>
}

async function makeMessage(parts: CallbackParts, context: StepContext): Promise<Message> {
  const { runId, secret } = inputOf(context)
  const run = await parts.ledger.run(runId)
  const standing = run ? standingOf(run.items) : 'moving'
  if (!run || standing === 'moving') throw runChanged(runId)
  const shown = (value: Json) => redactJson(value, parts.redact)
  const body = JSON.stringify(eventOf(run, standing, await recordsOf(parts, run), shown))
  const key = secret === null ? (parts.settings.secret ?? '') : parts.cipher.open(secret, sealNameOf(runId))
  const id = context.idempotencyKey
  const signature = signWebhook({ provider: 'standard-webhooks', secret: key }, { body, id }, parts.clock.wallMs())
  return { body, headers: { ...signature, 'content-type': 'application/json' } }
}

async function recordsOf({ ledger }: CallbackParts, run: RunRecord): Promise<Map<string, ItemRecord>> {
  const records = new Map<string, ItemRecord>()
  for (const { itemId, state } of run.items) {
    const record = state === 'succeeded' ? await ledger.item(itemId) : undefined
    if (record) records.set(itemId, record)
  }
  return records
}

/** What the secret is bound to, so that it cannot be put in the place of another. */
export function sealNameOf(runId: string): string {
  return `callback ${runId}`
}

/** As it is sent: with its query. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return pathname + search
}

function inputOf(context: StepContext): CallbackInput {
  return context.input as CallbackInput
}

/** Headers and body of one call are made together. */
function memoised(make: (context: StepContext) => Promise<Message>): (context: StepContext) => Promise<Message> {
  const made = new WeakMap<StepContext, Promise<Message>>()
  return (context) => {
    const message = made.get(context) ?? make(context)
    made.set(context, message)
    return message
  }
}

/** Between the look and the sending somebody replayed it. */
function runChanged(runId: string): HoldfastError {
  return new HoldfastError({
    code: 'run_goes_on',
    class: 'conflict',
    message: `Run ${runId} goes on, or is forgotten: there is nothing to tell of it now`,
    hint: 'Replay the callback where it is still wanted.',
  })
}
