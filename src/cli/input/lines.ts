/** A file as lines, in constant memory, whatever is in it. */
import { TextDecoder } from 'node:util'

export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its ending; `undefined` where `problem` is set. */
  readonly text: string | undefined
  /** `\n`, `\r\n`, or nothing at the end of the file. */
  readonly ending: string
  /** Why it has no text: too long, not UTF-8. */
  readonly problem?: string
}

export interface LineOptions {
  /** Longer lines are skipped, and reported. */
  readonly maximumBytes: number
  /** Told with every piece that was read, for progress. */
  readonly onBytes?: (bytes: number) => void
}

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const BYTE_ORDER_MARK = '\ufeff'

/** Reads lines of UTF-8; a line that cannot be read takes no other with it. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, options: LineOptions): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let number = 0
  let pieces: Uint8Array[] = []
  let bytes = 0

  function keep(piece: Uint8Array): void {
    bytes += piece.length
    // What is too long anyway is counted, not kept.
    if (bytes <= options.maximumBytes + 1) pieces.push(piece)
    else pieces = []
  }

  function takeLine(ending: '\n' | ''): Line {
    number++
    const line = lineOf(decoder, number, pieces, bytes, ending, options.maximumBytes)
    pieces = []
    bytes = 0
    return line
  }

  for await (const chunk of chunks) {
    options.onBytes?.(chunk.length)
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      keep(chunk.subarray(from, at))
      from = at + 1
      yield takeLine('\n')
    }
    if (from < chunk.length) keep(chunk.subarray(from))
  }
  if (bytes > 0) yield takeLine('')
}

function lineOf(
  decoder: TextDecoder,
  number: number,
  pieces: readonly Uint8Array[],
  bytes: number,
  newline: '\n' | '',
  maximumBytes: number,
): Line {
  let data = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
  let ending: string = newline
  if (newline && data.at(-1) === CARRIAGE_RETURN) {
    data = data.subarray(0, -1)
    ending = '\r\n'
  }
  const length = ending === '\r\n' ? bytes - 1 : bytes
  if (length > maximumBytes) {
    return { number, text: undefined, ending, problem: `the line has ${length} bytes, more than ${maximumBytes}` }
  }
  try {
    const text = decoder.decode(data)
    return { number, text: number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text, ending }
  } catch {
    return { number, text: undefined, ending, problem: 'it is not UTF-8' }
  }
}
