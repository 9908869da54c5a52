/**
 * The story of a run for a person: only what concerns the records in question, times as people say them, and runs named after
 * the records of the scenario. The trace proper (`trace.ts`) is for comparing; this is for reading.
 */

import { formatDuration } from '../../core/duration.ts'
import type { UndoInput } from '../../engine/pipelines/undo-pipeline.ts'
import { itemIdsOf } from './checks/calls.ts'
import { troubleName } from './coverage.ts'
import type { Fact, StoreFact } from './fact.ts'
import type { TroublePlan } from './scenario.ts'
import { factText } from './trace.ts'
import { isUndoing } from './undoing.ts'

export interface ReadableTraceOptions {
  /** Items or runs, by their ids or by the names that the trace gives them (`r17.crm`, `r17`). Default: all. */
  readonly about?: readonly string[]
}

/** One line per fact that says something. What only keeps the engine running (looking for work, syncing) is left out. */
export function readableTrace(facts: readonly Fact[], options: ReadableTraceOptions = {}): readonly string[] {
  const name = namesOf(facts)
  const isAbout = interestIn(options.about?.map(name))
  return facts.flatMap((fact) => {
    const shown = narrowed(fact, (id) => isAbout(name(id)))
    return shown ? [`${timeText(shown.atMs)}  ${withMoments(name(textOf(shown)))}`] : []
  })
}

/** Says what a fact or a message says, with runs named as in the readable trace. */
export function namesOf(facts: readonly Fact[]): (text: string) => string {
  const names = new Map<string, string>()
  for (const fact of facts) {
    if (fact.kind === 'acknowledged' && !fact.duplicate) names.set(fact.runId, fact.record)
  }
  // What undoes a run belongs to its story; a run is undone before it is acknowledged where its answer was lost.
  for (const fact of facts) {
    if (fact.kind !== 'store' || fact.method !== 'submit') continue
    for (const { id, input } of fact.request[0].filter(({ pipeline }) => isUndoing(pipeline))) {
      const { runId } = JSON.parse(input) as UndoInput
      names.set(id, `${names.get(runId) ?? runId}.undo`)
    }
  }
  return (text) => text.replace(UUID, (id) => names.get(id) ?? id)
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** Where every simulated clock begins. */
const START_MS = Date.UTC(2026, 0, 1)

/** Moments by a machine's clock, which may be wrong, told from the same beginning as everything else. */
function withMoments(text: string): string {
  return text.replace(/\b\d{13}(?:\.\d+)?\b/g, (wallMs) => timeText(Number(wallMs) - START_MS))
}

/** `+0.250s`, `+1m03.250s`, `+26h00m00.000s` */
export function timeText(atMs: number): string {
  if (atMs < 0) return timeText(-atMs).replace('+', '-')
  const wholeMs = Math.round(atMs)
  const hours = Math.floor(wholeMs / 3_600_000)
  const minutes = Math.floor(wholeMs / 60_000) % 60
  const seconds = ((wholeMs % 60_000) / 1000).toFixed(3)
  if (hours > 0) return `+${hours}h${String(minutes).padStart(2, '0')}m${seconds.padStart(6, '0')}s`
  return minutes > 0 ? `+${minutes}m${seconds.padStart(6, '0')}s` : `+${seconds}s`
}

function textOf(fact: Fact): string {
  return fact.kind === 'trouble' ? `trouble ${fact.what}: ${troubleText(fact.trouble)}` : factText(fact)
}

/** `network lost_answer at crm, 30 %, for 17.8s` */
function troubleText(trouble: TroublePlan): string {
  const parts = [
    troubleName(trouble),
    'api' in trouble ? ` at ${trouble.api}` : '',
    'machine' in trouble && trouble.machine !== undefined ? ` on ${trouble.machine}` : '',
    'share' in trouble ? `, ${Math.round(trouble.share * 100)} %` : '',
    'lastsMs' in trouble ? `, for ${formatDuration(trouble.lastsMs)}` : '',
    'byMs' in trouble ? `, by ${formatDuration(trouble.byMs)}` : '',
  ]
  return parts.join('')
}

type IsAbout = (id: string) => boolean

function interestIn(about: readonly string[] | undefined): IsAbout {
  if (!about) return () => true
  return (id) => about.some((wanted) => id === wanted || id.startsWith(`${wanted}.`) || wanted.startsWith(`${id}.`))
}

/** The fact with only those items in it that are in question; `undefined` where nothing is left to tell. */
function narrowed(fact: Fact, isAbout: IsAbout): Fact | undefined {
  switch (fact.kind) {
    case 'acknowledged':
      return isAbout(fact.runId) ? fact : undefined
    case 'sent':
    case 'answered': {
      const itemIds = itemIdsOf(fact)
      return itemIds.length === 0 || itemIds.some(isAbout) ? fact : undefined
    }
    case 'effect':
    case 'code':
      return fact.itemId === undefined || isAbout(fact.itemId) ? fact : undefined
    case 'event':
      return tells(fact.event, isAbout) ? fact : undefined
    case 'store':
      return narrowedStore(fact, isAbout)
    default:
      return fact
  }
}

/** Claims and settlements are told by the store. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set(['run.accepted', 'item.claimed', 'call.ended', 'worker.started'])

function tells(event: Extract<Fact, { kind: 'event' }>['event'], isAbout: IsAbout): boolean {
  if (TOLD_ELSEWHERE.has(event.type) || (event.type === 'item.settled' && event.reason === '')) return false
  return !('itemId' in event) || event.itemId === undefined || isAbout(event.itemId)
}

function narrowedStore(fact: Fact & StoreFact, isAbout: IsAbout): Fact | undefined {
  switch (fact.method) {
    case 'settle': {
      const [settlements, nowMs] = fact.request
      const isKept = settlements.map(({ itemId }) => isAbout(itemId))
      if (!isKept.includes(true)) return undefined
      const kept = <Entry>(entries: readonly Entry[]) => entries.filter((_, index) => isKept[index])
      return { ...fact, request: [kept(settlements), nowMs], result: fact.result && kept(fact.result) }
    }
    case 'claim':
    case 'reclaimExpired': {
      if (fact.refused !== undefined) return fact
      const result = fact.result?.filter(({ itemId }) => isAbout(itemId)) ?? []
      return result.length > 0 ? ({ ...fact, result } as Fact) : undefined
    }
    case 'submit': {
      const result = fact.result?.filter(({ runId }) => isAbout(runId)) ?? []
      return fact.refused !== undefined || result.length > 0 ? { ...fact, result } : undefined
    }
    case 'extendLeases': {
      const result = fact.result?.filter(({ itemId }) => isAbout(itemId)) ?? []
      return fact.refused !== undefined || result.length > 0 ? { ...fact, result } : undefined
    }
    case 'replay':
    case 'discard':
    case 'cancel':
    case 'resolve': {
      const result = fact.result?.filter(({ itemId }) => isAbout(itemId)) ?? []
      return fact.refused !== undefined || result.length > 0 ? ({ ...fact, result } as Fact) : undefined
    }
    case 'wake':
      return fact.result === 0 ? undefined : fact
    case 'closeGates':
    case 'openGates':
    case 'suspendLanes':
    case 'resumeLanes':
      return fact
    default:
      return fact.refused === undefined ? undefined : fact
  }
}
