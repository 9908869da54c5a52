/** Whole bodies of `node:http`, within the same limits as those of `Request` objects, at the cost of one promise each. */
import type { IncomingMessage } from 'node:http'
import { createDeadlines, type Expirable } from '../client/wire/deadlines.ts'
import { bodyIncomplete, bodyTooSlow, createGauge, type ReadLimits, tooLarge } from './body.ts'

/** @throws HoldfastError `payload_too_large`, `body_too_slow`, `body_incomplete`, `overloaded` */
export type ReadIncoming = (incoming: IncomingMessage, maxBytes: number) => Promise<Uint8Array>

const EMPTY = new Uint8Array(0)

export function createReadIncoming({ clock, arrivalMs, buffers }: Omit<ReadLimits, 'maxBytes'>): ReadIncoming {
  const deadlines = createDeadlines(clock)
  return async (incoming, maxBytes) => {
    const length = incoming.headers['content-length']
    if (length === undefined && incoming.headers['transfer-encoding'] === undefined) return EMPTY
    if (Number(length ?? 0) > maxBytes) throw tooLarge(maxBytes)
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    using gauge = createGauge({ maxBytes, buffers })
    const pieces: Buffer[] = []
    const deadline: Expirable = {
      deadlineBucket: undefined,
      deadlineIndex: 0,
      expire: () => reject(bodyTooSlow()),
    }
    function take(piece: Buffer): void {
      try {
        gauge.add(piece.byteLength)
        pieces.push(piece)
      } catch (error) {
        reject(error)
      }
    }
    deadlines.add(deadline, arrivalMs)
    incoming.on('data', take)
    incoming.once('end', () => resolve(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)))
    // The sender went away in the middle: nobody hears the answer, and nothing was taken.
    incoming.once('error', (cause) => reject(bodyIncomplete(cause)))
    try {
      return await promise
    } finally {
      deadlines.remove(deadline)
      incoming.off('data', take)
    }
  }
}
