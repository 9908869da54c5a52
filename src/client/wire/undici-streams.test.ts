/** Bodies that flow: answers and requests handed over while they are still on their way. */
import { expect, test } from 'vitest'
import { systemClock } from '../../system/system-clock.ts'
import { answerOf, drip, jsonServer, rawServer, requestTo } from '../test-kit.ts'
import { createUndiciTransport } from './undici-transport.ts'

test('a streamed answer has back-pressure: the server cannot run ahead of the reader', async () => {
  let written = 0
  await using server = await rawServer(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const push = () => {
      while (written < 400) {
        written += 1
        if (!socket.write(piece)) {
          socket.once('drain', push)
          return
        }
      }
      socket.write('0\r\n\r\n')
    }
    push()
  })
  const transport = createUndiciTransport({ clock: systemClock })
  const { stream } = answerOf(
    await transport.send(requestTo(server.url, { streamBody: true, method: 'GET', body: undefined })),
  )
  const reader = (stream as ReadableStream<Uint8Array>).getReader()
  let received = (await reader.read()).value?.byteLength ?? 0
  // Many more turns than 26 MB take where nothing holds them back.
  for (let turn = 0; turn < 3000; turn++) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
  expect(written).toBeLessThan(400)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    received += value.byteLength
  }
  expect(received).toBe(400 * 0x10000)
  await transport.close()
})

test('a streamed answer outlives the total time, and ends with an error when it stops moving', async () => {
  await using server = await rawServer(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    drip(systemClock, socket, '1\r\nx\r\n', 50, 8)
  })
  const transport = createUndiciTransport({ clock: systemClock })
  const timeouts = { connectMs: 500, headersMs: 200, bodyMs: 200, totalMs: 200 }
  const request = requestTo(server.url, { streamBody: true, timeouts })
  const reader = (answerOf(await transport.send(request)).stream as ReadableStream<Uint8Array>).getReader()
  let received = 0
  const failure = await (async () => {
    for (;;) {
      const { value } = await reader.read()
      received += value?.byteLength ?? 0
    }
  })().catch((error: unknown) => error)
  expect(received).toBe(8)
  expect(failure).toMatchObject({ code: 'timeout_body' })
  await server.allClosed()
})

test('cancelling a streamed answer closes the socket', async () => {
  await using server = await rawServer(({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\nabc'),
  )
  const transport = createUndiciTransport({ clock: systemClock })
  const { stream } = answerOf(await transport.send(requestTo(server.url, { streamBody: true })))
  await stream?.cancel()
  await server.allClosed()
})

test('a streamed request body is sent as it comes', async () => {
  await using server = await jsonServer(({ body, headers }) => ({
    body: { body, length: headers['content-length'] ?? null },
  }))
  const transport = createUndiciTransport({ clock: systemClock })
  const body = ReadableStream.from(
    ['one ', 'two ', 'three'].map((part) => Buffer.from(part)),
  ) as ReadableStream<Uint8Array>
  const answer = answerOf(await transport.send(requestTo(server.url, { body, headers: {} })))
  expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({ body: 'one two three', length: null })
  await transport.close()
})
