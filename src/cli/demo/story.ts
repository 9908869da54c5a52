/** What the demo does to its own system, and what it measures while it does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../core/clock.ts'
import { TWINS_RUNNING } from './demo-config.ts'
import type { DemoTwins } from './twins.ts'

export const OUTAGE_STARTS_MS = 4000
export const OUTAGE_LASTS_MS = 8000

export interface Outage {
  readonly active: boolean
  readonly over: boolean
  /** Requests that reached the dead API. */
  readonly calls: number
  /** What the other lanes got done meanwhile. */
  readonly enrichedMeanwhile: number
  readonly enrolledMeanwhile: number
  stop(): Promise<void>
}

/** Takes the CRM away in the middle, and counts what still reaches it. */
export function planOutage(twins: DemoTwins, clock: Clock): Outage {
  let calls = 0
  let before = { crm: 0, enriched: 0, enrolled: 0 }
  let state: 'planned' | 'active' | 'over' = 'planned'
  let during = { enriched: 0, enrolled: 0 }
  const abort = new AbortController()

  function measure() {
    return {
      crm: twins.crm.requests.total,
      enriched: twins.enrichment.requests.byOutcome.get('http_200') ?? 0,
      enrolled: twins.sequencer.effects.length,
    }
  }

  async function tell(): Promise<void> {
    await clock.sleep(OUTAGE_STARTS_MS, abort.signal)
    const period = await twins.crm.outage({ mode: 'unavailable' })
    before = measure()
    state = 'active'
    await clock.sleep(OUTAGE_LASTS_MS, abort.signal).finally(() => {
      const after = measure()
      calls = after.crm - before.crm
      during = { enriched: after.enriched - before.enriched, enrolled: after.enrolled - before.enrolled }
      state = 'over'
      return period.end()
    })
  }

  const told = tell().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error
  })

  return {
    get active() {
      return state === 'active'
    },
    get over() {
      return state === 'over'
    },
    get calls() {
      return state === 'active' ? twins.crm.requests.total - before.crm : calls
    },
    get enrichedMeanwhile() {
      return during.enriched
    },
    get enrolledMeanwhile() {
      return during.enrolled
    },
    async stop() {
      abort.abort()
      await told
    },
  }
}

export interface DoomedWorkers {
  readonly kills: number
  /** Ends the killing; the last worker lives on until `stop`. */
  stop(): Promise<void>
}

const KILL_EVERY_MS = 2500
const MOST_KILLS = 5

/** A worker in a process of its own, killed without warning every few seconds, and started again. */
export function startDoomedWorkers(clock: Clock, env: Readonly<Record<string, string | undefined>>): DoomedWorkers {
  const abort = new AbortController()
  let worker: ChildProcess = startWorkerProcess(env)
  let kills = 0

  async function killAgainAndAgain(): Promise<void> {
    while (kills < MOST_KILLS) {
      await clock.sleep(KILL_EVERY_MS, abort.signal)
      const dead = once(worker, 'exit')
      worker.kill('SIGKILL')
      await dead
      kills += 1
      worker = startWorkerProcess(env)
    }
  }

  const killing = killAgainAndAgain().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error
  })

  return {
    get kills() {
      return kills
    },
    async stop() {
      abort.abort()
      await killing
      const ended = once(worker, 'exit')
      worker.kill('SIGTERM')
      await ended
    },
  }
}

function startWorkerProcess(env: Readonly<Record<string, string | undefined>>): ChildProcess {
  const program = fileURLToPath(new URL('../../../bin/holdfast.mjs', import.meta.url))
  return spawn(process.execPath, [program, 'worker', '--demo'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...env, [TWINS_RUNNING]: '1' },
  })
}
