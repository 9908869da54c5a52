/**
 * A trial: real processes, a real store, a real network to a twin that keeps its own record, and nothing but trouble. At the end
 * everything that was acknowledged must be there exactly once, by the books and by the twin.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import { type Random, randomInteger, seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { holdfast } from '../../src/index.ts'
import type { AuditReport, Balance, ItemCounters } from '../../src/ledger/port.ts'
import { type Children, type ChildrenFacts, startChildren } from './children.ts'
import { openPlace, type RestartMode, type TrialPlace } from './place.ts'
import { createWatch, type Watch } from './watch.ts'
import { configOf, judgeTwin, STEPS_PER_RUN, startWorld, type TwinVerdict } from './world.ts'

export interface TrialOptions {
  /** Rounded up to whole records, of four items each. */
  readonly items: number
  readonly workers: number
  readonly kills: number
  /** Of the database. */
  readonly restarts: number
  /** `postgres`, `sqlite`, or the address of a server. */
  readonly store: string
  readonly seed: string
  /** How long a claim lasts without renewal, in milliseconds. Default 2000. */
  readonly leaseMs?: number
}

export interface TrialParts {
  readonly clock: Clock
  readonly onProgress?: (progress: Progress) => void
  readonly signal?: AbortSignal
}

export interface Progress {
  readonly done: number
  readonly items: number
  readonly kills: number
  readonly restarts: number
  readonly audits: number
}

export interface TrialResult extends Required<TrialOptions> {
  readonly passed: boolean
  /** What is wrong, in words; empty where nothing is. */
  readonly problems: readonly string[]
  readonly place: string
  readonly runs: number
  readonly killed: number
  readonly restarted: readonly RestartMode[]
  /** Of the whole store, each with the books and every check in balance. */
  readonly audits: number
  readonly balance: Balance
  readonly twin: TwinVerdict
  /** Of all items together. */
  readonly counters: ItemCounters
  readonly children: ChildrenFacts
  readonly tookMs: number
}

const LEASE_MS = 2000
/** Records submitted ahead of those that are done: so that submitting, too, goes on until late. */
const AHEAD = 250
/** Audits while it runs, beside those after each restart. */
const AUDITS_UNDER_WAY = 10
const KILLED_AT_ANY_TIME = 0.1
const LONGEST_DELAY_MS = 60
const PAGE = 1000
const MOST_SHOWN = 5

/** @throws HoldfastError `invalid_options`; Error where nothing moves any more, or a process cannot be started. */
export async function runTrial(options: TrialOptions, parts: TrialParts): Promise<TrialResult> {
  const sinceMs = parts.clock.monotonicMs()
  const compileCacheFolder = mkdtempSync(join(tmpdir(), 'holdfast-trial-cache-'))
  try {
    await using place = await openPlace(options.store)
    const trial = { ...options, leaseMs: options.leaseMs ?? LEASE_MS }
    return await onPlace(trial, parts, place, compileCacheFolder, sinceMs)
  } finally {
    rmSync(compileCacheFolder, { recursive: true, force: true })
  }
}

async function onPlace(
  options: Required<TrialOptions>,
  parts: TrialParts,
  place: TrialPlace,
  compileCacheFolder: string,
  sinceMs: number,
): Promise<TrialResult> {
  const runs = Math.ceil(options.items / STEPS_PER_RUN)
  const random = seededRandom(`trial ${options.seed}`)
  const done = new Set<string>()
  const watch = createWatch(parts.clock, parts.signal)
  await using twin = await startWorld(seededRandom(`twin ${options.seed}`), (key) => {
    done.add(key)
    watch.moved()
  })
  const { leaseMs } = options
  await using hf = await holdfast(configOf(place.store, twin.url, leaseMs))
  const children = startChildren({
    workers: options.workers,
    orders: { store: place.store, url: twin.url, leaseMs },
    compileCacheFolder,
    changed: watch.changed,
    broken: watch.fail,
  })
  try {
    const auditor = createAuditor(hf)
    const troubles = { runs, done, random, watch, children, place, auditor, options, parts }
    const { killed, restarted } = await makeTrouble(troubles)
    await watch.until(() => children.acknowledged >= runs)
    await drained(hf, runs * STEPS_PER_RUN, parts, watch)
    const exitCodes = await children.endAll()
    const last = await auditor.audit()
    const verdict = judgeTwin(twin, runs)
    const problems = [
      ...auditor.problems,
      ...problemsOf(last.balance, runs * STEPS_PER_RUN, verdict),
      ...children.facts.fallen.map((how) => `a process ended by itself: ${how}`),
      ...exitCodes.filter((code) => code !== 0).map((code) => `a process that was asked to end did so with ${code}`),
    ]
    return {
      ...options,
      passed: problems.length === 0,
      problems,
      place: place.description,
      runs,
      killed,
      restarted,
      audits: auditor.count,
      balance: last.balance,
      twin: verdict,
      counters: await countersOf(hf),
      children: children.facts,
      tookMs: Math.round(parts.clock.monotonicMs() - sinceMs),
    }
  } finally {
    children.killAll()
    watch.stop()
  }
}

interface Troubles {
  readonly runs: number
  /** Effects at the twin, each once. */
  readonly done: ReadonlySet<string>
  readonly random: Random
  readonly watch: Watch
  readonly children: Children
  readonly place: TrialPlace
  readonly auditor: Auditor
  readonly options: Required<TrialOptions>
  readonly parts: TrialParts
}

type Act = 'kill' | 'restart' | 'audit'

/** Each at a moment of its own, spread over the whole of the work; several may be under way at once. */
async function makeTrouble(trial: Troubles): Promise<{ killed: number; restarted: readonly RestartMode[] }> {
  const { done, watch, children, options, parts, random, auditor } = trial
  const items = trial.runs * STEPS_PER_RUN
  let killed = 0
  const restarted: RestartMode[] = []
  const underWay = new Set<Promise<void>>()

  /** Most of them in the middle of their work; some while they start. */
  async function killOne(): Promise<void> {
    const whom = random.next() < KILLED_AT_ANY_TIME ? 'any' : 'at work'
    let gone: Promise<void> | null = null
    await watch.until(() => {
      gone ??= children.kill(whom, (count) => Math.floor(random.next() * count))
      return gone !== null
    })
    await gone
    killed++
  }

  async function act(what: Act): Promise<void> {
    if (what === 'audit') return void (await auditor.audit())
    // Away from the moment at which an effect happens.
    await parts.clock.sleep(randomInteger(random, 0, LONGEST_DELAY_MS))
    if (what === 'kill') {
      await killOne()
      return
    }
    const mode: RestartMode = restarted.length % 2 === 0 ? 'immediate' : 'fast'
    restarted.push(mode)
    await trial.place.restart?.(mode)
    await auditor.audit()
  }

  const show = (): void => {
    children.allowUpTo(Math.min(trial.runs, Math.floor(done.size / STEPS_PER_RUN) + AHEAD))
    const counts = { kills: killed, restarts: restarted.length, audits: auditor.count }
    parts.onProgress?.({ done: done.size, items, ...counts })
  }
  watch.onChange(show)
  show()
  for (const { what, atDone } of planOf(options, items, random)) {
    await watch.until(() => done.size >= atDone)
    // A server has one restart at a time.
    if (what === 'restart') await Promise.all(underWay)
    const acting = act(what).catch(watch.fail)
    underWay.add(acting)
    void acting.finally(() => underWay.delete(acting))
  }
  await Promise.all(underWay)
  return { killed, restarted }
}

function planOf({ kills, restarts }: TrialOptions, items: number, random: Random): { what: Act; atDone: number }[] {
  const spread = (what: Act, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      what,
      // Before the end: what comes after the last item hurts nobody.
      atDone: Math.floor((items * 0.97 * (index + random.next())) / count),
    }))
  const all = [...spread('kill', kills), ...spread('restart', restarts), ...spread('audit', AUDITS_UNDER_WAY)]
  return all.sort((left, right) => left.atDone - right.atDone)
}

interface Auditor {
  readonly count: number
  readonly problems: readonly string[]
  audit(): Promise<AuditReport>
}

/** Of the whole store, while everything goes on: one snapshot, in which everything must be right. */
function createAuditor(hf: Holdfast): Auditor {
  const problems: string[] = []
  let count = 0
  return {
    problems,
    get count() {
      return count
    },
    async audit() {
      const report = await hf.operations.audit()
      count++
      const violated = report.checks.filter(({ violations }) => violations > 0)
      for (const { name, violations, examples } of violated) {
        problems.push(`audit ${count}: ${name} is violated ${violations} times, by ${examples.join(', ')}`)
      }
      if (!report.balanced && violated.length === 0) problems.push(`audit ${count}: the books do not balance`)
      return report
    },
  }
}

/** Others do the work: this process only looks. */
async function drained(hf: Holdfast, items: number, { clock }: TrialParts, watch: Watch): Promise<void> {
  for (;;) {
    const { states } = await hf.operations.balance()
    if (states.succeeded === items) return
    const open = states.waiting + states.queued + states.processing + states.retrying + states.parked
    const mayMove = open > 0 || states.unknown_outcome > 0
    if (!mayMove) return
    watch.throwIfStuck()
    await clock.sleep(100)
  }
}

function problemsOf({ accepted, states }: Balance, items: number, { lost, doubled }: TwinVerdict): string[] {
  const problems: string[] = []
  if (accepted !== items) problems.push(`${accepted} items were accepted, of ${items}`)
  if (states.succeeded !== items)
    problems.push(`${states.succeeded} items succeeded, of ${items}: ${openStates(states)}`)
  if (lost.length > 0) problems.push(`${lost.length} effects are lost: ${lost.slice(0, MOST_SHOWN).join(', ')}`)
  if (doubled.length > 0) problems.push(`${doubled.length} are there twice: ${doubled.slice(0, MOST_SHOWN).join(', ')}`)
  return problems
}

function openStates(states: Balance['states']): string {
  return Object.entries(states)
    .filter(([state, count]) => state !== 'succeeded' && count > 0)
    .map(([state, count]) => `${state} ${count}`)
    .join(', ')
}

async function countersOf(hf: Holdfast): Promise<ItemCounters> {
  const sum = { attempts: 0, deferrals: 0, crashes: 0, replays: 0 }
  let cursor: string | undefined
  do {
    const page = await hf.operations.items({}, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const { counters } of page.rows) {
      sum.attempts += counters.attempts
      sum.deferrals += counters.deferrals
      sum.crashes += counters.crashes
      sum.replays += counters.replays
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return sum
}
