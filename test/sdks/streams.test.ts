/** Answers that come piece by piece, and callers who leave in the middle of them. */
import { describe, expect, test } from 'vitest'
import { anthropic, openai } from '../../examples/sdks/clients.ts'
import { type Api, type Bench, holdfastErrorIn, openBench, thrownBy } from './support/bench.ts'
import { type StreamServer, startStreamServer } from './support/stream-server.ts'

interface Streaming {
  readonly api: Api
  /** An event that carries a text. */
  event(text: string): string
  readonly last: string
  /** Begins a stream; what comes out are the texts. */
  begin(bench: Bench): Promise<{ texts: AsyncIterator<string>; abort(): void }>
}

async function* textsOf<Event>(events: AsyncIterable<Event>, textOf: (event: Event) => string | undefined) {
  for await (const event of events) {
    const text = textOf(event)
    if (text !== undefined) yield text
  }
}

const question = [{ role: 'user' as const, content: 'Why?' }]

const STREAMING: readonly Streaming[] = [
  {
    api: 'openai',
    event: (text) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`,
    last: 'data: [DONE]\n\n',
    async begin(bench) {
      // Its own retries stay on: they must change nothing.
      const client = openai(bench.hf, 'sk-1', { baseURL: `${bench.baseUrl}/v1`, maxRetries: 2 })
      const stream = await client.chat.completions.create({ model: 'gpt', messages: question, stream: true })
      const texts = textsOf(stream, ({ choices }) => choices[0]?.delta.content ?? undefined)
      return { texts, abort: () => stream.controller.abort() }
    },
  },
  {
    api: 'anthropic',
    event: (text) => {
      const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }
      return `event: content_block_delta\ndata: ${JSON.stringify(delta)}\n\n`
    },
    last: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    async begin(bench) {
      const client = anthropic(bench.hf, 'sk-1', { baseURL: bench.baseUrl, maxRetries: 2 })
      const stream = await client.messages.create({ model: 'claude', max_tokens: 9, messages: question, stream: true })
      const texts = textsOf(stream, (event) =>
        event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? event.delta.text : undefined,
      )
      return { texts, abort: () => stream.controller.abort() }
    },
  },
]

async function opened({ api, begin }: Streaming, server: StreamServer) {
  const bench = await openBench(api, server.url)
  const [stream, reading] = await Promise.all([server.next(), begin(bench)])
  return { bench, stream, ...reading }
}

describe.each(STREAMING)('$api', (streaming) => {
  const { event, last } = streaming

  test('each piece is there before the next one is sent', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts } = await opened(streaming, server)
    await using _bench = bench
    for (const text of ['one', 'two', 'three']) {
      await stream.write(event(text))
      expect(await texts.next()).toEqual({ done: false, value: text })
    }
    await stream.write(last)
    stream.end()
    expect((await texts.next()).done).toBe(true)
  })

  test('a reader who is slow slows the API down', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts } = await opened(streaming, server)
    await using _bench = bench
    const [pieces, length] = [400, 200_000]
    let sent = 0
    const sending = (async () => {
      for (; sent < pieces; sent++) await stream.write(event('x'.repeat(length)))
      await stream.write(last)
      stream.end()
    })()
    await texts.next()
    // Long enough for all of it to come, if nothing held it back.
    for (let round = 0; round < 30; round++) {
      const other = fetch(server.url)
      const answer = await server.next()
      answer.end()
      await (await other).text()
    }
    expect(sent).toBeLessThan(pieces / 2)
    let received = length
    for (let next = await texts.next(); !next.done; next = await texts.next()) received += next.value.length
    await sending
    expect(received).toBe(pieces * length)
  })

  test('an abort in the middle ends the stream and closes the socket', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts, abort } = await opened(streaming, server)
    await using _bench = bench
    await stream.write(event('one'))
    await texts.next()
    abort()
    expect((await texts.next()).done).toBe(true)
    await stream.closed
    expect(server.requests).toBe(1)
  })

  test('a reader who leaves closes the socket', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts } = await opened(streaming, server)
    await using _bench = bench
    await stream.write(event('one'))
    await texts.next()
    await texts.return?.()
    await stream.closed
  })

  test('rule 3: a stream that breaks off is an error to its reader, and never tried again', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts } = await opened(streaming, server)
    await using _bench = bench
    await stream.write(event('one'))
    expect(await texts.next()).toEqual({ done: false, value: 'one' })
    stream.cutOff()
    const error = await thrownBy(texts.next())
    expect(holdfastErrorIn(error)).toMatchObject({ class: 'transient', failure: { status: 200 } })
    expect(server.requests).toBe(1)
    expect(bench.detected).toEqual([])
  })

  test('an error event after a 200 is an error to the reader', async () => {
    await using server = await startStreamServer()
    const { bench, stream, texts } = await opened(streaming, server)
    await using _bench = bench
    await stream.write(event('one'))
    await texts.next()
    await stream.write('event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n')
    expect((await thrownBy(texts.next())).message).toContain('busy')
    expect(server.requests).toBe(1)
  })
})
