export interface Prebuffered {
  /** What was read: all of it, or as much as the limit allowed. */
  readonly bytes: Uint8Array
  /** The stream as if nobody had read it; only where it is longer than the limit. */
  readonly rest: ReadableStream<Uint8Array> | undefined
  /** The stream as if nobody had read it. */
  readonly whole: ReadableStream<Uint8Array>
}

/** Reads a stream ahead up to a limit. Rejects with the stream's error, or with the signal's reason. */
export async function prebuffer(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<Prebuffered> {
  const reader = stream.getReader()
  const abort = (): void => void reader.cancel(signal?.reason).catch(() => {})
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const ahead = await readAhead(reader, limitBytes)
    signal?.throwIfAborted()
    return ahead
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

async function readAhead(reader: ReadableStreamDefaultReader<Uint8Array>, limitBytes: number): Promise<Prebuffered> {
  const chunks: Uint8Array[] = []
  let length = 0
  while (length <= limitBytes) {
    const { done, value } = await reader.read()
    if (done) {
      const bytes = Buffer.concat(chunks)
      return { bytes, rest: undefined, whole: streamOf([bytes], undefined) }
    }
    chunks.push(value)
    length += value.byteLength
  }
  const rest = streamOf(chunks, reader)
  return { bytes: Buffer.concat(chunks).subarray(0, limitBytes), rest, whole: rest }
}

function streamOf(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): ReadableStream<Uint8Array> {
  const ahead = chunks.filter((chunk) => chunk.byteLength > 0)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = ahead.shift() ?? (await reader?.read())?.value
        if (next) controller.enqueue(next)
        else controller.close()
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
