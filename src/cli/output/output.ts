/** Results on stdout (tables on a terminal, JSON in a pipe), everything else on stderr. */
import type { Host } from '../host.ts'
import { type Colours, coloursFor } from './colours.ts'
import { type Column, table } from './table.ts'

export interface Output {
  /** True: one JSON document on stdout. */
  readonly json: boolean
  /** For stdout. */
  readonly colours: Colours
  /** The result of the command, once. `text` is only called where text is wanted. */
  result(data: unknown, text: () => string): void
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string
  /** Progress and advice. */
  note(text: string): void
  /** The command to run next. */
  next(command: string, why?: string): void
}

/** The options that say which Holdfast is meant: advice must name the same one. */
export interface OutputOptions {
  readonly json?: boolean
  readonly config?: string
  readonly store?: string
  readonly demo?: boolean
}

export function createOutput(host: Host, options: OutputOptions): Output {
  const json = options.json ?? !host.stdout.isTerminal
  const colours = coloursFor(host.stdout, host.env)
  const advice = coloursFor(host.stderr, host.env)
  return {
    json,
    colours,
    result(data, text) {
      host.stdout.write(`${json ? JSON.stringify(data, null, 2) : text()}\n`)
    },
    table: (columns, rows) => table(columns, rows, { width: host.stdout.width, heading: colours.dim }),
    note(text) {
      host.stderr.write(`${text}\n`)
    },
    next(command, why) {
      host.stderr.write(
        `${advice.dim('Next:')} ${advice.accent(command + sameHoldfast(command, options))}${why ? advice.dim(`  ${why}`) : ''}\n`,
      )
    },
  }
}

function sameHoldfast(command: string, { config, store, demo }: OutputOptions): string {
  const place = store === undefined ? '' : ` --store ${shownStore(store)}`
  if (demo) return `${command.includes('--demo') ? '' : ' --demo'}${place}`
  return `${config === undefined ? '' : ` --config ${config}`}${place}`
}

/** Fit for a shell, and for everybody's eyes: a password has to be put in again. */
function shownStore(store: string): string {
  const shown = store.replace(/^(\w+:\/\/[^/@:]*):[^@]*@/, '$1:PASSWORD@')
  return /[?&]/.test(shown) ? `'${shown}'` : shown
}
