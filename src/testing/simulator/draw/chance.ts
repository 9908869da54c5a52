/** The ways in which scenarios are drawn from a seed. */
import { randomBetween, randomInteger, seededRandom } from '../../../core/random.ts'

export type Range = readonly [low: number, high: number]

export interface Chance {
  /** True for this share of the draws. */
  yes(share: number): boolean
  between(low: number, high: number): number
  /** A whole number, both ends included. */
  integer(low: number, high: number): number
  /** A whole number, spread evenly over orders of magnitude: small ones as likely as large ones. */
  magnitude(low: number, high: number): number
  pick<Value>(values: readonly Value[]): Value
  /** One of the names, in proportion to its weight. */
  weighted<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name
  /** Each with this probability, but never fewer than `atLeast`; in their order. */
  some<Value>(values: readonly Value[], share: number, atLeast: number): Value[]
}

export function createChance(seed: string): Chance {
  const random = seededRandom(seed)

  function weighted<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let left = randomBetween(
      random,
      0,
      entries.reduce((sum, [, weight]) => sum + weight, 0),
    )
    const found = entries.find(([, weight]) => {
      left -= weight
      return left < 0
    })
    return (found ?? entries.at(-1))?.[0] as Name
  }

  return {
    yes: (share) => random.next() < share,
    between: (low, high) => randomBetween(random, low, high),
    integer: (low, high) => randomInteger(random, low, Math.max(low, high)),
    magnitude: (low, high) => Math.round(low * (Math.max(low, high) / low) ** random.next()),
    pick: (values) => values[Math.floor(random.next() * values.length)] as never,
    weighted,
    some(values, share, atLeast) {
      const places = values.map((_, index) => ({ index, drawn: random.next() }))
      const inOrderOfLuck = places.toSorted((left, right) => left.drawn - right.drawn)
      const lucky = inOrderOfLuck.filter(({ drawn }, rank) => rank < atLeast || drawn < share)
      const kept = new Set(lucky.map(({ index }) => index))
      return values.filter((_, index) => kept.has(index))
    },
  }
}
