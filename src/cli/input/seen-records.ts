/** Counts equal records of one file: the second of two equal records is another operation than the first. */

const FIRST_SLOTS = 1024
const FULLEST = 0.6

/**
 * Takes fingerprints (hex, at least 16 digits), gives how often each was seen, this time included. An open hash table of
 * 64-bit fingerprints, about 16 bytes per record: a Map of texts would need ten times that.
 */
export class SeenRecords {
  #slots = new Uint32Array(FIRST_SLOTS * 2)
  #used = 0
  /** Only of what was seen more than once. */
  readonly #repeated = new Map<string, number>()

  count(fingerprint: string): number {
    // Zero marks an empty slot.
    const high = Number.parseInt(fingerprint.slice(0, 8), 16) || 1
    const low = Number.parseInt(fingerprint.slice(8, 16), 16)
    if (this.#insert(high, low)) return 1
    const times = (this.#repeated.get(fingerprint) ?? 1) + 1
    this.#repeated.set(fingerprint, times)
    return times
  }

  /** False where it was already there. */
  #insert(high: number, low: number): boolean {
    if ((this.#used + 1) * 2 > this.#slots.length * FULLEST) this.#grow()
    const slots = this.#slots
    const mask = slots.length / 2 - 1
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const stored = slots[slot * 2]
      if (stored === high && slots[slot * 2 + 1] === low) return false
      if (stored !== 0) continue
      slots[slot * 2] = high
      slots[slot * 2 + 1] = low
      this.#used++
      return true
    }
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    this.#used = 0
    for (let slot = 0; slot < before.length; slot += 2) {
      const high = before[slot] as number
      if (high !== 0) this.#insert(high, before[slot + 1] as number)
    }
  }
}
