/**
 * Calls over loopback, 50 at a time: what resilience costs beside a bare connection pool. Every contender gets the whole
 * JSON answer, parsed.
 */
import { join } from 'node:path'
import { Pool } from 'undici'
import { holdfast } from '../../src/index.ts'
import type { BenchCase, Contender } from '../support/bench-case.ts'
import { cockatielPolicy } from '../support/peer-policies.ts'
import { measureFor } from '../support/stopwatch.ts'
import { startUpstream } from '../support/upstream.ts'

const IN_FLIGHT = 50
const CALLS_PER_CALLER = 40
const WARM_UP_MS = 1000
const DURATION_MS = 2500

type Call = () => Promise<unknown>
type Method = 'GET' | 'POST'

interface Prepared extends AsyncDisposable {
  readonly call: Call
}

type Prepare = (origin: string, method: Method, folder: string) => Promise<Prepared>

const BODY = { email: 'ada@example.com', company: 'Example', note: 'x'.repeat(150) }
const JSON_HEADERS = { 'content-type': 'application/json' }

function contender(name: string, method: Method, prepare: Prepare): Contender {
  return {
    name,
    async run({ scale, folder }) {
      using upstream = await startUpstream()
      await using prepared = await prepare(upstream.origin, method, folder)
      const round = () => callConcurrently(prepared.call)
      const operations = IN_FLIGHT * CALLS_PER_CALLER
      await measureFor(WARM_UP_MS * scale, operations, round)
      return await measureFor(DURATION_MS * scale, operations, round, upstream.cpuMs)
    },
  }
}

async function callConcurrently(call: Call): Promise<void> {
  const caller = async (): Promise<void> => {
    for (let index = 0; index < CALLS_PER_CALLER; index++) await call()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller))
}

const HOLDFAST = 'holdfast: hf.client'
const UNDICI = 'undici: Pool.request'
const COCKATIEL = 'undici in cockatiel'

export const CLIENT_CASES: readonly BenchCase[] = (['GET', 'POST'] as const).map((method) => ({
  group: 'client' as const,
  name: `${method}, ${IN_FLIGHT} in flight`,
  shownAs: 'operations per second' as const,
  contenders: [
    contender(UNDICI, method, prepareUndici),
    contender(HOLDFAST, method, prepareHoldfast),
    contender(COCKATIEL, method, prepareCockatiel),
  ],
  comparisons: [
    { contender: HOLDFAST, against: UNDICI, atLeast: 0.8 },
    { contender: HOLDFAST, against: COCKATIEL },
  ],
}))

function requestOptions(method: Method) {
  if (method === 'GET') return { path: '/contacts/12345', method }
  return { path: '/contacts', method, headers: JSON_HEADERS, body: JSON.stringify(BODY) }
}

async function prepareUndici(origin: string, method: Method): Promise<Prepared> {
  const pool = new Pool(origin, { connections: IN_FLIGHT })
  return {
    async call() {
      const { body } = await pool.request(requestOptions(method))
      return body.json()
    },
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

async function prepareCockatiel(origin: string, method: Method): Promise<Prepared> {
  const pool = new Pool(origin, { connections: IN_FLIGHT })
  const policy = cockatielPolicy()
  return {
    call: () =>
      policy.execute(async ({ signal }) => {
        const { body } = await pool.request({ ...requestOptions(method), signal })
        return body.json()
      }),
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

async function prepareHoldfast(origin: string, method: Method, folder: string): Promise<Prepared> {
  const hf = await holdfast({
    store: `sqlite:${join(folder, `client-${process.pid}.db`)}`,
    integrations: { crm: { baseUrl: origin, limits: { concurrency: IN_FLIGHT } } },
  })
  const client = hf.client('crm')
  return {
    call: method === 'GET' ? () => client.get('/contacts/12345') : () => client.post('/contacts', { body: BODY }),
    [Symbol.asyncDispose]: () => hf.close(),
  }
}
