/**
 * A trial: real processes, a real store, a real network to a twin that keeps its own record, and nothing but trouble. At the end
 * everything that was acknowledged must be there exactly once, by the books and by the twin.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Holdfast } from '../../src/engine/api.ts'
import { holdfast } from '../../src/index.ts'
import type { Balance, ItemCounters } from '../../src/ledger/port.ts'
import { type ChildrenFacts, startChildren } from './children.ts'
import { openPlace, type RestartMode, type TrialPlace } from './place.ts'
import { makeTrouble, type TroubleFacts } from './trouble.ts'
import { countersOf, createAuditor, problemsOf } from './verdict.ts'
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

/** @throws HoldfastError `invalid_options`; Error where nothing moves any more, or a process cannot be started. */
export async function runTrial(options: TrialOptions, parts: TrialParts): Promise<TrialResult> {
  const compileCacheFolder = mkdtempSync(join(tmpdir(), 'holdfast-trial-cache-'))
  try {
    await using place = await openPlace(options.store)
    return await onPlace({ leaseMs: LEASE_MS, ...options }, parts, place, compileCacheFolder)
  } finally {
    rmSync(compileCacheFolder, { recursive: true, force: true })
  }
}

async function onPlace(
  options: Required<TrialOptions>,
  { clock, signal, onProgress }: TrialParts,
  place: TrialPlace,
  compileCacheFolder: string,
): Promise<TrialResult> {
  const { workers, kills, restarts, leaseMs, seed } = options
  const sinceMs = clock.monotonicMs()
  const runs = Math.ceil(options.items / STEPS_PER_RUN)
  const items = runs * STEPS_PER_RUN
  const done = new Set<string>()
  const watch = createWatch(clock, signal)
  await using twin = await startWorld(seededRandom(`twin ${seed}`), (key) => {
    done.add(key)
    watch.moved()
  })
  await using hf = await holdfast(configOf(place.store, twin.url, leaseMs))
  const orders = { store: place.store, url: twin.url, leaseMs }
  const children = startChildren({ workers, orders, compileCacheFolder, changed: watch.changed, broken: watch.fail })
  const auditor = createAuditor(hf)
  const facts: TroubleFacts = { killed: 0, restarted: [] }
  watch.onChange(() => {
    children.allowUpTo(Math.min(runs, Math.floor(done.size / STEPS_PER_RUN) + AHEAD))
    onProgress?.({
      done: done.size,
      items,
      kills: facts.killed,
      restarts: facts.restarted.length,
      audits: auditor.count,
    })
  })
  try {
    const random = seededRandom(`trial ${seed}`)
    const doneCount = () => done.size
    await makeTrouble({ clock, random, watch, children, place, auditor, items, kills, restarts, doneCount }, facts)
    await watch.until(() => children.acknowledged >= runs)
    await drained(hf, items, clock, watch)
    const exitCodes = await children.endAll()
    const { balance } = await auditor.audit()
    const verdict = judgeTwin(twin, runs)
    const problems = [
      ...auditor.problems,
      ...problemsOf(balance, items, verdict),
      ...children.facts.fallen.map((how) => `a process ended by itself: ${how}`),
      ...exitCodes.filter((code) => code !== 0).map((code) => `a process that was asked to end did so with ${code}`),
    ]
    return {
      ...options,
      ...facts,
      passed: problems.length === 0,
      problems,
      place: place.description,
      runs,
      audits: auditor.count,
      balance,
      twin: verdict,
      counters: await countersOf(hf),
      children: children.facts,
      tookMs: Math.round(clock.monotonicMs() - sinceMs),
    }
  } finally {
    children.killAll()
    watch.stop()
  }
}

/** Others do the work: this process only looks. */
export async function drained(hf: Holdfast, items: number, clock: Clock, watch: Watch): Promise<void> {
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
