/** A stream of bytes as lines: one in memory at a time, whatever the stream's length. */

const NEWLINE = 0x0a
const EMPTY = new Uint8Array(0)

export interface Line {
  /** Counted from 1, empty ones too. */
  readonly number: number
  /** `undefined`: longer than allowed; it was skipped. */
  readonly bytes: Uint8Array | undefined
}

/** Lines that are not blank. */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  let number = 1
  let rest: Uint8Array[] = []
  let restBytes = 0

  function take(end: Uint8Array): Line {
    const isTooLong = restBytes + end.byteLength > maxBytes
    const bytes = isTooLong ? undefined : Buffer.concat([...rest, end])
    rest = []
    restBytes = 0
    return { number: number++, bytes }
  }

  for await (const piece of pieces) {
    let from = 0
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, from)) {
      const line = take(piece.subarray(from, at))
      if (!isBlank(line)) yield line
      from = at + 1
    }
    restBytes += piece.byteLength - from
    // Of a line that is too long only its length is kept.
    if (restBytes <= maxBytes) rest.push(piece.subarray(from))
    else rest = []
  }
  const last = take(EMPTY)
  if (!isBlank(last)) yield last
}

function isBlank({ bytes }: Line): boolean {
  return bytes?.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d) ?? false
}
