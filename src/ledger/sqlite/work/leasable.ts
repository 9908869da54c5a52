/** An item joined with its run, as a claim reads it. */
import type { ItemState } from '../../../core/item-state.ts'

/** What only items have that were claimed before. */
export interface Past {
  readonly attempts: number
  readonly deferrals: number
  readonly crashes: number
  readonly replays: number
  /** Attempts on record. */
  readonly recorded: number
  readonly edits: number
  readonly attemptsBeforeBudget: number
  readonly budgetFromMs: number | null
  readonly slowLaneTries: number
  readonly firstAttemptAtMs: number | null
  readonly cancelReason: string | null
  readonly fingerprint: string | null
  readonly memo: string | null
}

export interface Leasable {
  readonly no: number
  readonly run: number
  readonly step: string
  /** Before it is leased. */
  readonly state: ItemState
  readonly book: number
  readonly dueAtMs: number | null
  readonly token: number
  readonly past: Past
  readonly optional: number
  readonly after: string | null
  readonly dependents: string | null
  readonly runId: string
  readonly flow: number
  /** `null`: the run's id. */
  readonly key: string | null
  readonly input: string
  /** `null`: none. */
  readonly labels: string | null
  /** `null`: the run's id. */
  readonly correlationId: string | null
  readonly createdAtMs: number
  /** `null`: none. */
  readonly entity: number | null
}

/** In the order of {@link LeasableTuple}. Each column costs as it is read: the past is one, and NULL where there is none. */
export const LEASABLE_COLUMNS = `i.no, i.run, i.step, i.state, i.book, i.due_at_ms, i.lease_token,
  CASE WHEN i.lease_token > 0 THEN json_array(i.attempts, i.deferrals, i.crashes, i.replays, i.recorded, i.edits,
    i.attempts_before_budget, i.budget_from_ms, i.slow_lane_tries, i.first_attempt_at_ms, i.cancel_reason, i.fingerprint,
    i.memo) END,
  i.optional, i."after", i.dependents, r.id, r.flow, r.key, r.input, r.labels, r.correlation_id, r.created_at_ms, i.entity`

/** A plain array: the driver's row objects cost twice as much, on the hottest of all queries. */
export type LeasableTuple = readonly [
  no: number,
  run: number,
  step: string,
  state: ItemState,
  book: number,
  dueAtMs: number | null,
  token: number,
  past: string | null,
  optional: number,
  after: string | null,
  dependents: string | null,
  runId: string,
  flow: number,
  key: string | null,
  input: string,
  labels: string | null,
  correlationId: string | null,
  createdAtMs: number,
  entity: number | null,
]

type PastTuple = readonly [
  attempts: number,
  deferrals: number,
  crashes: number,
  replays: number,
  recorded: number,
  edits: number,
  attemptsBeforeBudget: number,
  budgetFromMs: number | null,
  slowLaneTries: number,
  firstAttemptAtMs: number | null,
  cancelReason: string | null,
  fingerprint: string | null,
  memo: string | null,
]

const NO_PAST: Past = toPast([0, 0, 0, 0, 0, 0, 0, null, 0, null, null, null, null])

export function toLeasable(tuple: LeasableTuple): Leasable {
  const past = tuple[7]
  return {
    no: tuple[0],
    run: tuple[1],
    step: tuple[2],
    state: tuple[3],
    book: tuple[4],
    dueAtMs: tuple[5],
    token: tuple[6],
    past: past === null ? NO_PAST : toPast(JSON.parse(past) as PastTuple),
    optional: tuple[8],
    after: tuple[9],
    dependents: tuple[10],
    runId: tuple[11],
    flow: tuple[12],
    key: tuple[13],
    input: tuple[14],
    labels: tuple[15],
    correlationId: tuple[16],
    createdAtMs: tuple[17],
    entity: tuple[18],
  }
}

function toPast(tuple: PastTuple): Past {
  return {
    attempts: tuple[0],
    deferrals: tuple[1],
    crashes: tuple[2],
    replays: tuple[3],
    recorded: tuple[4],
    edits: tuple[5],
    attemptsBeforeBudget: tuple[6],
    budgetFromMs: tuple[7],
    slowLaneTries: tuple[8],
    firstAttemptAtMs: tuple[9],
    cancelReason: tuple[10],
    fingerprint: tuple[11],
    memo: tuple[12],
  }
}
