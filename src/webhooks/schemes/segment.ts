import { macScheme } from '../mac-scheme.ts'
import type { ReadRequest } from '../request.ts'
import { firstElement, jsonOf } from '../values.ts'

/** Segment, "Webhooks": of a batch only the first event is signed, so the others are only as good as the connection. */
export const segment = macScheme({
  headers: ['x-signature'],
  algorithm: 'sha1',
  bodies: signedParts,
  event: { id: [[{ body: 'messageId' }]], type: [{ body: 'type' }], batch: true },
})

/** The first event as it stands, or as a program writes it without blanks. */
function signedParts({ body }: Pick<ReadRequest, 'body'>): (Uint8Array | string)[] {
  const json = jsonOf(body)
  if (!Array.isArray(json)) return [body]
  const first = firstElement(body)
  return first ? [first, JSON.stringify(json[0])] : []
}
