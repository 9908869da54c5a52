/** One world: the real engine on virtual time, a twin for each kind of endpoint, and operations whose answers get lost. */
import type { Transport, TransportResult } from '../../src/client/wire/transport.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { WrittenIntegration, WrittenPipeline } from '../../src/config/schema.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { AnyPipeline } from '../../src/engine/pipelines/pipeline.ts'
import type { ItemFilter, ItemSummary } from '../../src/ledger/port.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite/index.ts'
import type { DisturbanceKind } from '../../src/testing/network/disturbance.ts'
import { createSimulatedNetwork, type SimulatedNetwork, type SimulatedTwin } from '../../src/testing/network/network.ts'
import { createVirtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { COLLECTION, COPY, DISTURBANCES, FAULTS, type Kind, LONGEST_DELAY_MS, NETWORK_COPIES } from './kinds.ts'

export interface KindResult {
  readonly operations: number
  /** Writes that were sent, by our count. */
  sent: number
  /** Writes that may have been done, and whose callers were not told. */
  answersLost: number
  /** Effects that a look found. */
  found: number
  /** Unknown outcomes that a person had to decide. */
  listed: number
  /** Dead letters that were replayed. */
  replayed: number
  /** In the list without reason, or missing in it: something was guessed. */
  readonly guessed: string[]
  readonly lost: string[]
  readonly doubled: string[]
  /** Not ended well after all. */
  readonly unfinished: string[]
}

export type WorldResult = Readonly<Record<string, KindResult>>

/** More rounds of a person at work than this would be a loop. */
const MOST_ROUNDS = 60
const PERSON = 'prove'
const PAGE = 500

interface World {
  readonly kinds: readonly Kind[]
  readonly hf: Holdfast
  readonly clock: VirtualClock
  readonly twins: Readonly<Record<string, SimulatedTwin>>
  readonly results: Readonly<Record<string, KindResult>>
  /** Operations that may have been done, and nobody was told: of those sent since a person last looked. */
  readonly inDoubt: Set<string>
}

/** The same seed gives the same run. @throws what the engine throws, which is a failure of the proof */
export async function runWorld(seed: string, perKind: number, kinds: readonly Kind[]): Promise<WorldResult> {
  const clock = createVirtualClock()
  const network = createSimulatedNetwork({ clock, random: seededRandom(`${seed}:network`) })
  const twins = Object.fromEntries(kinds.map((kind) => [kind.name, twinOf(kind, network)]))
  const results = Object.fromEntries(kinds.map(({ name }) => [name, emptyResult(perKind)]))
  const inDoubt = new Set<string>()
  const ledger = await openSqliteLedger({ path: ':memory:', clock, watchEveryMs: 5000 })
  const config = resolveConfig(
    {
      integrations: Object.fromEntries(kinds.map((kind) => [kind.name, integrationOf(kind)])),
      pipelines: Object.fromEntries(kinds.map((kind) => [kind.name, pipelineOf(kind)])),
    },
    { env: {}, baseDirectory: '/' },
  )
  const hf = createEngine({
    clock,
    random: seededRandom(`${seed}:engine`),
    ledger,
    transport: observed(network.transport(), results, inDoubt),
    integrations: config.integrations,
    pipelines: config.pipelines as readonly AnyPipeline[],
    settings: { pollMs: 5000 },
  })
  const world: World = { kinds, hf, clock, twins, results, inDoubt }
  await submit(world, perKind)
  hf.startWorker({ concurrency: 100 })
  await untilAllIsSaid(world)
  await checkItems(world)
  for (const kind of kinds) judge(world, kind, perKind)
  await clock.runUntil(audit(hf))
  await clock.runUntil(hf.close())
  return results
}

async function submit({ kinds, hf, clock, twins }: World, perKind: number): Promise<void> {
  for (const { name, prepare } of kinds) {
    for (let number = 0; prepare && number < perKind; number += 10) {
      prepare((twins[name] as SimulatedTwin).store, operationOf(name, number))
    }
  }
  await clock.advance(86_400_000)
  for (const { name } of kinds) {
    const records = Array.from({ length: perKind }, (_, number) => {
      const operation = operationOf(name, number)
      return { input: { operation, amount: number }, options: { key: operation } }
    })
    await clock.runUntil(hf.submitMany(name, records))
  }
}

/** A person replays what is dead and looks up what is unknown, until nothing is left. */
async function untilAllIsSaid(world: World): Promise<void> {
  const { hf, clock } = world
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await clock.runUntil(hf.drain())
    // What a network still holds back would make the person's look worthless.
    await clock.advance(2 * LONGEST_DELAY_MS)
    const unknown = await all(world, { states: ['unknown_outcome'], needsPerson: true })
    checkList(world, unknown)
    const { states, accepted } = await hf.operations.balance()
    if (states.succeeded === accepted) return
    await decide(world, unknown)
    await replayDead(world)
  }
}

/** What could not be told is listed, all of it and nothing else. */
function checkList({ kinds, results, inDoubt }: World, unknown: readonly ItemSummary[]): void {
  const listed = new Set(unknown.map(({ key }) => key))
  for (const { key, pipeline } of unknown) {
    const result = results[pipeline] as KindResult
    result.listed += 1
    const isExpected = kinds.some(({ name, hopeless }) => name === pipeline && hopeless) && inDoubt.has(key)
    if (!isExpected) result.guessed.push(`${key} is listed`)
  }
  for (const { name, hopeless } of kinds) {
    if (!hopeless) continue
    const missing = [...inDoubt].filter((key) => kindOf(key) === name && !listed.has(key))
    results[name]?.guessed.push(...missing.map((key) => `${key} is not listed`))
  }
}

async function decide(world: World, unknown: readonly ItemSummary[]): Promise<void> {
  for (const { itemId, key, pipeline } of unknown) {
    const [record] = recordsOf(world, pipeline).get(key) ?? []
    const verdict = record ? { happened: true as const, externalId: String(record.id) } : { happened: false as const }
    await world.hf.operations.resolve(itemId, verdict, PERSON)
    world.inDoubt.delete(key)
  }
}

async function replayDead(world: World): Promise<void> {
  const dead = await all(world, { states: ['dead_lettered'] })
  if (dead.length === 0) return
  for (const { pipeline } of dead) (world.results[pipeline] as KindResult).replayed += 1
  const selection = { itemIds: dead.map(({ itemId }) => itemId) }
  await world.clock.runUntil(world.hf.operations.replay({ selection, by: PERSON }))
}

async function all({ hf }: World, filter: ItemFilter = {}): Promise<ItemSummary[]> {
  const found: ItemSummary[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await hf.operations.items(filter, { limit: PAGE, ...(cursor && { cursor }) })
    found.push(...page.rows)
    cursor = page.cursor
    if (cursor === undefined) return found
  }
}

async function checkItems(world: World): Promise<void> {
  for (const { key, pipeline, state, externalId } of await all(world)) {
    const result = world.results[pipeline] as KindResult
    if (state !== 'succeeded') result.unfinished.push(`${key} is ${state}`)
    if (externalId !== undefined && !world.kinds.some(({ name, hopeless }) => name === pipeline && hopeless)) {
      result.found += 1
    }
  }
}

/** Each operation's records at the twin, against the one that there should be. */
function judge(world: World, { name }: Kind, perKind: number): void {
  const result = world.results[name] as KindResult
  const records = recordsOf(world, name)
  for (let number = 0; number < perKind; number++) {
    const operation = operationOf(name, number)
    const count = records.get(operation)?.length ?? 0
    if (count === 0) result.lost.push(operation)
    if (count > 1) result.doubled.push(`${operation}: ${count} times`)
  }
}

function recordsOf({ twins }: World, kind: string): Map<string, { id: string }[]> {
  const records = (twins[kind] as SimulatedTwin).store.collection(COLLECTION).all()
  return Map.groupBy(
    records.filter((record) => record['old'] !== true),
    (record) => String(record['operation']),
  )
}

async function audit(hf: Holdfast): Promise<void> {
  const { balanced, checks } = await hf.operations.audit()
  if (!balanced) throw new Error(`the books do not balance: ${JSON.stringify(checks.filter((c) => c.violations > 0))}`)
}

function twinOf(kind: Kind, network: SimulatedNetwork): SimulatedTwin {
  const address = addressOf(kind.name)
  const faults = kind.survivesCopies ? [...FAULTS, COPY] : FAULTS
  const twin = network.twin(address, { name: kind.name, routes: kind.routes, faults, latencyMs: [20, 400] })
  for (const [what, share] of Object.entries(DISTURBANCES)) {
    network.disturb(address, { what: what as DisturbanceKind, share, delayMs: LONGEST_DELAY_MS })
  }
  if (kind.survivesCopies) network.disturb(address, { what: 'duplicated', share: NETWORK_COPIES, delayMs: 5000 })
  return twin
}

function integrationOf({ name, retry }: Kind): WrittenIntegration {
  return {
    baseUrl: addressOf(name),
    limits: { concurrency: 20 },
    retry: { base: '2s', cap: '60s', maxAge: '7d', ...retry },
  }
}

function pipelineOf({ name, request, idempotency, reconcile }: Kind): WrittenPipeline {
  const step = { integration: name, request, idempotency, ...(reconcile && { reconcile }) }
  return { steps: { send: step } }
}

/** Sees what an honest caller can know: which writes left, and which of them came to no answer. */
function observed(network: Transport, results: World['results'], inDoubt: Set<string>): Transport {
  return {
    async send(request) {
      if (request.method === 'GET') return await network.send(request)
      const { operation } = JSON.parse(String(request.body)) as { operation: string }
      const kind = results[kindOf(operation)] as KindResult
      kind.sent += 1
      const result = await network.send(request)
      if (mayBeDone(result)) {
        kind.answersLost += 1
        inDoubt.add(operation)
      }
      return result
    },
    close: () => network.close(),
  }
}

function mayBeDone(result: TransportResult): boolean {
  if (result.ok) return result.answer.status >= 500 && result.answer.status !== 503
  const { phase, bytesWritten, status } = result.fault
  if (phase === 'before_send' || phase === 'connect' || bytesWritten === 0) return false
  return status === undefined || (status !== 503 && !(status >= 400 && status < 500))
}

function emptyResult(operations: number): KindResult {
  const counts = { sent: 0, answersLost: 0, found: 0, listed: 0, replayed: 0 }
  return { operations, ...counts, guessed: [], lost: [], doubled: [], unfinished: [] }
}

function addressOf(kind: string): string {
  return `https://${kind}.test`
}

function operationOf(kind: string, number: number): string {
  return `${kind}:${number}`
}

function kindOf(operation: string): string {
  return operation.slice(0, operation.indexOf(':'))
}
