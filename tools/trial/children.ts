/** The processes of a trial: workers, and one more that submits. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fillPlaces, type Places, type PlacesFacts } from './places.ts'
import type { Allowance, Orders, Report } from './process.ts'

const PROGRAM = fileURLToPath(new URL('process.ts', import.meta.url))

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

export interface Children extends Omit<Places, 'facts' | 'isReady'> {
  readonly facts: ChildrenFacts
  /** All runs before this one are on disk. */
  readonly acknowledged: number
  allowUpTo(run: number): void
}

export interface ChildrenFacts extends PlacesFacts {
  /** Runs submitted again because nobody had heard that they were there. */
  known: number
  /** What engines said went wrong; the store that is away, above all. */
  troubles: number
  lastTrouble: string
}

export function startChildren(parts: ChildrenParts): Children {
  const reported = { known: 0, troubles: 0, lastTrouble: '' }
  let acknowledged = 0
  let allowance: Allowance = { upTo: 0 }
  let submitter: ChildProcess | undefined

  function start(index: number, ready: () => void): ChildProcess {
    const submits = index === parts.workers
    const orders: Orders = { ...parts.orders, ...(submits && { submitFrom: acknowledged }) }
    const child = fork(PROGRAM, [JSON.stringify(orders)], {
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: parts.compileCacheFolder },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    if (submits) submitter = child
    child.on('message', (report: Report) => {
      if (report.type === 'ready') {
        if (submits) child.send(allowance, ignoreGone)
        ready()
        return
      }
      hear(report)
      parts.changed()
    })
    return child
  }

  function hear(report: Exclude<Report, { type: 'ready' }>): void {
    if (report.type === 'acknowledged') {
      acknowledged = Math.max(acknowledged, report.upTo)
      reported.known += report.known
    } else {
      reported.troubles++
      reported.lastTrouble = report.message
    }
  }

  const { changed, broken } = parts
  const places = fillPlaces({ count: parts.workers + 1, start, changed, broken })
  return {
    ...places,
    get facts() {
      return { ...places.facts, ...reported }
    },
    get acknowledged() {
      return acknowledged
    },
    allowUpTo(run) {
      if (run <= allowance.upTo) return
      allowance = { upTo: run }
      if (places.isReady(parts.workers) && submitter?.connected) submitter.send(allowance, ignoreGone)
    },
  }
}

/** It was killed meanwhile; the next one gets the newest allowance. */
function ignoreGone(): void {}
