/**
 * Calls through a proxy in a process of its own: what the gateway's resilience costs beside a bare proxy, and beside asking the
 * API itself.
 */
import { join } from 'node:path'
import { Pool } from 'undici'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import { type ProxyKind, startProxy } from '../support/gateway-proxy.ts'
import { type Measured, measureFor } from '../support/stopwatch.ts'
import { startUpstream } from '../support/upstream.ts'

const IN_FLIGHT = 50
const CALLS_PER_CALLER = 40
const WARM_UP_MS = 1500
const DURATION_MS = 2500
const CALLS_ALONE = 500

type Call = () => Promise<void>

function contender(
  name: string,
  kind: ProxyKind,
  measureCalls: (call: Call, scale: number, cpu: () => Promise<number>) => Promise<Measured>,
): Contender {
  return {
    name,
    async run({ scale, folder }) {
      using upstream = await startUpstream()
      using proxy = await startProxy(kind, upstream.origin, join(folder, `proxy-${process.pid}.db`))
      const pool = new Pool(proxy.origin, { connections: IN_FLIGHT })
      const call = async () => {
        const { body, statusCode } = await pool.request({ path: `${proxy.base}/contacts/12345`, method: 'GET' })
        await body.json()
        if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
      }
      try {
        return await measureCalls(call, scale, proxy.cpuMs)
      } finally {
        await pool.close()
      }
    },
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
const HOLDFAST = 'holdfast: the proxy'
const OVER_WEB = 'holdfast: over Request and Response'
const DIRECT = 'the API itself'

export const GATEWAY_CASES: readonly BenchCase[] = [
  {
    group: 'gateway',
    name: `proxy, ${IN_FLIGHT} in flight`,
    shownAs: 'operations per second',
    contenders: [
      contender(BARE, 'bare', throughput),
      contender(HOLDFAST, 'node', throughput),
      contender(OVER_WEB, 'web', throughput),
    ],
    comparisons: [
      { contender: HOLDFAST, against: BARE, atLeast: 0.6 },
      { contender: OVER_WEB, against: BARE },
    ],
  },
  {
    group: 'gateway',
    name: 'proxy, one call at a time',
    shownAs: 'milliseconds of delay',
    contenders: [
      contender(DIRECT, 'direct', delays),
      contender(BARE, 'bare', delays),
      contender(HOLDFAST, 'node', delays),
    ],
    comparisons: [
      { contender: HOLDFAST, against: DIRECT, by: 'p50Ms' },
      { contender: HOLDFAST, against: BARE, by: 'p50Ms' },
    ],
  },
]
