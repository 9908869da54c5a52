/**
 * A trial of the gateway: `holdfast serve`, killed again and again while callers send by every way in. At the end everything that
 * was answered 2xx must be there, under the name that the answer gave it, once.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { holdfast } from '../../src/index.ts'
import type { Balance } from '../../src/ledger/port.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { type Gateways, startGateways } from './gateways.ts'
import { openPlace, type TrialPlace } from './place.ts'
import type { PlacesFacts } from './places.ts'
import { drained, type TrialOptions, type TrialParts } from './run.ts'
import { createTraffic, namesOf, type Promises, WAYS, type Way } from './traffic.ts'
import { makeTrouble, type TroubleFacts } from './trouble.ts'
import { createAuditor, openStates } from './verdict.ts'
import { createWatch, type Watch } from './watch.ts'

/** `items`: requests, of which one in six brings several records; `workers`: gateways. */
export type GatewayTrialOptions = Omit<TrialOptions, 'leaseMs'>

export interface GatewayTrialResult extends GatewayTrialOptions {
  readonly passed: boolean
  readonly problems: readonly string[]
  readonly place: string
  /** Answered 2xx, each once or more. */
  readonly promised: number
  /** Of the promises: calls that were passed on, of which the store knows nothing. */
  readonly passedOn: number
  readonly killed: number
  readonly restarted: number
  readonly audits: number
  readonly unanswered: number
  /** Dead letters because whoever had them in hand was killed, again and again. */
  readonly putBack: number
  readonly balance: Balance
  readonly gateways: PlacesFacts
  readonly tookMs: number
}

const CALLERS = 16
/** Requests ahead of the next kill: so that each of them hits somebody at work. */
const AHEAD = 60
const PAGE = 1000
const MOST_SHOWN = 5

/** @throws HoldfastError `invalid_options`; Error where nothing moves any more, or a process cannot be started. */
export async function runGatewayTrial(options: GatewayTrialOptions, parts: TrialParts): Promise<GatewayTrialResult> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-trial-'))
  try {
    await using place = await openPlace(options.store)
    return await onPlace(options, parts, place, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function onPlace(
  options: GatewayTrialOptions,
  { clock, signal, onProgress }: TrialParts,
  place: TrialPlace,
  folder: string,
): Promise<GatewayTrialResult> {
  const { items, kills, restarts, workers, seed } = options
  const sinceMs = clock.monotonicMs()
  const random = seededRandom(`gateways ${seed}`)
  const watch = createWatch(clock, signal)
  const seen = new Set<string>()
  const routes = [route('PUT', '/things', { effectKey: 'name' })]
  await using twin = await startTwin({ clock, random, routes, onEffect: ({ key }) => seen.add(key) })
  await using hf = await holdfast({ store: place.store })
  const { changed, fail: broken } = watch
  const compileCacheFolder = join(folder, 'cache')
  const where = { folder, store: place.store, twinUrl: twin.url, compileCacheFolder }
  const gateways = startGateways({ count: workers, ...where, changed, broken })
  const auditor = createAuditor(hf)
  const facts: TroubleFacts = { killed: 0, restarted: [] }
  let done = 0
  const traffic = createTraffic({
    ...{ clock, random, urls: gateways.urls },
    promised() {
      done++
      watch.moved()
      const progress = { done, items, kills: facts.killed, restarts: facts.restarted.length, audits: auditor.count }
      onProgress?.(progress)
    },
  })
  try {
    const mayGoOn = (): boolean => kills === 0 || done < (items * facts.killed) / kills + AHEAD
    const trouble = { clock, random, watch, children: gateways, place, auditor, items, kills, restarts }
    const sending = sendAll(traffic, items, watch, mayGoOn)
    await Promise.all([sending, makeTrouble({ ...trouble, doneCount: () => done }, facts)])
    const names = namesOfAll(items)
    const expected = names.filter((name) => !name.startsWith('proxy-'))
    await drained(hf, expected.length, clock, watch)
    const putBack = await putBackTheUnlucky(hf)
    if (putBack > 0) await drained(hf, expected.length, clock, watch)
    const exitCodes = await gateways.endAll()
    const { balance } = await auditor.audit()
    const problems = [
      ...auditor.problems,
      ...traffic.problems,
      ...(balance.states.succeeded === expected.length ? [] : [`not all succeeded: ${openStates(balance.states)}`]),
      ...(await missing(hf, expected, traffic)),
      ...shown(
        'were answered 2xx, and the API never heard of',
        names.filter((name) => !seen.has(name)),
      ),
      ...endsOf(gateways, exitCodes),
    ]
    return {
      ...options,
      passed: problems.length === 0,
      problems,
      place: place.description,
      promised: traffic.runs.size + traffic.passed.size,
      passedOn: traffic.passed.size,
      killed: facts.killed,
      restarted: facts.restarted.length,
      audits: auditor.count,
      unanswered: traffic.unanswered,
      putBack,
      balance,
      gateways: gateways.facts,
      tookMs: Math.round(clock.monotonicMs() - sinceMs),
    }
  } finally {
    gateways.killAll()
    watch.stop()
  }
}

async function sendAll(traffic: Promises, count: number, watch: Watch, mayGoOn: () => boolean): Promise<void> {
  let next = 0
  async function call(): Promise<void> {
    while (next < count) {
      const number = next++
      await watch.until(mayGoOn)
      await traffic.send(wayOf(number), number)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, call))
}

function wayOf(number: number): Way {
  return WAYS[number % WAYS.length] as Way
}

function namesOfAll(requests: number): string[] {
  return Array.from({ length: requests }, (_, number) => namesOf(wayOf(number), number)).flat()
}

/**
 * Who dies often enough with the same item in hand makes it look like poison to the engine, which asks a person. Here it is known
 * who is to blame.
 */
async function putBackTheUnlucky(hf: Holdfast): Promise<number> {
  const page = await hf.operations.items({ states: ['dead_lettered'] }, { limit: PAGE })
  const itemIds = page.rows.filter(({ reason }) => reason.includes('crashed the worker')).map(({ itemId }) => itemId)
  if (itemIds.length === 0) return 0
  const { replayed } = await hf.operations.replay({ selection: { itemIds }, by: 'the trial' })
  return replayed
}

/** What the store has, compared with what was answered. */
async function missing(hf: Holdfast, expected: readonly string[], { runs }: Promises): Promise<string[]> {
  const there = new Map<string, string[]>()
  let cursor: string | undefined
  do {
    const page = await hf.operations.items({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const { key, runId } of page.rows) {
      const name = key.replace(/^github:/, '')
      there.set(name, [...(there.get(name) ?? []), runId])
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  const isAnother = (name: string) => runs.get(name) !== undefined && !there.get(name)?.includes(runs.get(name) ?? '')
  return [
    ...shown(
      'were answered 2xx, and are lost',
      expected.filter((name) => !there.has(name)),
    ),
    ...shown(
      'are there twice',
      [...there].filter(([, ids]) => ids.length > 1).map(([name]) => name),
    ),
    ...shown(
      'are there as another run than was answered',
      expected.filter((name) => there.has(name) && isAnother(name)),
    ),
    ...shown(
      'are there, and nobody sent them',
      [...there.keys()].filter((name) => !runs.has(name)),
    ),
  ]
}

function shown(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${names.length} records ${what}: ${names.slice(0, MOST_SHOWN).join(', ')}`]
}

function endsOf({ facts }: Gateways, exitCodes: readonly (number | null)[]): string[] {
  return [
    ...facts.fallen.map((how) => `a gateway ended by itself: ${how}`),
    ...exitCodes.filter((code) => code !== 0).map((code) => `a gateway that got SIGTERM ended with ${code}`),
  ]
}
