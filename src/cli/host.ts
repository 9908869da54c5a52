/** The world as the commands see it: everything that a test replaces. */
import { hostname, userInfo } from 'node:os'
import type { Clock } from '../core/clock.ts'
import { systemClock } from '../system/system-clock.ts'
import type { ExitCode } from './exit-codes.ts'

/** What is not a terminal has lines of any length. */
const UNLIMITED = 10_000

export interface Screen {
  readonly isTerminal: boolean
  /** Characters per line. */
  readonly width: number
  write(text: string): void
}

export interface Host {
  /** Results. */
  readonly stdout: Screen
  /** Progress, advice, errors. */
  readonly stderr: Screen
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Who works here, for the record: `cli:ada`. */
  readonly person: string
  /** Where: the name of this machine. */
  readonly machine: string
  /** Calls back on each Ctrl-C (or SIGTERM) instead of ending at once, until disposed. */
  onInterrupt(listener: () => void): Disposable
  /** Ends the process now. */
  exit(code: ExitCode): never
}

export function systemHost(): Host {
  return {
    stdout: screenOf(process.stdout),
    stderr: screenOf(process.stderr),
    directory: process.cwd(),
    env: process.env,
    clock: systemClock,
    person: `cli:${userName()}`,
    machine: hostname(),
    onInterrupt(listener) {
      process.on('SIGINT', listener).on('SIGTERM', listener)
      return { [Symbol.dispose]: () => process.off('SIGINT', listener).off('SIGTERM', listener) }
    },
    exit: (code) => process.exit(code),
  }
}

/** Streams of the process, which outlive every host. */
const watched = new WeakSet<NodeJS.WriteStream>()

function screenOf(stream: NodeJS.WriteStream): Screen {
  if (!watched.has(stream)) stream.on('error', endWithReader)
  watched.add(stream)
  return {
    get isTerminal() {
      return stream.isTTY === true
    },
    get width() {
      return stream.columns ?? UNLIMITED
    },
    write: (text) => {
      stream.write(text)
    },
  }
}

/** `holdfast items | head` closes the pipe early: that is its reader's decision, not an error. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run under a user id that has no name.
    return String(process.getuid?.() ?? 'unknown')
  }
}
