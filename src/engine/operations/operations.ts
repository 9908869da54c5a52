/** What the person on call can see and do. Thin: it words selections and hands them to the ledger. */
import type { CredentialDesk } from '../../client/credentials/operators.ts'
import { credentialName } from '../../client/credentials/token-keeper.ts'
import type { SharedStatistics } from '../../client/health/endpoint-statistics.ts'
import type { Health } from '../../client/health/health.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { configurationError } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import type { ItemState } from '../../core/item-state.ts'
import { toJson } from '../../core/json.ts'
import type { Payloads } from '../../ledger/payloads/open-payloads.ts'
import type { ItemRecord, Ledger, OperatorReceipt } from '../../ledger/port.ts'
import type { IntegrationView, Operations, Selection } from '../api.ts'
import { addressNamed, type DisabledAddresses } from '../callbacks/disabled-addresses.ts'
import { erase } from '../erase.ts'
import type { JobDesk } from '../jobs/desk.ts'
import { planJob } from '../jobs/plan.ts'
import type { JobRunner } from '../jobs/runner.ts'
import type { Catalog } from '../pipelines/catalog.ts'
import { onBehalfOf } from './audit-trail.ts'
import { endpointStatistics, timeoutSuggestions } from './endpoint-statistics.ts'
import { explainItem } from './explain.ts'
import { replay } from './replay.ts'
import { ACTIONABLE, CANCELLABLE, selectItems } from './selection.ts'
import { suggestionsFrom } from './suggestions.ts'
import { undoingOf } from './undo.ts'

export interface OperationsParts {
  readonly ledger: Ledger
  readonly payloads: Payloads
  readonly catalog: Catalog
  readonly health: Health
  readonly credentials: CredentialDesk
  readonly disabledAddresses: DisabledAddresses
  readonly statistics: Pick<SharedStatistics, 'read'>
  readonly jobs: JobDesk
  readonly finishJob: JobRunner['finish']
  readonly clock: Clock
  readonly events: EventBus
  readonly newId: () => string
  readonly wake: () => void
}

const PAGE = 50
const WAVE = 500

export function createOperations(parts: OperationsParts): Operations {
  const { ledger, clock, health } = parts
  const operations: Operations = {
    as: (actor) => onBehalfOf(operations, parts, actor),
    actions: (filter = {}, page = {}) => ledger.actions(filter, { limit: PAGE, ...page }),
    probe: () => probe(parts),
    run: (runId) => ledger.run(runId),
    item: (itemId) => ledger.item(itemId),
    items: (filter = {}, page = {}) => ledger.items(filter, { limit: PAGE, ...page }),
    groups: (filter = {}) => ledger.groups(filter),
    async suggestions({ sinceMs = 0 } = {}) {
      return suggestionsFrom(await ledger.failures(sinceMs))
    },
    async endpointStatistics() {
      return endpointStatistics(await parts.statistics.read())
    },
    async suggestTimeouts() {
      return timeoutSuggestions(await parts.statistics.read(), parts.catalog.integrations)
    },
    balance: (filter = {}) => ledger.balance(filter),
    audit: () => ledger.audit(),
    async explain(itemId) {
      const item = await ledger.item(itemId)
      if (!item) return undefined
      const lane = (await ledger.lanes()).find((candidate) => candidate.lane === item.lane)
      return explainItem({
        item,
        lane,
        ahead: await itemsAhead(ledger, item),
        undoing: await undoingOf(parts, item),
        nowMs: clock.wallMs(),
      })
    },
    replay: (request) => replay(parts, request),
    async discard(selection, reason, by) {
      requireReason(reason)
      return inWaves(parts, { selection, states: ACTIONABLE }, (itemIds) =>
        ledger.discard(
          itemIds.map((itemId) => ({ itemId, by, reason })),
          clock.wallMs(),
        ),
      )
    },
    async cancel(selection, reason, by) {
      requireReason(reason)
      return inWaves(parts, { selection, states: CANCELLABLE }, (itemIds) =>
        ledger.cancel(
          itemIds.map((itemId) => ({ itemId, by, reason })),
          clock.wallMs(),
        ),
      )
    },
    planJob: (order) =>
      planJob({ ledger, integrations: parts.catalog.integrations, statistics: operations.endpointStatistics }, order),
    startJob: (order) => parts.jobs.start(order),
    jobs: (page = {}) => parts.jobs.list({ limit: PAGE, ...page }),
    job: (jobId) => parts.jobs.find(jobId),
    jobItems: (jobId, { after = 0, limit = PAGE } = {}) => ledger.jobItems(jobId, { after, limit }),
    cancelJob: (jobId, reason, by) => parts.jobs.cancel(jobId, requireReason(reason), by),
    finishJob: (jobId, signal) => parts.finishJob(jobId, signal),
    resolve: (itemId, verdict, by) => resolve(parts, itemId, verdict, by),
    lanes: () => ledger.lanes(),
    integrations: () => integrationViews(parts),
    suspend: (integration, reason) => suspend(parts, integration, requireReason(reason)),
    resume: (integration) => resume(parts, integration),
    credentials: () => parts.credentials.views(parts.catalog.integrations.values()),
    async setCredential(name, secret) {
      const integration = integrationOf(parts, name)
      await parts.credentials.set(integration, secret)
      return resume(parts, integration.name)
    },
    async refreshCredential(name) {
      const integration = integrationOf(parts, name)
      const before = await parts.credentials.views([integration])
      const credential = await parts.credentials.refresh(integration)
      // Only what waited for it: an integration that a person suspended stays so.
      const waited = before.some((view) => view.name === credential.name && view.health === 'refused')
      return { credential, resumed: waited ? await resume(parts, integration.name) : [] }
    },
    rotateCredentialKey: () => parts.credentials.rotateKey(),
    disabledAddresses: () => parts.disabledAddresses.list(),
    enableAddress: (named) => parts.disabledAddresses.enable(addressNamed(named)),
    async breakers() {
      await health.sync()
      return health.breakers()
    },
    async resetBreaker(key) {
      const known = await health.resetBreaker(key)
      parts.wake()
      return known
    },
    retain(maxAgeMs) {
      const nowMs = clock.wallMs()
      return retainAll(ledger, nowMs - maxAgeMs, nowMs)
    },
    erase: (request) => erase(parts, request),
    keysInUse: () => parts.payloads.keysInUse(),
    rotatePayloadKey: (options) => parts.payloads.rotate(options),
  }
  return operations
}

/** Those that it waits for in the order of its entity, the nearest first. */
async function itemsAhead(ledger: Ledger, { turn }: ItemRecord): Promise<ItemRecord[]> {
  const ahead: ItemRecord[] = []
  let next = turn?.waitsFor
  while (next !== undefined && ahead.length < MOST_AHEAD) {
    const item = await ledger.item(next)
    if (!item) break
    ahead.push(item)
    next = item.turn?.waitsFor
  }
  return ahead
}

/** More than a person reads. */
const MOST_AHEAD = 5

const PROBE_KEY = 'probe'

/** A write that is on disk, or the error that keeps it from there. Whoever is overtaken knows that another could write. */
async function probe({ ledger, clock }: OperationsParts): Promise<void> {
  const nowMs = clock.wallMs()
  const [first] = await ledger.updateHealth([{ key: PROBE_KEY, fromRevision: 0, state: nowMs }], nowMs)
  if (!first || first.applied) return
  const fromRevision = first.current?.revision ?? 0
  await ledger.updateHealth([{ key: PROBE_KEY, fromRevision, state: nowMs }], nowMs)
}

async function inWaves(
  parts: OperationsParts,
  { selection, states }: { readonly selection: Selection; readonly states: readonly ItemState[] },
  act: (itemIds: readonly string[]) => Promise<OperatorReceipt[]>,
): Promise<OperatorReceipt[]> {
  const receipts: OperatorReceipt[] = []
  let wave: string[] = []
  for await (const { itemId } of selectItems(parts.ledger, selection, states)) {
    wave.push(itemId)
    if (wave.length < WAVE) continue
    receipts.push(...(await act(wave)))
    wave = []
  }
  if (wave.length > 0) receipts.push(...(await act(wave)))
  parts.wake()
  return receipts
}

async function resolve(
  parts: OperationsParts,
  itemId: string,
  verdict: Parameters<Operations['resolve']>[1],
  by: string,
): Promise<OperatorReceipt> {
  const { ledger, clock } = parts
  const nowMs = clock.wallMs()
  const [receipt] = verdict.happened
    ? await ledger.resolve(
        [
          {
            itemId,
            by,
            output: toJson(verdict.output ?? null),
            reason: verdict.reason ?? 'a person looked: it happened',
            ...(verdict.externalId !== undefined && { externalId: verdict.externalId }),
          },
        ],
        nowMs,
      )
    : await ledger.replay([{ itemId, by, knownNotApplied: true, dueAtMs: nowMs }], nowMs)
  parts.wake()
  return receipt ?? { outcome: 'not_found', itemId }
}

async function integrationViews(parts: OperationsParts): Promise<IntegrationView[]> {
  await parts.health.sync()
  const [lanes, channels] = await Promise.all([parts.ledger.lanes(), parts.ledger.channels()])
  const nowMs = parts.clock.wallMs()
  return [...parts.catalog.integrations.values()].map((integration) => ({
    name: integration.name,
    baseUrl: integration.baseUrl,
    lanes: lanes.filter((lane) => belongsTo(integration.name, lane.lane)),
    breakers: parts.health
      .breakers()
      .filter((view) => view.key === integration.name || view.key.startsWith(`${integration.name}:`)),
    due: channels.filter((channel) => belongsTo(integration.name, channel.lane) && channel.earliestDueMs <= nowMs)
      .length,
  }))
}

async function lanesOf(parts: OperationsParts, integrationName: string): Promise<string[]> {
  const integration = parts.catalog.integration(integrationName)
  const [lanes, channels] = await Promise.all([parts.ledger.lanes(), parts.ledger.channels()])
  const names = [...lanes, ...channels].map((entry) => entry.lane).filter((lane) => belongsTo(integration.name, lane))
  return [...new Set([`${integration.name}/${integration.credential}`, ...names])]
}

async function suspend(parts: OperationsParts, integration: string, reason: string): Promise<string[]> {
  const lanes = await lanesOf(parts, integration)
  const atMs = parts.clock.wallMs()
  await parts.ledger.suspendLanes(lanes.map((lane) => ({ lane, reason, atMs })))
  for (const lane of lanes) parts.events.emit('lane.suspended', atMs, { lane, reason })
  return lanes
}

async function resume(parts: OperationsParts, integration: string): Promise<string[]> {
  const lanes = await lanesOf(parts, integration)
  const nowMs = parts.clock.wallMs()
  await parts.credentials.lift(parts.catalog.integration(integration))
  await parts.ledger.resumeLanes(lanes)
  // Callers who wait in this process need not wait for the next exchange.
  await parts.health.sync()
  for (const lane of lanes) {
    await parts.ledger.wake({ lane, what: 'parked', limit: WAKE_LIMIT }, nowMs)
    parts.events.emit('lane.resumed', nowMs, { lane })
  }
  parts.wake()
  return lanes
}

const WAKE_LIMIT = 100_000

/** `hubspot/default`, or only `hubspot`. */
function integrationOf({ catalog }: OperationsParts, name: string): IntegrationSettings {
  const named = [...catalog.integrations.values()].find((integration) => credentialName(integration) === name)
  return named ?? catalog.integration(name)
}

async function retainAll(
  ledger: Ledger,
  endedBeforeMs: number,
  nowMs: number,
): Promise<{ runs: number; effects: number }> {
  const total = { runs: 0, effects: 0 }
  for (;;) {
    const removed = await ledger.retain({ endedBeforeMs, nowMs, limit: WAVE })
    total.runs += removed.runs
    total.effects += removed.effects
    if (removed.runs < WAVE && removed.effects < WAVE) return total
  }
}

function belongsTo(integration: string, lane: string): boolean {
  return lane.startsWith(`${integration}/`)
}

function requireReason(reason: string): string {
  if (reason.trim() !== '') return reason
  throw configurationError('reason_missing', 'This needs a reason', 'Say why: those who come later will want to know.')
}
