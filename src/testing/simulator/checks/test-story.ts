/** Stories told by hand, for the tests of the checks: facts in order, and what a check says to them. */
import type { HoldfastEvent } from '../../../core/events.ts'
import type { Failure } from '../../../core/failure.ts'
import type { ItemState } from '../../../core/item-state.ts'
import type {
  AttemptRecord,
  ClaimedItem,
  NewRun,
  SettledState,
  Settlement,
  SettleReceipt,
} from '../../../ledger/port.ts'
import type { Fact, FactBody, StoreFact } from '../fact.ts'
import type { Scenario, StepKind } from '../scenario.ts'
import type { Check, CheckFactory, WorldView } from './check.ts'
import { createItemAccount } from './known-items.ts'

const KINDS: readonly StepKind[] = [
  ...(['read', 'put', 'delete', 'post_keyed', 'post_natural', 'post_reconciled', 'post_unsafe'] as const),
  ...(['post_operation', 'code_safe', 'code_unsafe', 'code_reconciled'] as const),
]

/** For each kind of step a pipeline of that name with the one step `do`; and `chain`, with `a` and then `b`. */
export const STORY_SCENARIO: Scenario = {
  seed: 'story',
  busyMs: 600_000,
  machines: [1, 2].map((number) => ({
    name: `m${number}`,
    skewMs: 0,
    workers: 1,
    concurrency: 10,
    settings: { leaseMs: 10_000, pollMs: 1000, healthSyncMs: 1000 },
  })),
  apis: [
    {
      name: 'crm',
      integration: {
        baseUrl: 'https://crm.test',
        auth: { type: 'bearer', token: 'secret-crm-token' },
        limits: { concurrency: 2, rate: '3/10s' },
        breaker: { rampShares: [0.5], rampStep: '5s', probeLease: '20s' },
      },
      latencyMs: [10, 10],
    },
  ],
  pipelines: [
    ...KINDS.map((kind) => ({ name: kind, steps: [{ name: 'do', kind, api: 'crm', after: [], optional: false }] })),
    {
      name: 'chain',
      steps: [
        { name: 'a', kind: 'read', api: 'crm', after: [], optional: false },
        { name: 'b', kind: 'read', api: 'crm', after: ['a'], optional: false },
      ],
    },
  ],
  submissions: [],
  troubles: [],
  operations: [],
}

/** What simulated clocks show at the start. */
export const START_MS = Date.UTC(2026, 0, 1)

export const FAILURE: Failure = {
  class: 'transient',
  code: 'ECONNRESET',
  message: 'The connection broke',
  userMessage: 'This could not be done.',
  certainty: 'maybe_applied',
  hint: 'Wait.',
  rule: 'by hand',
  countsAgainstBreaker: true,
}

export interface Story {
  readonly violations: readonly string[]
  readonly check: Check
  /** Moves on to this time. */
  at(ms: number): Story
  fact(body: FactBody): Story
  store(process: string, method: StoreFact['method'], request: unknown[], result: unknown): Story
  submit(run: NewRun): Story
  claim(process: string, id: string, token: number, from?: ItemState): Story
  takeOver(process: string, id: string, token: number): Story
  settle(process: string, id: string, token: number, to: SettledState, more?: SettleMore): Story
  send(process: string, call: number, id: string, endpoint?: string): Story
  answer(process: string, call: number, id: string, end: Answer): Story
  effect(id: string, key: string, more?: { call?: number; repeatable?: boolean }): Story
  event(process: string, event: Omit<HoldfastEvent, 'atMs'> & Record<string, unknown>): Story
}

interface SettleMore extends Pick<Partial<Settlement>, 'effect' | 'gate' | 'deferral'> {
  readonly attempt?: Partial<AttemptRecord>
  readonly receipt?: SettleReceipt
}

interface Answer {
  readonly status?: number
  readonly fault?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly endpoint?: string
}

export function tell(make: CheckFactory, scenario: Scenario = STORY_SCENARIO): Story {
  const violations: string[] = []
  const items = createItemAccount(scenario)
  const check = make({
    scenario,
    followItems: items.follow,
    violated: (message) => void violations.push(message),
  })
  let no = 0
  let nowMs = 0

  function fact(body: FactBody): Story {
    const told = { no: ++no, atMs: nowMs, ...body } as Fact
    items.observe(told)
    check.observe?.(told)
    return story
  }

  function store(process: string, method: StoreFact['method'], request: unknown[], result: unknown): Story {
    return fact({ kind: 'store', process, method, request, result, refused: undefined, heard: true } as StoreFact)
  }

  const story: Story = {
    violations,
    check,
    at(ms) {
      nowMs = ms
      return story
    },
    fact,
    store,
    submit: (run) => store('m1#1', 'submit', [[run]], [{ outcome: 'accepted', runId: run.id }]),
    claim: (process, id, token, from = 'queued') =>
      store(process, 'claim', [leaseRequest(nowMs)], [claimedItem(id, token, from)]),
    takeOver: (process, id, token) =>
      store(process, 'reclaimExpired', [leaseRequest(nowMs)], [claimedItem(id, token, 'processing')]),
    settle(process, id, token, to, { attempt, receipt, ...more } = {}) {
      const settlement = {
        itemId: id,
        tenant: 'default',
        token,
        to,
        ...more,
        ...(attempt && { attempt: tried(attempt) }),
      }
      const answer = receipt ?? { outcome: 'settled', state: to.state, queued: [] }
      return store(process, 'settle', [[settlement], START_MS + nowMs], [answer])
    },
    send: (process, call, itemId, endpoint = 'POST /records') =>
      fact({
        kind: 'sent',
        process,
        call,
        itemId,
        api: 'crm',
        endpoint,
        ...SENT,
        method: endpoint.split(' ')[0] as string,
      }),
    answer: (process, call, itemId, { status, fault, headers = {}, endpoint = 'POST /records' }) =>
      fact({ kind: 'answered', process, call, itemId, api: 'crm', endpoint, status, fault, headers }),
    effect: (itemId, key, { call, repeatable = false } = {}) =>
      fact({ kind: 'effect', api: 'crm', route: 'POST /records', key, itemId, repeatable, call }),
    event: (process, event) =>
      fact({ kind: 'event', process, event: { atMs: START_MS + nowMs, ...event } as HoldfastEvent }),
  }
  return story
}

const SENT = { path: '/records', idempotencyKey: undefined }

/** A run of the pipeline of that name; its items are `<id>.do`. */
export function runOf(pipeline: string, id: string, more: Partial<NewRun> = {}): NewRun {
  const steps = STORY_SCENARIO.pipelines.find(({ name }) => name === pipeline)?.steps ?? []
  return {
    id,
    tenant: 'default',
    pipeline,
    key: id,
    input: JSON.stringify({ id, entity: 'acme' }),
    inputFingerprint: 'same',
    labels: {},
    batch: 'default',
    correlationId: id,
    createdAtMs: START_MS,
    items: steps.map(({ name, after, optional }) => ({
      step: name,
      lane: 'crm/default',
      endpoint: 'POST /records',
      after,
      dueAtMs: START_MS,
      optional,
    })),
    ...more,
  }
}

export const SUCCEEDED: SettledState = { state: 'succeeded', output: 'null' }
export const DEAD_LETTER = { fingerprint: 'f', summary: 'It failed.', hint: 'Look.', cause: 'data' } as const

export function dead(reason = 'failed'): SettledState {
  return { state: 'dead_lettered', reason, deadLetter: DEAD_LETTER }
}

export function retrying(dueAtMs: number): SettledState {
  return { state: 'retrying', dueAtMs: START_MS + dueAtMs, reason: 'once more' }
}

export function unknown(): SettledState {
  return { state: 'unknown_outcome', reason: 'it may have happened', deadLetter: DEAD_LETTER }
}

export function tried(more: Partial<AttemptRecord>): AttemptRecord {
  return { startedAtMs: START_MS, endedAtMs: START_MS, outcome: 'failed', counts: true, ...more }
}

function leaseRequest(nowMs: number) {
  return { workerId: 'w', nowMs: START_MS + nowMs, leaseUntilMs: START_MS + nowMs + 10_000, channels: [], limit: 10 }
}

function claimedItem(id: string, token: number, from: ItemState): Partial<ClaimedItem> {
  return { itemId: id, token, from, lane: 'crm/default', tenant: 'default' }
}

/** A view whose ledger answers only what a test gives it. */
export function viewOf(
  ledger: Partial<WorldView['ledger']>,
  spectator: Partial<WorldView['spectator']['operations']> = {},
): WorldView {
  return {
    scenario: STORY_SCENARIO,
    nowMs: 0,
    ledger: ledger as WorldView['ledger'],
    spectator: { operations: spectator as WorldView['spectator']['operations'] },
    effects: new Map(),
  }
}
