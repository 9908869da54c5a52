/** The processes of a trial: each is replaced as soon as it is gone, for as long as the trial goes on. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Allowance, Orders, Report } from './process.ts'

const PROGRAM = fileURLToPath(new URL('process.ts', import.meta.url))
/** Of one place. A process that cannot work at all must not be started for ever. */
const MOST_FAILED_STARTS = 20
/** Of its last words. */
const LONGEST_STORY = 2000

export interface ChildrenParts {
  readonly workers: number
  readonly orders: Orders
  /** Where Node keeps what it has compiled: halves the time to start. */
  readonly compileCacheFolder: string
  /** Called after each report. */
  readonly changed: () => void
  /** A process ended by itself, again and again. */
  readonly broken: (error: Error) => void
}

export interface Children {
  readonly facts: ChildrenFacts
  /** All runs before this one are on disk. */
  readonly acknowledged: number
  allowUpTo(run: number): void
  /** SIGKILL, at once, to one of those that are there; `null`: there is none such now. Resolves when it is gone. */
  kill(whom: 'at work' | 'any', choose: (count: number) => number): Promise<void> | null
  /** Asks all to end; resolves to their exit codes. */
  endAll(): Promise<(number | null)[]>
  /** No grace, and nobody is replaced: also where the trial is given up. Idempotent. */
  killAll(): void
}

export interface ChildrenFacts {
  started: number
  /** Killed before it was ready. */
  killedEarly: number
  /** Could not start: the store was away. */
  failedStarts: number
  /** What processes said that ended by themselves while they worked: nothing that happens to the store may do that. */
  readonly fallen: string[]
  /** Runs submitted again because nobody had heard that they were there. */
  known: number
  /** What engines said went wrong; the store that is away, above all. */
  troubles: number
  lastTrouble: string
}

interface Place {
  child: ChildProcess
  isReady: boolean
  killed: boolean
  failedStarts: number
  lastWords: string
}

export function startChildren(parts: ChildrenParts): Children {
  const facts: ChildrenFacts = {
    started: 0,
    killedEarly: 0,
    failedStarts: 0,
    fallen: [],
    known: 0,
    troubles: 0,
    lastTrouble: '',
  }
  let acknowledged = 0
  let allowance: Allowance = { upTo: 0 }
  let ending = false
  const places = Array.from({ length: parts.workers + 1 }, (_, index) => start(index))
  process.once('exit', killAll)

  function start(index: number, failedStarts = 0): Place {
    const submits = index === parts.workers
    const orders: Orders = { ...parts.orders, ...(submits && { submitFrom: acknowledged }) }
    const child = fork(PROGRAM, [JSON.stringify(orders)], {
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: parts.compileCacheFolder },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    facts.started++
    const place: Place = { child, isReady: false, killed: false, failedStarts, lastWords: '' }
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      place.lastWords = (place.lastWords + words).slice(-LONGEST_STORY)
    })
    child.on('message', (report: Report) => hear(place, report, submits))
    child.once('close', (code, signal) => gone(index, place, `${signal ?? `exit code ${code}`}: ${place.lastWords}`))
    return place
  }

  function hear(place: Place, report: Report, submits: boolean): void {
    if (report.type === 'ready') {
      place.isReady = true
      place.failedStarts = 0
      if (submits) place.child.send(allowance, ignoreGone)
    } else if (report.type === 'acknowledged') {
      acknowledged = Math.max(acknowledged, report.upTo)
      facts.known += report.known
    } else {
      facts.troubles++
      facts.lastTrouble = report.message
    }
    parts.changed()
  }

  function gone(index: number, place: Place, how: string): void {
    if (ending) return
    if (!place.killed && place.isReady) facts.fallen.push(how)
    if (!place.killed && !place.isReady) {
      facts.failedStarts++
      place.failedStarts++
    }
    if (place.failedStarts < MOST_FAILED_STARTS) places[index] = start(index, place.failedStarts)
    else
      parts.broken(new Error(`A process of the trial could not start, ${place.failedStarts} times in a row (${how})`))
    parts.changed()
  }

  function killAll(): void {
    ending = true
    for (const { child } of places) child.kill('SIGKILL')
    process.off('exit', killAll)
  }

  return {
    facts,
    get acknowledged() {
      return acknowledged
    },
    allowUpTo(run) {
      if (run <= allowance.upTo) return
      allowance = { upTo: run }
      const submitter = places[parts.workers]
      if (submitter?.isReady && submitter.child.connected) submitter.child.send(allowance, ignoreGone)
    },
    kill(whom, choose) {
      const there = places.filter(
        ({ child, isReady, killed }) => !killed && !isGone(child) && (isReady || whom === 'any'),
      )
      const place = there[choose(there.length)]
      if (!place) return null
      if (!place.isReady) facts.killedEarly++
      place.killed = true
      const exited = once(place.child, 'exit')
      place.child.kill('SIGKILL')
      return exited.then(() => {})
    },
    async endAll() {
      ending = true
      const ends = places.map(async ({ child, isReady }) => {
        if (isGone(child)) return child.exitCode
        const exited = once(child, 'exit') as Promise<[number | null]>
        // One that is not ready has nothing in its hands, and does not listen yet.
        child.kill(isReady ? 'SIGTERM' : 'SIGKILL')
        const [code] = await exited
        return isReady ? code : 0
      })
      return Promise.all(ends)
    },
    killAll,
  }
}

/** It was killed meanwhile; the next one gets the newest allowance. */
function ignoreGone(): void {}

function isGone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
