/** Callers who give up: wherever the call is by then, it ends at once, with their reason, and nothing stays open. */
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { anthropic, github, openai } from '../../examples/sdks/clients.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { type Api, type Bench, openBench, openTwinBench, SILENT, type TwinBench, thrownBy } from './support/bench.ts'
import { SDKS } from './support/catalogue.ts'
import { startStreamServer } from './support/stream-server.ts'

interface Abortable {
  readonly api: Api
  /** The name of what it throws. */
  readonly thrown: string
  read(bench: Bench, signal: AbortSignal): PromiseLike<unknown>
}

const ABORTABLE: readonly Abortable[] = [
  {
    api: 'openai',
    thrown: 'APIUserAbortError',
    read: ({ hf, baseUrl }, signal) => openai(hf, 'k', { baseURL: `${baseUrl}/v1` }).models.retrieve('gpt', { signal }),
  },
  {
    api: 'anthropic',
    thrown: 'APIUserAbortError',
    read: ({ hf, baseUrl }, signal) => anthropic(hf, 'k', { baseURL: baseUrl }).models.retrieve('c', {}, { signal }),
  },
  {
    api: 'github',
    thrown: 'DOMException',
    read: ({ hf, baseUrl }, signal) =>
      github(hf, 'k', { baseUrl, log: SILENT }).repos.get({ owner: 'ada', repo: 'engine', request: { signal } }),
  },
]
const quiet = () => {}

const routesOf = (api: Api) => SDKS.find((sdk) => sdk.api === api)?.routes ?? []
const turn = () => new Promise<void>((resolve) => systemClock.nextTurn(resolve))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** Begins a read, waits until it has come as far as it should, and aborts it. */
async function abortedWhen(reached: () => Promise<unknown>, { read }: Abortable, bench: Bench): Promise<Error> {
  const controller = new AbortController()
  const error = thrownBy(read(bench, controller.signal))
  await reached()
  controller.abort()
  return error
}

describe.each(ABORTABLE)('$api', (sdk) => {
  const openTwin = (overrides = {}): Promise<TwinBench> => openTwinBench(sdk.api, routesOf(sdk.api), overrides)

  test('before it begins', async () => {
    await using bench = await openTwin()
    const error = await thrownBy(sdk.read(bench, AbortSignal.abort()))
    expect(error.constructor.name).toBe(sdk.thrown)
    expect(bench.twin.requests.total).toBe(0)
  })

  test('while it waits for a gate', async () => {
    await using bench = await openTwin({ retry: { maxAttempts: 1, inline: '1m' } })
    const held = new Promise<void>((resolve) => bench.hf.events.on('gate.closed', () => resolve()))
    bench.twin.disturb({ fault: { kind: 'status', status: 429, headers: { 'retry-after': '20' } } })
    const first = new AbortController()
    const firstEnd = thrownBy(sdk.read(bench, first.signal))
    await held
    const waiting = new Promise<void>((resolve) => bench.hf.events.on('call.held', () => resolve()))
    const error = await abortedWhen(() => waiting, sdk, bench)
    expect(error.constructor.name).toBe(sdk.thrown)
    expect(bench.twin.requests.total).toBe(1)
    first.abort()
    await firstEnd
  })

  test('between two tries', async () => {
    await using bench = await openTwin({ retry: { base: '20s', cap: '20s', jitter: 'none' } })
    bench.twin.disturb({ fault: { kind: 'status', status: 503 } })
    const ended = new Promise<void>((resolve) => bench.hf.events.on('call.ended', () => resolve()))
    const error = await abortedWhen(() => ended.then(turn), sdk, bench)
    expect(error.constructor.name).toBe(sdk.thrown)
    expect(bench.twin.requests.total).toBe(1)
  })

  test('while it connects', async () => {
    const sockets = new Set<Socket>()
    // Takes the connection, and never answers the handshake of TLS.
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.resume().on('error', quiet)
      socket.on('close', () => sockets.delete(socket))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const bench = await openBench(sdk.api, `https://127.0.0.1:${port}`, { timeouts: { connect: '500ms' } })
    const error = await abortedWhen(() => until(() => sockets.size > 0), sdk, bench)
    expect(error.constructor.name).toBe(sdk.thrown)
    await bench[Symbol.asyncDispose]()
    await until(() => sockets.size === 0)
    server.close()
  })

  test('while it waits for the answer', async () => {
    await using bench = await openTwin()
    bench.twin.disturb({ fault: 'hang' })
    const error = await abortedWhen(() => until(() => bench.twin.requests.total === 1), sdk, bench)
    expect(error.constructor.name).toBe(sdk.thrown)
    await until(() => bench.twin.requests.byOutcome.size === 1)
    expect(bench.twin.requests.total).toBe(1)
  })

  test('while it reads the answer', async () => {
    await using server = await startStreamServer()
    await using bench = await openBench(sdk.api, server.url)
    const controller = new AbortController()
    const reading = Promise.resolve(sdk.read(bench, controller.signal)).then(quiet, quiet)
    const stream = await server.next()
    await stream.write('{"half of":')
    controller.abort()
    // Octokit swallows errors of bodies: the socket tells.
    await reading
    await stream.closed
    expect(server.requests).toBe(1)
  })
})
