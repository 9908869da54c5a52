export interface Prebuffered {
  /** What was read: all of it, or as much as the limit allowed. */
  readonly bytes: Uint8Array
  /** The stream as if nobody had read it; only where it is longer than the limit, or slower. */
  readonly rest: ReadableStream<Uint8Array> | undefined
  /** The stream as if nobody had read it. */
  readonly whole: ReadableStream<Uint8Array>
}

/**
 * Reads a stream ahead up to a limit. Rejects with the stream's error, or with the signal's reason.
 * @param enough once it resolves, no more is read ahead. Default: never
 */
export async function prebuffer(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  signal?: AbortSignal,
  enough?: Promise<void>,
): Promise<Prebuffered> {
  const reader = stream.getReader()
  const abort = (): void => void reader.cancel(signal?.reason).catch(() => {})
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const ahead = await readAhead(reader, limitBytes, enough)
    signal?.throwIfAborted()
    return ahead
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>
type Reading = ReturnType<Reader['read']>

async function readAhead(reader: Reader, limitBytes: number, enough?: Promise<void>): Promise<Prebuffered> {
  const chunks: Uint8Array[] = []
  let length = 0
  let pending: Reading | undefined
  while (length <= limitBytes) {
    const reading = reader.read()
    const next = await (enough ? Promise.race([reading, enough]) : reading)
    if (!next) {
      pending = reading
      break
    }
    const { done, value } = next
    if (done) {
      const bytes = Buffer.concat(chunks)
      return { bytes, rest: undefined, whole: streamOf([bytes], undefined) }
    }
    chunks.push(value)
    length += value.byteLength
  }
  const rest = streamOf(chunks, reader, pending)
  return { bytes: Buffer.concat(chunks).subarray(0, limitBytes), rest, whole: rest }
}

function streamOf(
  chunks: readonly Uint8Array[],
  reader: Reader | undefined,
  pending?: Reading,
): ReadableStream<Uint8Array> {
  const ahead = chunks.filter((chunk) => chunk.byteLength > 0)
  let under = pending
  // Where nobody reads on, its failure is nobody's.
  under?.catch(() => {})
  function read(): Reading | undefined {
    const reading = under ?? reader?.read()
    under = undefined
    return reading
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = ahead.shift() ?? (await read())?.value
        if (next) controller.enqueue(next)
        else controller.close()
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
