/** Decoding of compressed answers. We never ask for them, but an integration's own headers may, and some servers just do. */
import { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { brotliDecompress, createBrotliDecompress, createGunzip, createInflate, gunzip, inflate } from 'node:zlib'

interface Decoder {
  whole(body: Uint8Array, limits: { maxOutputLength: number }): Promise<Buffer>
  stream(): Duplex
}

const GZIP: Decoder = { whole: promisify(gunzip), stream: createGunzip }
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', GZIP],
  ['x-gzip', GZIP],
  ['deflate', { whole: promisify(inflate), stream: createInflate }],
  ['br', { whole: promisify(brotliDecompress), stream: createBrotliDecompress }],
])

/** `undefined` for a plain body, and for an encoding we do not know: that body is handed over as it came. */
export function decoderFor(headers: Readonly<Record<string, string>>): Decoder | undefined {
  const encoding = headers['content-encoding']
  return encoding === undefined ? undefined : DECODERS.get(encoding.trim().toLowerCase())
}

/** What is left of the headers once the body is decoded: the old length and encoding would be lies. */
export function headersAfterDecoding(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { 'content-encoding': _encoding, 'content-length': _length, ...rest } = headers
  return rest
}

/** Errors of either side reach the reader; cancelling the result cancels the source. */
export function decodeStream(source: ReadableStream<Uint8Array>, decoder: Decoder): ReadableStream<Uint8Array> {
  const { readable, writable } = Duplex.toWeb(decoder.stream())
  return source.pipeThrough({ readable, writable } as ReadableWritablePair<Uint8Array, Uint8Array>)
}
