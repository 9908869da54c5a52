import type { Failure } from './failure.ts'
import type { ItemState } from './item-state.ts'

/**
 * The one catalogue of what Holdfast tells the outside: logs, metrics, alerts, screens and tests all consume these.
 * Observers only listen: nothing they do or throw changes what the engine does.
 */
export interface EventCatalogue {
  'run.accepted': { runId: string; pipeline: string; tenant: string; key: string; items: number }
  'item.claimed': ItemRef & { claim: number; attempts: number; from: ItemState }
  /** An item changed state, and that is on disk. */
  'item.settled': ItemRef & { state: ItemState; reason: string; attempts: number; dueAtMs?: number; failure?: Failure }
  /**
   * A failure that will not pass by itself and that no rule of the integration or its profile knew (R031): once for each
   * fingerprint and process.
   */
  'failure.unseen': ItemRef & { fingerprint: string; failure: Failure }
  'item.lease_lost': ItemRef & { claim: number }
  /** One outbound request ended: the structured line of R162. */
  'call.ended': {
    integration: string
    endpoint: string
    lane: string
    method: string
    status?: number
    latencyMs: number
    attempt: number
    isRetry: boolean
    idempotencyKey?: string
    correlationId: string
    itemId?: string
    failure?: Failure
  }
  /** Refused before anything was sent; uses no attempt (rule 4). */
  'call.held': { integration: string; endpoint: string; lane: string; by: HeldBy; untilMs: number; itemId?: string }
  'gate.closed': { lane: string; untilMs: number; reason: string }
  'breaker.changed': { key: string; from: BreakerPhase; to: BreakerPhase; reason: string; untilMs?: number }
  'lane.suspended': { lane: string; reason: string }
  'lane.resumed': { lane: string }
  /**
   * An SDK repeats calls that Holdfast has given up on, so that its tries multiply ours. Once per integration and process.
   * `evidence`: the SDK numbers its tries; it sent a key of its own again; or just the same request, within seconds.
   */
  'nested_retries.detected': {
    integration: string
    endpoint: string
    evidence: 'retry_header' | 'sdk_key' | 'same_request'
    /** The repeat got the error of the call before; nothing was sent. */
    refused: boolean
    hint: string
  }
  /** There is a new token, or secret: in the store, and used from now on. */
  'credential.renewed': { credential: string; version: number; expiresAtMs?: number }
  /**
   * It cannot be used, or not be renewed (R146): once, by one process, until it works again or a person has lifted it.
   * `parked`: its lanes wait for a person; else it is tried again by itself, at `retryAtMs`.
   */
  'credential.failed': {
    credential: string
    severity: 'critical'
    code: string
    reason: string
    hint: string
    parked: boolean
    retryAtMs?: number
  }
  /** An address that is told of runs answered 410: nothing is sent there until a person enables it. Once, by one process. */
  'callback.disabled': { address: string; integration: string; itemId: string; reason: string; hint: string }
  'callback.enabled': { address: string }
  /** Verified, on disk, and answered. */
  'webhook.received': {
    source: string
    provider: string
    events: number
    accepted: number
    duplicates: number
    /** Of the duplicates: with other content than before. */
    changed: number
    /** Of the accepted: refused by the pipeline's schema, and on their way to the dead letters (R144). */
    unreadable: number
  }
  /** Somebody sent what was not believed, or too much of it; the sender is not told why. */
  'webhook.refused': { source: string; provider: string; reason: string }
  /** A provider asked whether somebody is there. `hasSecret`: it sent one, for `onSecret` of the handler. */
  'webhook.handshake': { source: string; provider: string; hasSecret: boolean }
  /** A step of a job that this process works on: how far it was, or how it ended. */
  'job.progressed': {
    jobId: string
    what: string
    phase: string
    total: number
    waiting: number
    underWay: number
    succeeded: number
    failed: number
    refused: number
    forgotten: number
  }
  'worker.started': { workerId: string }
  'worker.stopped': { workerId: string; released: number }
  /** A part of the engine failed and goes on: the store was busy, an observer threw, ... */
  'engine.trouble': { where: string; message: string; cause?: unknown }
}

export type BreakerPhase = 'closed' | 'open' | 'half_open' | 'ramping'
export type HeldBy =
  | 'gate'
  | 'breaker'
  | 'rate'
  | 'concurrency'
  | 'quota'
  | 'retry_budget'
  | 'suspended'
  | 'credentials'

export interface ItemRef {
  itemId: string
  runId: string
  pipeline: string
  step: string
  tenant: string
  lane: string
  endpoint: string
}

export type EventName = keyof EventCatalogue
export type EventOf<Name extends EventName> = { readonly type: Name; readonly atMs: number } & Readonly<
  EventCatalogue[Name]
>
export type HoldfastEvent = { [Name in EventName]: EventOf<Name> }[EventName]

export interface EventSource {
  /** Listens to one kind of event, or to all with `'*'`. Dispose the result to stop. */
  on<Name extends EventName>(type: Name, listener: (event: EventOf<Name>) => void): Disposable
  on(type: '*', listener: (event: HoldfastEvent) => void): Disposable
}

export interface EventBus extends EventSource {
  emit<Name extends EventName>(type: Name, atMs: number, data: EventCatalogue[Name]): void
  /** False where nobody listens to this kind: lets hot paths skip building the event. */
  wants(type: EventName): boolean
}

type Listener = (event: HoldfastEvent) => void

/**
 * An event bus. A listener that throws is reported through `onListenerError` and never reaches the emitter.
 */
export function createEventBus(onListenerError: (error: unknown, event: HoldfastEvent) => void): EventBus {
  const listeners = new Map<string, Set<Listener>>()

  function deliver(to: Set<Listener> | undefined, event: HoldfastEvent): void {
    if (!to) return
    for (const listener of to) {
      try {
        listener(event)
      } catch (error) {
        onListenerError(error, event)
      }
    }
  }

  return {
    on(type: string, listener: (event: never) => void): Disposable {
      const set = listeners.get(type) ?? new Set<Listener>()
      listeners.set(type, set.add(listener as Listener))
      return { [Symbol.dispose]: () => set.delete(listener as Listener) }
    },
    emit(type, atMs, data) {
      const all = listeners.get('*')
      const some = listeners.get(type)
      if (!all?.size && !some?.size) return
      const event = { type, atMs, ...data } as unknown as HoldfastEvent
      deliver(some, event)
      deliver(all, event)
    },
    wants(type) {
      return Boolean(listeners.get(type)?.size || listeners.get('*')?.size)
    },
  }
}
