/** What a job would do: to how many items, which it would leave alone and why, how long it would take. Changes nothing. */
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Json } from '../../core/json.ts'
import type { ItemSummary, Ledger } from '../../ledger/port.ts'
import { whyNoCancel, whyNoDiscard } from '../../ledger/refusals.ts'
import type { EndpointStatistics } from '../operations/endpoint-statistics.ts'
import { SAMPLES, sampleEdit, whyNotReplayed } from '../operations/replay.ts'
import { ACTIONABLE, CANCELLABLE, selectItems } from '../operations/selection.ts'
import type { JobOrder } from './job.ts'

export interface JobPlan {
  readonly selected: number
  /** Would be done. */
  readonly ready: number
  readonly refused: readonly { readonly why: string; readonly count: number; readonly exampleItemId: string }[]
  /** Of those that would be done, the largest first; without a fingerprint where they are no dead letters. */
  readonly groups: readonly {
    readonly fingerprint: string | undefined
    readonly summary: string
    readonly count: number
  }[]
  /** Of replays: where they would go, and how fast that may be. */
  readonly lanes: readonly {
    readonly lane: string
    readonly count: number
    /** Calls a second at most; `undefined`: nobody knows. */
    readonly perSecond: number | undefined
    readonly estimatedMs: number | undefined
  }[]
  /** Of the slowest lane, at its full rate; `undefined` where one is not known. */
  readonly estimatedMs: number | undefined
  /** Payloads before and after, for the first few, where they are patched. */
  readonly samples: readonly { readonly itemId: string; readonly before: Json; readonly after: Json }[]
}

export interface PlanParts {
  readonly ledger: Ledger
  readonly integrations: ReadonlyMap<string, IntegrationSettings>
  readonly statistics: () => Promise<readonly EndpointStatistics[]>
}

/** One of the selected items, with why it would be left alone. */
export interface Selected {
  readonly itemId: string
  readonly item: ItemSummary | undefined
  readonly refused: string | undefined
}

export async function* selectedFor(ledger: Ledger, order: JobOrder): AsyncGenerator<Selected> {
  const states = order.what === 'cancel' ? CANCELLABLE : ACTIONABLE
  for await (const { itemId, item } of selectItems(ledger, order.selection, states)) {
    yield { itemId, item, refused: whyNot(order, item) }
  }
}

function whyNot(order: JobOrder, item: ItemSummary | undefined): string | undefined {
  if (!item) return 'there is no such item'
  if (order.what === 'replay') return whyNotReplayed(item, order)
  return order.what === 'discard' ? whyNoDiscard(item.state) : whyNoCancel(item.state)
}

/** @throws HoldfastError `invalid_patch` */
export async function planJob(parts: PlanParts, order: JobOrder): Promise<JobPlan> {
  const refused = new Map<string, { why: string; count: number; exampleItemId: string }>()
  const groups = new Map<string, { fingerprint: string | undefined; summary: string; count: number }>()
  const lanes = new Map<string, number>()
  const samples: JobPlan['samples'][number][] = []
  let [selected, ready] = [0, 0]
  for await (const { itemId, item, refused: why } of selectedFor(parts.ledger, order)) {
    selected += 1
    if (why !== undefined || !item) {
      const reason = why ?? 'there is no such item'
      const known = refused.get(reason) ?? { why: reason, count: 0, exampleItemId: itemId }
      refused.set(reason, { ...known, count: known.count + 1 })
      continue
    }
    ready += 1
    const { fingerprint, summary = item.reason } = item.deadLetter ?? {}
    const group = groups.get(fingerprint ?? '') ?? { fingerprint, summary, count: 0 }
    groups.set(fingerprint ?? '', { ...group, count: group.count + 1 })
    lanes.set(item.lane, (lanes.get(item.lane) ?? 0) + 1)
    if (order.patch !== undefined && samples.length < SAMPLES) {
      samples.push(await sampleEdit(parts.ledger, itemId, order.patch))
    }
  }
  const paced = order.what === 'replay' ? await lanesOf(parts, lanes) : []
  return {
    selected,
    ready,
    refused: [...refused.values()].toSorted(byCount),
    groups: [...groups.values()].toSorted(byCount),
    lanes: paced,
    estimatedMs: slowest(paced),
    samples,
  }
}

function byCount(a: { readonly count: number }, b: { readonly count: number }): number {
  return b.count - a.count
}

async function lanesOf(parts: PlanParts, lanes: ReadonlyMap<string, number>): Promise<JobPlan['lanes']> {
  const statistics = lanes.size > 0 ? await parts.statistics() : []
  return [...lanes]
    .map(([lane, count]) => {
      const perSecond = rateOf(parts.integrations.get(lane.split('/')[0] ?? ''), statistics)
      const estimatedMs = perSecond === undefined ? undefined : Math.ceil((count / perSecond) * 1000)
      return { lane, count, perSecond, estimatedMs }
    })
    .toSorted(byCount)
}

/** The stated rate, and what as many calls at a time as are allowed would come to, at the usual time of a call. */
function rateOf(
  integration: IntegrationSettings | undefined,
  statistics: readonly EndpointStatistics[],
): number | undefined {
  if (!integration) return undefined
  const { rate, concurrency } = integration.limits
  const calls = statistics.filter((endpoint) => endpoint.integration === integration.name && endpoint.total.p50Ms)
  const slowestMs = Math.max(0, ...calls.map(({ total }) => total.p50Ms ?? 0))
  const limits = [
    ...(rate ? [(rate.limit / rate.perMs) * 1000] : []),
    ...(slowestMs > 0 ? [(concurrency / slowestMs) * 1000] : []),
  ]
  return limits.length > 0 ? Math.min(...limits) : undefined
}

function slowest(lanes: JobPlan['lanes']): number | undefined {
  if (lanes.length === 0 || lanes.some(({ estimatedMs }) => estimatedMs === undefined)) return undefined
  return Math.max(...lanes.map(({ estimatedMs = 0 }) => estimatedMs))
}
