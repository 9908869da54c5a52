/**
 * What a gateway's callers send: records by every way in, each until it is answered 2xx, as a caller does who cannot tell
 * whether a request that broke off was heard. Some are sent again although they were answered.
 */
import type { Clock } from '../../src/core/clock.ts'
import { type Random, randomInteger } from '../../src/core/random.ts'
import { signWebhook } from '../../src/webhooks/sign.ts'
import { WEBHOOK_SECRET } from './gateways.ts'

export const WAYS = ['webhook', 'record', 'lines', 'request', 'respond-async', 'proxy'] as const
export type Way = (typeof WAYS)[number]

const LINES_PER_STREAM = 5
const SENT_AGAIN = 0.1
const PAUSE_MS = 20
const PATIENCE_MS = 10_000

export interface TrafficParts {
  readonly clock: Clock
  readonly random: Random
  readonly urls: () => readonly string[]
  /** A record was answered 2xx for the first time. */
  readonly promised: () => void
}

export interface Promises {
  /** The runs that the answers named, by the name of the record; `undefined` where the answer names none. */
  readonly runs: ReadonlyMap<string, string | undefined>
  /** Calls that were passed on and answered. */
  readonly passed: ReadonlySet<string>
  /** Answers that should not have been: in words. */
  readonly problems: readonly string[]
  /** Requests that were not answered, or with a "later". */
  readonly unanswered: number
  /** Sends one request's worth of records until all of them are answered 2xx. */
  send(way: Way, number: number): Promise<void>
}

interface Sent {
  readonly path: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string
}

const JSON_TYPE = { 'content-type': 'application/json' }

export function createTraffic({ clock, random, urls, promised }: TrafficParts): Promises {
  const runs = new Map<string, string | undefined>()
  const passed = new Set<string>()
  const problems: string[] = []
  let unanswered = 0

  function remember(way: Way, name: string, runId: string | undefined): void {
    if (way === 'proxy') passed.add(name)
    else if (!runs.has(name)) runs.set(name, runId)
    else if (runs.get(name) !== runId)
      problems.push(`${name} was answered with run ${runs.get(name)} and with ${runId}`)
  }

  function isUnanswered(): false {
    unanswered++
    return false
  }

  /** True: it was answered, and not with a "later". */
  async function tryOnce(way: Way, names: readonly string[]): Promise<boolean> {
    const all = urls()
    const url = all[randomInteger(random, 0, Math.max(0, all.length - 1))]
    if (url === undefined) return false
    const { path, ...init } = sentBy(way, names)
    try {
      const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) })
      const text = await response.text()
      if (response.status === 429 || response.status === 502 || response.status === 503) return isUnanswered()
      if (!response.ok) problems.push(`${way} ${names[0]} was answered ${response.status}: ${text.slice(0, 300)}`)
      else for (const [name, runId] of toldBy(way, names, text)) remember(way, name, runId)
      return true
    } catch {
      // It was killed before it answered: nothing was promised.
      return isUnanswered()
    }
  }

  return {
    runs,
    passed,
    problems,
    get unanswered() {
      return unanswered
    },
    async send(way, number) {
      const names = namesOf(way, number)
      while (!(await tryOnce(way, names))) await clock.sleep(PAUSE_MS)
      promised()
      // A second delivery of what was answered is what providers do, and people who press a button twice.
      if (random.next() < SENT_AGAIN) await tryOnce(way, names)
    },
  }
}

export function namesOf(way: Way, number: number): string[] {
  if (way !== 'lines') return [`${way}-${number}`]
  return Array.from({ length: LINES_PER_STREAM }, (_, line) => `${way}-${number}-${line}`)
}

function sentBy(way: Way, names: readonly string[]): Sent {
  const [name = ''] = names
  const body = JSON.stringify({ name })
  const keyed = { ...JSON_TYPE, 'idempotency-key': `"${name}"` }
  switch (way) {
    case 'webhook': {
      const headers = signWebhook({ provider: 'github', secret: WEBHOOK_SECRET }, { body }, 0)
      return post('/webhooks/github', { ...JSON_TYPE, ...headers, 'x-github-delivery': name }, body)
    }
    case 'record':
      return post('/v1/pipelines/arrive/runs', keyed, body)
    case 'lines': {
      const lines = names.map((one) => JSON.stringify({ name: one })).join('\n')
      return post('/v1/pipelines/arrive/runs?key=name', { 'content-type': 'application/x-ndjson' }, lines)
    }
    case 'request':
      return post(
        '/v1/requests',
        keyed,
        JSON.stringify({ integration: 'twin', method: 'PUT', path: '/things', body: { name } }),
      )
    case 'respond-async':
      return { method: 'PUT', path: '/proxy/twin/things', headers: { ...keyed, prefer: 'respond-async' }, body }
    case 'proxy':
      return { method: 'PUT', path: '/proxy/twin/things', headers: JSON_TYPE, body }
  }
}

function post(path: string, headers: Record<string, string>, body: string): Sent {
  return { method: 'POST', path, headers, body }
}

/** The runs that an answer names. */
function toldBy(way: Way, names: readonly string[], text: string): [name: string, runId: string | undefined][] {
  if (way === 'webhook' || way === 'proxy') return names.map((name) => [name, undefined])
  const answer = JSON.parse(text) as { runId?: string; runs?: { line: number; runId: string }[] }
  if (way !== 'lines') return names.map((name) => [name, answer.runId ?? 'no run'])
  return names.map((name, index) => [name, answer.runs?.find(({ line }) => line === index + 1)?.runId ?? 'no run'])
}
