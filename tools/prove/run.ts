/** Many worlds, one after the other, and their sum. */
import type { Clock } from '../../src/core/clock.ts'
import { KINDS, type Kind } from './kinds.ts'
import { type KindResult, runWorld, type WorldResult } from './world.ts'

export interface ProofOptions {
  readonly operations: number
  readonly seed: string
  /** Default all. */
  readonly kinds?: readonly Kind[]
}

export interface ProofParts {
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly onWorld?: (sofar: ProofResult) => void
}

export interface ProofResult {
  readonly seed: string
  /** Asked for; `kinds` says how many there were. */
  readonly operations: number
  readonly done: number
  readonly tookMs: number
  readonly kinds: readonly ({ readonly name: string; readonly title: string } & KindResult)[]
  /** Nothing lost, doubled, guessed or unfinished. */
  readonly passed: boolean
}

/** Operations of one kind in one world: many enough to meet each other, few enough for a list of recent records. */
const PER_WORLD = 200

/** At least so many operations, as many of each kind. */
export async function prove(options: ProofOptions, parts: ProofParts): Promise<ProofResult> {
  const { operations, seed, kinds = KINDS } = options
  const startedMs = parts.clock.monotonicMs()
  const perKind = Math.ceil(operations / kinds.length)
  let sum: WorldResult = {}
  for (let first = 0; first < perKind && !parts.signal?.aborted; first += PER_WORLD) {
    sum = added(sum, await runWorld(`${seed}:${first}`, Math.min(PER_WORLD, perKind - first), kinds))
    parts.onWorld?.(resultOf(sum))
  }
  return resultOf(sum)

  function resultOf(results: WorldResult): ProofResult {
    const rows = kinds.flatMap(({ name, title }) => (results[name] ? [{ name, title, ...results[name] }] : []))
    return {
      seed,
      operations,
      done: rows.reduce((total, row) => total + row.operations, 0),
      tookMs: Math.round(parts.clock.monotonicMs() - startedMs),
      kinds: rows,
      passed: rows.every((row) => problemsOf(row).length === 0),
    }
  }
}

export function problemsOf({ lost, doubled, guessed, unfinished }: KindResult): string[] {
  return [
    ...lost.map((operation) => `${operation} was lost`),
    ...doubled.map((operation) => `${operation} was done more than once`),
    ...guessed,
    ...unfinished,
  ]
}

function added(sum: WorldResult, more: WorldResult): WorldResult {
  return Object.fromEntries(
    Object.entries(more).map(([name, result]) => {
      const before = sum[name]
      return [name, before ? addedKind(before, result) : result]
    }),
  )
}

function addedKind(one: KindResult, other: KindResult): KindResult {
  return {
    operations: one.operations + other.operations,
    sent: one.sent + other.sent,
    answersLost: one.answersLost + other.answersLost,
    found: one.found + other.found,
    listed: one.listed + other.listed,
    replayed: one.replayed + other.replayed,
    guessed: [...one.guessed, ...other.guessed],
    lost: [...one.lost, ...other.lost],
    doubled: [...one.doubled, ...other.doubled],
    unfinished: [...one.unfinished, ...other.unfinished],
  }
}
