/** Sends hostile requests to a real `holdfast serve`, over sockets, and looks at what it answered, called, kept and lost. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fc from 'fast-check'
import { openWorkshop, type Workshop } from '../../test/support/workshop.ts'
import { type HostileRequest, hostileRequest } from './requests.ts'

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
}

export interface FuzzParts {
  readonly onProgress?: (sent: number) => void
  readonly signal?: AbortSignal
}

export interface FuzzResult extends FuzzOptions {
  readonly passed: boolean
  readonly problems: readonly string[]
  /** Answers by status; 0: the connection ended without one. */
  readonly answers: Readonly<Record<string, number>>
  /** Calls that reached the API behind the proxy. */
  readonly called: number
  /** Open files of the gateway, and its memory, after the first tenth and at the end; nothing where the system does not tell. */
  readonly openFiles: readonly number[]
  readonly memoryMebibytes: readonly number[]
}

const IN_FLIGHT = 128
const PORTION = 2000
/** The gateway gives up what never ends; this is for a gateway that hangs. */
const PATIENCE_MS = 60_000
/** After an answer, for another to what was sent in one go. */
const LINGER_MS = 20
const TOKEN = 'the-real-token'
const MOST_SHOWN = 20
/** Connections to the API, which are kept, and the store's own. */
const MOST_FILES_MORE = 80
const MOST_MEBIBYTES_MORE = 200

/** @throws Error where the gateway does not start */
export async function fuzz(options: FuzzOptions, parts: FuzzParts = {}): Promise<FuzzResult> {
  await using workshop = openWorkshop()
  await using api = await startApi()
  return await onWorkshop(options, parts, workshop, api)
}

async function onWorkshop(
  { requests, seed }: FuzzOptions,
  { onProgress, signal }: FuzzParts,
  workshop: Workshop,
  api: Api,
): Promise<FuzzResult> {
  workshop.write('holdfast.json', JSON.stringify(configOf(api.url)))
  const gateway = workshop.start('serve', '--port', '0')
  await gateway.says('listens on')
  const url = /http:\/\/[\d.:]+/.exec(gateway.stderr())?.[0] ?? ''
  const port = Number(new URL(url).port)
  const problems: string[] = []
  const answers: Record<string, number> = {}
  const measured = [usageOf(gateway.child.pid)]
  const arbitrary = hostileRequest(api.canary)
  for (let sent = 0; sent < requests && gateway.child.exitCode === null; sent += PORTION) {
    signal?.throwIfAborted()
    const portion = fc.sample(arbitrary, { numRuns: Math.min(PORTION, requests - sent), seed: seed + sent })
    await sendAll(portion, port, (request, text) => judge(request, text, problems, answers))
    onProgress?.(Math.min(requests, sent + PORTION))
    if (sent <= requests / 10) measured[0] = usageOf(gateway.child.pid)
  }
  measured.push(usageOf(gateway.child.pid))
  problems.push(...(await healthOf(url)), ...api.problems, ...growthOf(measured))
  if (gateway.stderr().includes('trouble in the gateway')) problems.push(gateway.stderr().slice(0, 3000))
  gateway.child.kill('SIGTERM')
  const { code } = await gateway.ended
  if (code !== 0) problems.push(`the gateway ended with ${code}: ${gateway.stderr().slice(-2000)}`)
  return {
    ...{ requests, seed, answers, problems: problems.slice(0, MOST_SHOWN), passed: problems.length === 0 },
    called: api.called(),
    openFiles: measured.map(({ files }) => files),
    memoryMebibytes: measured.map(({ mebibytes }) => mebibytes),
  }
}

function configOf(baseUrl: string) {
  const post = { integration: 'crm', request: { method: 'PUT', path: '/things', body: '{{ input }}' } }
  return {
    maxPayload: '64KiB',
    integrations: {
      crm: {
        baseUrl: `${baseUrl}/base`,
        auth: { type: 'bearer', token: TOKEN },
        limits: { concurrency: 50 },
        breaker: { consecutiveFailures: 1000, failureRate: 1 },
      },
    },
    pipelines: { arrive: { steps: { post } } },
    webhooks: { github: { provider: 'github', secret: 'a secret', pipeline: 'arrive' } },
    gateway: { arrivalTimeout: '1s' },
  }
}

async function sendAll(
  all: readonly HostileRequest[],
  port: number,
  judged: (request: HostileRequest, answer: string) => void,
): Promise<void> {
  let next = 0
  async function sender(): Promise<void> {
    for (let request = all[next++]; request; request = all[next++]) judged(request, await send(port, request))
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, sender))
}

/** All that came back on one connection. */
function send(port: number, pieces: HostileRequest): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let answer = ''
  let isAnswered = false
  socket.setTimeout(PATIENCE_MS, () => {
    if (!isAnswered) answer += '\nIt hangs.'
    socket.destroy()
  })
  socket.on('error', () => {})
  socket.on('data', (piece) => {
    answer += piece.toString('latin1')
    // Whoever has answered may keep the connection.
    isAnswered ||= isWhole(answer)
    if (isAnswered) socket.setTimeout(LINGER_MS)
  })
  socket.on('close', () => resolve(answer))
  const [first = '', second] = pieces
  socket.write(first, 'latin1', () => second !== undefined && socket.writable && socket.write(second, 'latin1'))
  return promise
}

/** The first answer has come to its end. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0 || /^HTTP\/1\.1 1\d\d /.test(answer)) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, end))?.[1]
  if (length !== undefined) return answer.length >= end + 4 + Number(length)
  return answer.endsWith('0\r\n\r\n') || /^HTTP\/1\.1 [23]04 /.test(answer)
}

function judge(request: HostileRequest, text: string, problems: string[], answers: Record<string, number>): void {
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
  for (const status of statuses.length > 0 ? statuses : [0]) {
    answers[status] = (answers[status] ?? 0) + 1
    // Busy, which says so; and a loop through the proxy, which the request itself claims.
    const isMeant = status < 500 || status === 508 || (status === 503 && /^retry-after: \d+/im.test(text))
    if (!isMeant) problems.push(`${status} for ${JSON.stringify(request).slice(0, 500)}: ${text.slice(0, 500)}`)
  }
  if (text.endsWith('It hangs.')) problems.push(`nobody answered ${JSON.stringify(request).slice(0, 500)}`)
  if (/^set-cookie:/im.test(text)) problems.push(`a header was injected by ${JSON.stringify(request).slice(0, 500)}`)
  if (text.includes(TOKEN)) problems.push(`the credential was told to ${JSON.stringify(request).slice(0, 500)}`)
}

async function healthOf(url: string): Promise<string[]> {
  const problems: string[] = []
  for (const path of ['/healthz', '/readyz', '/v1/items']) {
    const status = await fetch(url + path).then((response) => response.status, String)
    if (status !== 200) problems.push(`at the end ${path} answered ${status}`)
  }
  const audit = await fetch(`${url}/v1/audit`).then((response) => response.json(), String)
  if ((audit as { balanced?: boolean }).balanced !== true) problems.push(`the books: ${JSON.stringify(audit)}`)
  return problems
}

interface Usage {
  readonly files: number
  readonly mebibytes: number
}

function usageOf(pid: number | undefined): Usage {
  const status = `/proc/${pid}/status`
  if (!existsSync(status)) return { files: 0, mebibytes: 0 }
  const kibibytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1] ?? 0)
  return { files: readdirSync(`/proc/${pid}/fd`).length, mebibytes: Math.round(kibibytes / 1024) }
}

function growthOf([early, late]: readonly Usage[]): string[] {
  const problems: string[] = []
  if (!early || !late) return problems
  if (late.files > early.files + MOST_FILES_MORE) problems.push(`${early.files} open files became ${late.files}`)
  if (late.mebibytes > early.mebibytes + MOST_MEBIBYTES_MORE) {
    problems.push(`${early.mebibytes} MiB of memory became ${late.mebibytes}`)
  }
  return problems
}

interface Api extends AsyncDisposable {
  readonly url: string
  /** A server that nobody may be made to call: `127.0.0.1:PORT`. */
  readonly canary: string
  readonly problems: string[]
  called(): number
}

/** The API behind the proxy, and its neighbour, to which it sends whoever follows redirects. */
async function startApi(): Promise<Api> {
  const problems: string[] = []
  let called = 0
  const neighbour = await listening((url) => {
    problems.push(`somebody was made to call ${url}`)
    return { status: 200, headers: {} }
  })
  const api = await listening((url, headers) => {
    called++
    if (url !== '/base' && !/^\/base[/?]/.test(url)) problems.push(`${url} is not below the base URL`)
    if (headers.authorization !== `Bearer ${TOKEN}`) problems.push(`${url} came with ${headers.authorization}`)
    if (!url.startsWith('/base/redirect')) return { status: 200, headers: {} }
    return { status: 302, headers: { location: `http://${neighbour.host}/secret` } }
  })
  return {
    url: `http://${api.host}`,
    canary: neighbour.host,
    problems,
    called: () => called,
    async [Symbol.asyncDispose]() {
      for (const { server } of [api, neighbour]) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

type Answer = { readonly status: number; readonly headers: Record<string, string> }

async function listening(answer: (url: string, headers: { readonly authorization?: string | undefined }) => Answer) {
  const server = createServer((incoming, outgoing) => {
    const { status, headers } = answer(incoming.url ?? '', incoming.headers)
    incoming.resume()
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{}')
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}
