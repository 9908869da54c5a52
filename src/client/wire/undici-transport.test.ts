import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { classifyNetworkFault } from '../../policy/classify/classify.ts'
import { systemClock } from '../../system/system-clock.ts'
import { answerOf, drip, faultOf, HTTP_OK, jsonServer, rawServer, requestTo } from '../test-kit.ts'
import type { TransportResult } from './transport.ts'
import { createUndiciTransport } from './undici-transport.ts'

const facts = { method: 'POST', endpoint: 'POST /people', idempotency: { kind: 'unsafe' as const } }
const certaintyOf = (result: TransportResult) => classifyNetworkFault(facts, faultOf(result)).certainty
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

test('C1: what may no longer be sent when the connection stands is not written; the connection is still good', async () => {
  await using server = await jsonServer(({ body }) => ({ status: 201, body: { body } }))
  const transport = createUndiciTransport({ clock: systemClock })
  const asked: string[] = []
  const refused = await transport.send(
    requestTo(server.url, { body: 'late', mayBegin: () => asked.push('late') === 0 }),
  )
  expect(faultOf(refused)).toMatchObject({ code: 'no_longer_allowed', phase: 'before_send', bytesWritten: 0 })
  expect(certaintyOf(refused)).toBe('not_sent')
  const answer = answerOf(await transport.send(requestTo(server.url, { mayBegin: () => asked.push('in time') > 0 })))
  expect(JSON.parse(text(answer.body))).toEqual({ body: '{"a":1}' })
  expect(asked).toEqual(['late', 'in time'])
  await transport.close()
  await server.allClosed()
})

test('C1: what has no time left when the connection stands is not written; the connection is still good', async () => {
  await using server = await jsonServer(({ body }) => ({ body: { body } }))
  let stoodStillMs = 0
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + stoodStillMs }
  const transport = createUndiciTransport({ clock })
  const sending = transport.send(requestTo(server.url, { body: 'late' }))
  stoodStillMs = 3_600_000
  const late = await sending
  expect(faultOf(late)).toMatchObject({ code: 'timeout_total', phase: 'before_send', bytesWritten: 0 })
  expect(certaintyOf(late)).toBe('not_sent')
  const answer = answerOf(await transport.send(requestTo(server.url)))
  expect(JSON.parse(text(answer.body))).toEqual({ body: '{"a":1}' })
  await transport.close()
  await server.allClosed()
})

test('sends method, path, headers and body, and gives the answer whole', async () => {
  await using server = await jsonServer(({ method, url, body, headers }) => ({
    status: 201,
    headers: { 'x-number': '7' },
    body: { method, url, body, type: headers['content-type'] },
  }))
  const transport = createUndiciTransport({ clock: systemClock })
  const answer = answerOf(await transport.send(requestTo(server.url)))
  expect(answer.status).toBe(201)
  expect(answer.headers['x-number']).toBe('7')
  expect(JSON.parse(text(answer.body))).toEqual({
    method: 'POST',
    url: '/people',
    body: '{"a":1}',
    type: 'application/json',
  })
  await transport.close()
  await server.allClosed()
})

test('repeated headers are joined; set-cookie by a newline', async () => {
  await using server = await rawServer(({ socket }) =>
    socket.write(HTTP_OK('{}', 'x-a: 1\r\nset-cookie: a=1\r\nx-a: 2\r\nset-cookie: b=2\r\n')),
  )
  const transport = createUndiciTransport({ clock: systemClock })
  const { headers } = answerOf(await transport.send(requestTo(server.url)))
  expect(headers['x-a']).toBe('1, 2')
  expect(headers['set-cookie']).toBe('a=1\nb=2')
  await transport.close()
})

test('R020: a refused connection is known not to have sent anything', async () => {
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as net.AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(`http://127.0.0.1:${port}`))
  expect(faultOf(result)).toMatchObject({ code: 'ECONNREFUSED', phase: 'connect', syscall: 'connect', bytesWritten: 0 })
  expect(certaintyOf(result)).toBe('not_sent')
  await transport.close()
})

test('a name that does not resolve is a fault of the connect phase', async () => {
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo('http://no-such-host.invalid'))
  expect(faultOf(result)).toMatchObject({ phase: 'connect', syscall: 'getaddrinfo', bytesWritten: 0 })
  expect(certaintyOf(result)).toBe('not_sent')
  await transport.close()
})

test('R150: a connection that does not come to stand ends with timeout_connect, not sent', async () => {
  // A stopped process accepts nothing: once its backlog is full, the system completes no further handshake.
  const listen = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })`
  const child = spawn(process.execPath, ['-e', listen])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(line.toString())
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
  await once(fillers[0] as net.Socket, 'connect')
  const transport = createUndiciTransport({ clock: systemClock })
  const timeouts = { connectMs: 150, headersMs: 5000, bodyMs: 5000, totalMs: 5000 }
  const result = await transport.send(requestTo(`http://127.0.0.1:${port}`, { timeouts }))
  for (const filler of fillers) filler.destroy()
  child.kill('SIGKILL')
  expect(faultOf(result)).toMatchObject({ code: 'timeout_connect', phase: 'connect', bytesWritten: 0 })
  expect(certaintyOf(result)).toBe('not_sent')
})

test('R019: a reset after the request was read may have been applied', async () => {
  await using server = await rawServer(({ socket }) => socket.resetAndDestroy())
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(server.url))
  expect(faultOf(result)).toMatchObject({ code: 'ECONNRESET', phase: 'waiting_for_headers' })
  expect(certaintyOf(result)).toBe('maybe_applied')
  expect(server.requests).toHaveLength(1)
  await transport.close()
})

test('R019: a connection closed without an answer may have been applied', async () => {
  await using server = await rawServer(({ socket }) => socket.end())
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(server.url))
  expect(faultOf(result)).toMatchObject({ code: 'UND_ERR_SOCKET', phase: 'waiting_for_headers' })
  expect(certaintyOf(result)).toBe('maybe_applied')
  await transport.close()
})

test('R149, R151: no answer in time ends with timeout_headers, and the socket is closed', async () => {
  await using server = await rawServer(() => {})
  const transport = createUndiciTransport({ clock: systemClock })
  const timeouts = { connectMs: 500, headersMs: 100, bodyMs: 1000, totalMs: 3000 }
  const startedMs = systemClock.monotonicMs()
  const result = await transport.send(requestTo(server.url, { timeouts }))
  const tookMs = systemClock.monotonicMs() - startedMs
  expect(faultOf(result)).toMatchObject({ code: 'timeout_headers', phase: 'waiting_for_headers' })
  expect(certaintyOf(result)).toBe('maybe_applied')
  expect(tookMs).toBeGreaterThanOrEqual(100)
  expect(tookMs).toBeLessThan(1000)
  await server.allClosed()
})

test('R149: a body that stops coming ends with timeout_body, and the socket is closed', async () => {
  await using server = await rawServer(({ socket }) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nab'))
  const transport = createUndiciTransport({ clock: systemClock })
  const timeouts = { connectMs: 500, headersMs: 1000, bodyMs: 100, totalMs: 3000 }
  const result = await transport.send(requestTo(server.url, { timeouts }))
  expect(faultOf(result)).toMatchObject({ code: 'timeout_body', phase: 'reading_body', status: 200 })
  expect(certaintyOf(result)).toBe('maybe_applied')
  await server.allClosed()
})

test('R149: a body that drips within its timeout ends with timeout_total, and the socket is closed', async () => {
  await using server = await rawServer(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n')
    drip(systemClock, socket, 'x', 20)
  })
  const transport = createUndiciTransport({ clock: systemClock })
  const timeouts = { connectMs: 500, headersMs: 1000, bodyMs: 200, totalMs: 400 }
  const startedMs = systemClock.monotonicMs()
  const result = await transport.send(requestTo(server.url, { timeouts }))
  expect(faultOf(result)).toMatchObject({ code: 'timeout_total', phase: 'reading_body' })
  expect(systemClock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(400)
  await server.allClosed()
})

test('a request that waits for a connection until its time is over was surely not sent', async () => {
  await using server = await rawServer(() => {})
  const transport = createUndiciTransport({ clock: systemClock, connections: 1 })
  const slow = { connectMs: 500, headersMs: 600, bodyMs: 1000, totalMs: 3000 }
  const quick = { connectMs: 500, headersMs: 100, bodyMs: 1000, totalMs: 100 }
  const first = transport.send(requestTo(server.url, { timeouts: slow }))
  const second = await transport.send(requestTo(server.url, { timeouts: quick }))
  expect(faultOf(second)).toMatchObject({ code: 'timeout_total', phase: 'before_send', bytesWritten: 0 })
  expect(certaintyOf(second)).toBe('not_sent')
  await first
  await server.allClosed()
  expect(server.requests).toHaveLength(1)
})

test('a body cut short is told with its status', async () => {
  await using server = await rawServer(({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc'))
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(server.url))
  expect(faultOf(result)).toMatchObject({ phase: 'reading_body', status: 200 })
  expect(certaintyOf(result)).toBe('maybe_applied')
  await transport.close()
})

test('what is not HTTP is a fault, not an exception', async () => {
  await using server = await rawServer(({ socket }) => socket.end('220 mail.example.com ESMTP\r\n'))
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(server.url))
  expect(faultOf(result).code).toMatch(/^HPE_/)
  expect(certaintyOf(result)).toBe('maybe_applied')
  await transport.close()
})

test('a body longer than allowed ends the exchange, announced or not', async () => {
  await using server = await rawServer(({ socket, number }) =>
    number === 1
      ? socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
      : socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n${'x'.repeat(20_000)}\r\n`),
  )
  const transport = createUndiciTransport({ clock: systemClock })
  for (let round = 0; round < 2; round++) {
    const result = await transport.send(requestTo(server.url))
    expect(faultOf(result)).toMatchObject({ code: 'response_too_large', phase: 'reading_body', status: 200 })
    await server.allClosed()
  }
})

test('a connection that the server closed while idle is not used again', async () => {
  await using server = await rawServer(({ socket, number }) => {
    socket.write(HTTP_OK(`${number}`))
    socket.end()
  })
  const transport = createUndiciTransport({ clock: systemClock })
  expect(text(answerOf(await transport.send(requestTo(server.url))).body)).toBe('1')
  await server.allClosed()
  expect(text(answerOf(await transport.send(requestTo(server.url))).body)).toBe('2')
  expect(server.requests).toHaveLength(2)
  await transport.close()
})

test('D18: one request is written once, whatever happens to its connection', async () => {
  await using server = await rawServer(({ socket, number }) => {
    if (number % 2 === 0) socket.resetAndDestroy()
    else socket.write(HTTP_OK('{}'))
  })
  const transport = createUndiciTransport({ clock: systemClock, connections: 2 })
  const results = await Promise.all(Array.from({ length: 20 }, () => transport.send(requestTo(server.url))))
  const answered = results.filter((result) => result.ok).length
  expect(server.requests).toHaveLength(20)
  expect(answered).toBe(10)
  await transport.close()
})

test('the caller can cancel before and while it is sent; the listener is gone afterwards', async () => {
  await using server = await rawServer(({ socket, number }) => {
    if (number === 1) socket.write(HTTP_OK('{}'))
  })
  const transport = createUndiciTransport({ clock: systemClock, connections: 1 })
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  answerOf(await transport.send(requestTo(server.url, { signal })))
  expect(listeners).toBe(0)

  const pending = transport.send(requestTo(server.url, { signal }))
  while (server.requests.length < 2) await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
  controller.abort(new Error('enough'))
  const result = await pending
  expect(faultOf(result)).toMatchObject({ cancelledByCaller: true, phase: 'waiting_for_headers' })
  expect(listeners).toBe(0)
  await server.allClosed()

  const late = await transport.send(requestTo(server.url, { signal }))
  expect(faultOf(late)).toMatchObject({ cancelledByCaller: true, phase: 'before_send', bytesWritten: 0 })
  expect(server.requests).toHaveLength(2)
})

test('redirects are handed over, not followed', async () => {
  await using server = await jsonServer(() => ({ status: 302, headers: { location: '/elsewhere' }, body: {} }))
  const transport = createUndiciTransport({ clock: systemClock })
  expect(answerOf(await transport.send(requestTo(server.url))).status).toBe(302)
  expect(server.requests).toHaveLength(1)
  await transport.close()
})

test('interim answers are passed over', async () => {
  await using server = await rawServer(({ socket }) =>
    socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HTTP_OK('{"final":true}')}`),
  )
  const transport = createUndiciTransport({ clock: systemClock })
  const answer = answerOf(await transport.send(requestTo(server.url)))
  expect(answer.status).toBe(200)
  expect(text(answer.body)).toBe('{"final":true}')
  await transport.close()
})

test('compressed bodies are decoded, broken and exploding ones are faults', async () => {
  const bodies = [gzipSync('{"hello":"world"}'), Buffer.from('not gzip at all'), gzipSync('x'.repeat(50_000))]
  await using server = await rawServer(({ socket, number }) => {
    const body = bodies[number - 1] as Buffer
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
  })
  const transport = createUndiciTransport({ clock: systemClock })
  const answer = answerOf(await transport.send(requestTo(server.url)))
  expect(text(answer.body)).toBe('{"hello":"world"}')
  expect(answer.headers).not.toHaveProperty('content-encoding')
  expect(faultOf(await transport.send(requestTo(server.url)))).toMatchObject({ code: 'content_decoding_failed' })
  expect(faultOf(await transport.send(requestTo(server.url)))).toMatchObject({ code: 'response_too_large' })
  await transport.close()
})

test('a bad header is a fault before anything is sent', async () => {
  await using server = await jsonServer(() => ({ body: {} }))
  const transport = createUndiciTransport({ clock: systemClock })
  const result = await transport.send(requestTo(server.url, { headers: { 'x-a': 'one\r\nx-b: two' } }))
  expect(faultOf(result)).toMatchObject({ code: 'UND_ERR_INVALID_ARG', phase: 'before_send' })
  expect(faultOf(result).message).not.toContain('two')
  expect(server.requests).toHaveLength(0)
  await transport.close()
})

test('after close nothing is sent', async () => {
  const transport = createUndiciTransport({ clock: systemClock })
  await transport.close()
  expect(faultOf(await transport.send(requestTo('http://127.0.0.1:9')))).toMatchObject({ phase: 'before_send' })
})

test('R150: says how long a new connection took, once, and how long each answer', async () => {
  await using server = await rawServer(({ socket }) => {
    systemClock.setTimer(30, () => socket.write(HTTP_OK('{}')))
  })
  const transport = createUndiciTransport({ clock: systemClock })
  const results: TransportResult[] = []
  for (let count = 0; count < 5; count++) results.push(await transport.send(requestTo(server.url)))
  expect(results.map((result) => answerOf(result).status)).toEqual([200, 200, 200, 200, 200])
  const connects = results.flatMap(({ connectMs }) => connectMs ?? [])
  expect(connects).toHaveLength(server.openSockets.size)
  expect(connects.length).toBeLessThan(5)
  expect(Math.min(...connects)).toBeGreaterThan(0)
  for (const { headersMs } of results) expect(headersMs).toBeGreaterThanOrEqual(29)
  await transport.close()
})
