/** Places for processes: whoever is gone is replaced at once, for as long as the trial goes on. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Of one place. A process that cannot work at all must not be started for ever. */
const MOST_FAILED_STARTS = 20
/** Of its last words. */
const LONGEST_STORY = 2000

export interface PlacesParts {
  readonly count: number
  /** Starts the process of a place, with `stderr` as a pipe; `ready` is to be called when it works. */
  readonly start: (index: number, ready: () => void) => ChildProcess
  /** Called whenever a process came or went. */
  readonly changed: () => void
  /** A process ended by itself, again and again. */
  readonly broken: (error: Error) => void
}

/** Live: goes on counting. */
export interface PlacesFacts {
  started: number
  /** Killed before it was ready. */
  killedEarly: number
  /** Could not start: the store was away. */
  failedStarts: number
  /** What processes said that ended by themselves while they worked: nothing that happens to the store may do that. */
  readonly fallen: string[]
}

export interface Places {
  readonly facts: PlacesFacts
  isReady(index: number): boolean
  /** SIGKILL, at once, to one of those that are there; `null`: there is none such now. Resolves when it is gone. */
  kill(whom: 'at work' | 'any', choose: (count: number) => number): Promise<void> | null
  /** Asks all to end; resolves to their exit codes. */
  endAll(): Promise<(number | null)[]>
  /** No grace, and nobody is replaced: also where the trial is given up. Idempotent. */
  killAll(): void
}

interface Place {
  readonly child: ChildProcess
  isReady: boolean
  killed: boolean
  failedStarts: number
  lastWords: string
}

export function fillPlaces(parts: PlacesParts): Places {
  const facts: PlacesFacts = { started: 0, killedEarly: 0, failedStarts: 0, fallen: [] }
  let ending = false
  const places: Place[] = []
  for (let index = 0; index < parts.count; index++) places.push(start(index, 0))
  process.once('exit', killAll)

  function start(index: number, failedStarts: number): Place {
    const child = parts.start(index, () => {
      place.isReady = true
      place.failedStarts = 0
      parts.changed()
    })
    facts.started++
    const place: Place = { child, isReady: false, killed: false, failedStarts, lastWords: '' }
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      place.lastWords = (place.lastWords + words).slice(-LONGEST_STORY)
    })
    child.once('close', (code, signal) => gone(index, place, `${signal ?? `exit code ${code}`}: ${place.lastWords}`))
    return place
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
    isReady: (index) => places[index]?.isReady === true,
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

function isGone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
