/** Reads the bytes of a request, and not one more than are allowed. */
import { configurationError, type HoldfastError } from '../core/errors.ts'

export type ReadBody =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: 'too_large' | 'incomplete' }

/** @throws HoldfastError `body_already_read`: somebody read it before, so its bytes are gone */
export async function readBody(request: Request, maxBytes: number): Promise<ReadBody> {
  if (request.bodyUsed) throw bodyAlreadyRead()
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) {
    await request.body?.cancel().catch(() => undefined)
    return { ok: false, why: 'too_large' }
  }
  return request.body ? readStream(request.body, maxBytes) : { ok: true, bytes: new Uint8Array() }
}

export function bodyAlreadyRead(): HoldfastError {
  return configurationError(
    'body_already_read',
    'The body of the request was read before it came here, so its exact bytes are gone',
    'Hand the request over before any body parser, or a clone of it.',
  )
}

async function readStream(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<ReadBody> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of stream) {
      size += chunk.byteLength
      // Leaving the loop cancels the stream.
      if (size > maxBytes) return { ok: false, why: 'too_large' }
      chunks.push(chunk)
    }
  } catch {
    // The sender went away in the middle: nobody hears the answer, and nothing was taken.
    return { ok: false, why: 'incomplete' }
  }
  const [only] = chunks
  return { ok: true, bytes: chunks.length === 1 && only ? only : Buffer.concat(chunks) }
}
