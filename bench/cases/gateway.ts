/**
 * `holdfast serve` beside the least that would do: webhooks verified and on disk, beside a server that only verifies them; calls
 * through the proxy, beside a bare one and beside asking the API itself.
 */
import { createHmac, createSecretKey } from 'node:crypto'
import { join } from 'node:path'
import { Pool } from 'undici'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import { type ServerKind, startServer, WEBHOOK_SECRET } from '../support/http-server.ts'
import { openRawLoad } from '../support/raw-load.ts'
import { type Measured, measureFor } from '../support/stopwatch.ts'
import { startUpstream } from '../support/upstream.ts'

const IN_FLIGHT = 50
const CALLS_PER_CALLER = 40
const WARM_UP_MS = 1500
const DURATION_MS = 2500
const CALLS_ALONE = 500
const CONNECTIONS = 64
const EVENTS_PER_ROUND = 2000
const FILLING = 'x'.repeat(900)

type Call = () => Promise<void>

function proxied(
  name: string,
  /** Default: the API itself is asked. */
  kind: ServerKind | undefined,
  measureCalls: (call: Call, scale: number, cpu: () => Promise<number>) => Promise<Measured>,
): Contender {
  return {
    name,
    async run({ scale, folder }) {
      using upstream = await startUpstream()
      using server = kind && (await startServer(kind, upstream.origin, join(folder, `proxy-${process.pid}.db`)))
      const base = server ? '/proxy/crm' : ''
      const pool = new Pool(server?.origin ?? upstream.origin, { connections: IN_FLIGHT })
      const call = async () => {
        const { body, statusCode } = await pool.request({ path: `${base}/contacts/12345`, method: 'GET' })
        await body.json()
        if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
      }
      try {
        return await measureCalls(call, scale, server?.cpuMs ?? (async () => 0))
      } finally {
        await pool.close()
      }
    },
  }
}

/** Events of 1 KB, no two alike, signed as GitHub does. */
function webhooks(name: string, kind: ServerKind): Contender {
  return {
    name,
    async run({ scale, folder }) {
      using server = await startServer(kind, 'http://127.0.0.1:9', join(folder, `webhooks-${process.pid}.db`))
      using load = await openRawLoad(server.port, CONNECTIONS, events())
      const round = () => load.run(EVENTS_PER_ROUND)
      await measureFor(WARM_UP_MS * scale, EVENTS_PER_ROUND, round)
      return await measureFor(DURATION_MS * scale, EVENTS_PER_ROUND, round, server.cpuMs)
    },
  }
}

function events(): () => Buffer {
  const key = createSecretKey(Buffer.from(WEBHOOK_SECRET))
  let count = 0
  return () => {
    count += 1
    const body = JSON.stringify({ action: 'opened', number: count, repository: { name: 'holdfast' }, text: FILLING })
    const signature = createHmac('sha256', key).update(body).digest('hex')
    const head = [
      'POST /webhooks/github HTTP/1.1',
      'host: 127.0.0.1',
      'user-agent: GitHub-Hookshot/044aadd',
      'accept: */*',
      'content-type: application/json',
      `x-github-delivery: delivery-${count}`,
      'x-github-event: issues',
      'x-github-hook-id: 292430182',
      `x-hub-signature-256: sha256=${signature}`,
      `content-length: ${Buffer.byteLength(body)}`,
    ]
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  }
}

async function throughput(call: Call, scale: number, cpuMs: () => Promise<number>): Promise<Measured> {
  const caller = async (): Promise<void> => {
    for (let index = 0; index < CALLS_PER_CALLER; index++) await call()
  }
  const round = async () => void (await Promise.all(Array.from({ length: IN_FLIGHT }, caller)))
  const operations = IN_FLIGHT * CALLS_PER_CALLER
  await measureFor(WARM_UP_MS * scale, operations, round)
  return measureFor(DURATION_MS * scale, operations, round, cpuMs)
}

/** One call after the other, each timed. */
async function delays(call: Call, scale: number, cpuMs: () => Promise<number>): Promise<Measured> {
  const times: number[] = []
  const round = async () => {
    for (let index = 0; index < CALLS_ALONE; index++) {
      const startedMs = performance.now()
      await call()
      times.push(performance.now() - startedMs)
    }
  }
  await measureFor(WARM_UP_MS * scale, CALLS_ALONE, round)
  times.length = 0
  const measured = await measureFor(DURATION_MS * scale, CALLS_ALONE, round, cpuMs)
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN
  return { ...measured, delays: { p50Ms: at(0.5), p99Ms: at(0.99) } }
}

const BARE = 'node:http + undici, bare proxy'
const BARE_HMAC = 'node:http that only verifies'
const HOLDFAST = 'holdfast serve'
const DIRECT = 'the API itself'

export const GATEWAY_CASES: readonly BenchCase[] = [
  {
    group: 'gateway',
    name: `webhooks, ${CONNECTIONS} connections`,
    shownAs: 'operations per second',
    contenders: [webhooks(BARE_HMAC, 'bare-hmac'), webhooks(HOLDFAST, 'gateway')],
    comparisons: [{ contender: HOLDFAST, against: BARE_HMAC, atLeast: 0.75 }],
  },
  {
    group: 'gateway',
    name: `proxy, ${IN_FLIGHT} in flight`,
    shownAs: 'operations per second',
    contenders: [proxied(BARE, 'bare-proxy', throughput), proxied(HOLDFAST, 'gateway', throughput)],
    comparisons: [{ contender: HOLDFAST, against: BARE, atLeast: 0.6 }],
  },
  {
    group: 'gateway',
    name: 'proxy, one call at a time',
    shownAs: 'milliseconds of delay',
    contenders: [
      proxied(DIRECT, undefined, delays),
      proxied(BARE, 'bare-proxy', delays),
      proxied(HOLDFAST, 'gateway', delays),
    ],
    comparisons: [
      { contender: HOLDFAST, against: DIRECT, by: 'p50Ms' },
      { contender: HOLDFAST, against: BARE, by: 'p50Ms' },
    ],
  },
]
