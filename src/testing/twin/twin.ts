import { didYouMean } from '../../config/nearest.ts'
import { configurationError } from '../../core/errors.ts'
import { type Counters, createCounters } from '../faults/counts.ts'
import type { FaultRule } from '../faults/fault.ts'
import { type FaultServer, startFaultServer } from '../faults/fault-server.ts'
import type { FaultyService } from '../faults/faulty-service.ts'
import { createApi, type TwinMemory } from './api.ts'
import { createEffectLog, type Duplicate, type Effect, type EffectLog } from './effects.ts'
import { createKeyMemory } from './idempotency.ts'
import { type Journal, openJournal } from './journal.ts'
import type { TwinDefinition, TwinOptions } from './options.ts'
import { createRecordStore, type RecordStore, type WritableRecordStore } from './record-store.ts'
import { route, type TwinRoute } from './route.ts'

/** What a twin knows of itself. */
export interface TwinState {
  /** Every effect, in order; with those of the journal. */
  readonly effects: readonly Effect[]
  /** Effects with the same key that were applied more than once. */
  duplicates(): readonly Duplicate[]
  has(effectKey: string): boolean
  readonly store: RecordStore
}

/** A programmable API that fails as told, and knows exactly what it did (R197). */
export interface Twin extends FaultServer, TwinState {}

/** @throws HoldfastError `cannot_listen`, `invalid_journal`, `unknown_route` for faults of a route that is not there */
export async function startTwin(options: TwinOptions): Promise<Twin> {
  const journal = options.journal === undefined ? undefined : openJournal(options.journal)
  const { definition, api, counters, face } = createTwin(options, journal)
  const server = await startFaultServer({ ...options, ...definition }, api, counters)

  async function close(): Promise<void> {
    await server.close()
    journal?.close()
  }
  return { ...face(server), close, [Symbol.asyncDispose]: close }
}

/**
 * A twin that nothing reaches yet: its API, and the face it shows once it can be reached.
 * @throws HoldfastError `unknown_route`
 */
export function createTwin(options: TwinDefinition, journal?: Journal) {
  for (const { route } of options.faults ?? []) checkRoute(route, options)
  const counters = createCounters()
  const effects = createEffectLog()
  const store = createRecordStore(options.clock, options.random, (change) =>
    journal?.add({ type: 'record', ...change }),
  )
  const keys = createKeyMemory(options.clock, (answer) => journal?.add({ type: 'answer', ...answer }))
  const memory: TwinMemory = {
    store,
    keys,
    addEffect(effect) {
      effects.add(effect)
      journal?.add({ type: 'effect', ...effect })
    },
    keep() {
      journal?.flush()
      counters.changed()
    },
  }
  if (journal) restore(journal, { effects, store, keys })

  const about = options.tells ? routesAbout(effects, counters) : []
  const routes = [...about, ...(options.routes ?? [])]
  const definition: TwinDefinition = { ...options, routes, faults: allFaults(options) }
  return {
    definition,
    api: createApi(definition, memory),
    counters,
    face<Service extends FaultyService>(service: Service): Service & TwinState {
      return {
        ...service,
        script(target, steps) {
          if (typeof target === 'string') checkRoute(target, options)
          service.script(target, steps)
        },
        disturb(rule) {
          checkRoute(rule.route, options)
          return service.disturb(rule)
        },
        effects: effects.all,
        duplicates: effects.duplicates,
        has: effects.has,
        store,
      }
    },
  }
}

/** For people and other processes: what the twin knows of itself. */
function routesAbout(effects: EffectLog, counters: Counters): TwinRoute[] {
  const tell = (what: string, body: () => unknown): TwinRoute =>
    route('GET', `/_twin/${what}`, { exempt: true, apply: () => ({ status: 200, body: body() }) })
  const { requests, faults } = counters
  return [
    tell('effects', () => effects.all),
    tell('duplicates', () => effects.duplicates()),
    tell('requests', () => ({
      total: requests.total,
      byRoute: Object.fromEntries(requests.byRoute),
      byOutcome: Object.fromEntries(requests.byOutcome),
      faults: Object.fromEntries(faults),
    })),
  ]
}

/** Those of the routes come first: they are more particular. */
function allFaults(options: TwinDefinition): FaultRule[] {
  const ofRoutes = (options.routes ?? []).flatMap(({ name, faults = [] }) =>
    faults.map((rule) => ({ ...rule, route: name })),
  )
  return [...ofRoutes, ...(options.faults ?? [])]
}

/** Faults of a route that does not exist would never happen, and nobody would know. */
function checkRoute(name: string | undefined, { routes = [], otherwise }: TwinDefinition): void {
  const names = routes.map((route) => route.name)
  if (name === undefined || names.includes(name)) return
  const [method = '', path = ''] = name.split(' ')
  if (otherwise?.(method, path)?.name === name) return
  throw configurationError(
    'unknown_route',
    `The twin has no route ${JSON.stringify(name)}${didYouMean(name, names)}`,
    `Its routes are: ${names.join(', ') || 'none'}.`,
    { route: name },
  )
}

function restore(
  journal: Journal,
  into: {
    readonly effects: ReturnType<typeof createEffectLog>
    readonly store: WritableRecordStore
    readonly keys: ReturnType<typeof createKeyMemory>
  },
): void {
  for (const { type, ...entry } of journal.entries) {
    if (type === 'effect') into.effects.add(entry as Effect)
    else if (type === 'record') into.store.restore(entry as Parameters<WritableRecordStore['restore']>[0])
    else into.keys.restore(entry as Parameters<typeof into.keys.restore>[0])
  }
}
