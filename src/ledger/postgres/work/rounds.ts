/**
 * One statement changes each row once. Entries that concern the same row are dealt with one after the other, as they were
 * given: each round takes the first of each name that is left.
 */
export async function rounds<Entry, Result>(
  entries: readonly Entry[],
  nameOf: (entry: Entry) => string,
  work: (round: readonly Entry[]) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const results = new Array<Result>(entries.length)
  let left = entries.map((entry, index) => ({ entry, index, name: nameOf(entry) }))
  while (left.length > 0) {
    const names = new Set<string>()
    const round: typeof left = []
    const later: typeof left = []
    for (const place of left) {
      ;(names.has(place.name) ? later : round).push(place)
      names.add(place.name)
    }
    const done = await work(round.map((place) => place.entry))
    for (const [position, { index }] of round.entries()) results[index] = done[position] as Result
    left = later
  }
  return results
}
