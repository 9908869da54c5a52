/** The only source of chance (design.md, rule 8). */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `length` random bytes. */
  bytes(length: number): Uint8Array
}

/**
 * A seeded generator (sfc32, public domain, from PractRand): the same seed gives the same sequence on every machine.
 * For simulation and tests; not for secrets.
 */
export function seededRandom(seed: number | string): Random {
  let [a, b, c, counter] = expandSeed(String(seed))

  function nextUint32(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return sum >>> 0
  }

  for (let warmUp = 0; warmUp < 12; warmUp++) nextUint32()

  return {
    next: () => nextUint32() / 4_294_967_296,
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let index = 0; index < length; index++) bytes[index] = nextUint32() & 0xff
      return bytes
    },
  }
}

/** A uniform number in [low, high). */
export function randomBetween(random: Random, low: number, high: number): number {
  return low + random.next() * (high - low)
}

/** A uniform whole number in [low, high], both included. */
export function randomInteger(random: Random, low: number, high: number): number {
  return low + Math.floor(random.next() * (high - low + 1))
}

/** FNV-1a over the text with four offsets: four well-spread 32-bit words from any seed. */
function expandSeed(seed: string): [number, number, number, number] {
  const words = [0x811c9dc5, 0x01000193, 0x9e3779b9, 0x85ebca6b].map((offset) => {
    let hash = offset
    for (let index = 0; index < seed.length; index++) {
      hash ^= seed.charCodeAt(index)
      hash = Math.imul(hash, 0x01000193)
    }
    return hash | 0
  })
  return words as [number, number, number, number]
}
