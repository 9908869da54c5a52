import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startGateway } from './server.ts'
import { serving, testGateway } from './test-kit.ts'

/** Sends bytes, and gives all that comes back until the connection ends. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(text)
  return received(socket)
}

async function received(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (piece) => {
    text += String(piece)
  })
  await once(socket, 'close')
  return text
}

/** A request whose head the gateway has seen, and whose body it waits for. */
async function underWay(port: number): Promise<{ socket: Socket; answer: Promise<string> }> {
  const socket = connect(port, '127.0.0.1')
  const head = `POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${REQUEST.length}\r\nExpect: 100-continue\r\n\r\n`
  socket.write(head)
  const [piece] = (await once(socket, 'data')) as [Buffer]
  expect(String(piece)).toMatch(/^HTTP\/1\.1 100 /)
  return { socket, answer: received(socket) }
}

const REQUEST = JSON.stringify({ integration: 'crm', method: 'GET', path: '/x' })
const POST = { method: 'POST', headers: { 'content-type': 'application/json' } }

const SAFE = [
  "content-security-policy: default-src 'none'; ",
  'x-content-type-options: nosniff',
  'x-frame-options: DENY',
  'referrer-policy: no-referrer',
  'cache-control: no-store',
  'x-correlation-id: ',
] as const

describe('over sockets', () => {
  it('serves, with the address of the caller', async () => {
    const { gateway } = await serving()
    const suspend = await fetch(`${gateway.url}/v1/integrations/crm/suspend`, { ...POST, body: '{"reason":"x"}' })
    expect(suspend.status).toBe(200)
    const { actions } = (await (await fetch(`${gateway.url}/v1/actions`)).json()) as { actions: { from: string }[] }
    expect(actions[0]?.from).toBe('127.0.0.1')
  })

  it('issue 6: a gigabyte is refused before it is sent', async () => {
    const { port } = await serving()
    const head = `POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\nConnection: close\r\n\r\n`
    expect(await raw(port, head)).toMatch(/^HTTP\/1\.1 413 /)
  })

  it.each([
    ['nonsense', 'nonsense\r\n\r\n', 400],
    ['no host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['a hostile host', 'GET /v1/items HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n', 400],
    ['huge headers', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    [
      'two lengths',
      'POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
  ])('%s is refused; what we say to it is as harmless to a browser as every answer', async (what, text, status) => {
    const { port } = await serving()
    const answer = await raw(port, text)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    // Of these Node answers by itself, with nothing but a status.
    if (what === 'no host') return
    for (const header of SAFE) expect(answer, header).toContain(`\r\n${header}`)
  })

  it('a taken port is told by name', async () => {
    const { port } = await serving()
    const test = await testGateway()
    const settings = { ...test.parts.settings, port }
    await expect(startGateway({ ...test.parts, settings })).rejects.toMatchObject({ code: 'port_taken' })
    await expect(startGateway({ ...test.parts, settings: { ...settings, host: '0.0.0.0' } })).rejects.toMatchObject({
      code: 'gateway_needs_token',
    })
    await test.finish()
  })

  it('issue 6: stopping lets what is under way end, and takes nothing new', async () => {
    const { gateway, port } = await serving()
    const { socket, answer } = await underWay(port)
    const stopped = gateway.stop({ graceMs: 60_000 })
    socket.write(REQUEST)
    await stopped
    expect(await answer).toMatch(/HTTP\/1\.1 202 [\s\S]*connection: close[\s\S]*"runId"/i)
    await expect(fetch(`${gateway.url}/healthz`)).rejects.toThrow()
  })

  it('who does not end in time is broken off', async () => {
    const { gateway, port } = await serving()
    const { answer } = await underWay(port)
    await gateway.stop({ graceMs: 1 })
    expect(await answer).not.toContain('202')
  })

  it('a listener to events is let go', async () => {
    const { gateway } = await serving()
    const response = await fetch(`${gateway.url}/v1/events`)
    const text = response.text()
    await gateway.stop()
    expect(await text).toContain('event: end')
  })
})
