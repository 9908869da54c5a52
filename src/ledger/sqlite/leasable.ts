/** An item joined with its run, as a claim reads it. */
import type { ItemState } from '../../core/item-state.ts'

export interface Leasable {
  readonly no: number
  readonly run: number
  readonly step: string
  /** Before it is leased. */
  readonly state: ItemState
  readonly book: number
  readonly dueAtMs: number | null
  readonly token: number
  readonly attempts: number
  readonly deferrals: number
  readonly crashes: number
  readonly replays: number
  readonly recorded: number
  readonly edits: number
  readonly attemptsBeforeBudget: number
  readonly budgetFromMs: number | null
  readonly slowLaneTries: number
  readonly firstAttemptAtMs: number | null
  readonly optional: number
  readonly cancelReason: string | null
  readonly fingerprint: string | null
  readonly after: string | null
  readonly dependents: string | null
  readonly memo: string | null
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
}

/** In the order of {@link LeasableTuple}. */
export const LEASABLE_COLUMNS = `i.no, i.run, i.step, i.state, i.book, i.due_at_ms, i.lease_token, i.attempts, i.deferrals,
  i.crashes, i.replays, i.recorded, i.edits, i.attempts_before_budget, i.budget_from_ms, i.slow_lane_tries,
  i.first_attempt_at_ms, i.optional, i.cancel_reason, i.fingerprint, i."after", i.dependents, i.memo, r.id, r.flow, r.key,
  r.input, r.labels, r.correlation_id, r.created_at_ms`

/** A plain array: for this many columns the driver's row objects cost twice as much, on the hottest of all queries. */
export type LeasableTuple = readonly [
  no: number,
  run: number,
  step: string,
  state: ItemState,
  book: number,
  dueAtMs: number | null,
  token: number,
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
  optional: number,
  cancelReason: string | null,
  fingerprint: string | null,
  after: string | null,
  dependents: string | null,
  memo: string | null,
  runId: string,
  flow: number,
  key: string | null,
  input: string,
  labels: string | null,
  correlationId: string | null,
  createdAtMs: number,
]

export function toLeasable(tuple: LeasableTuple): Leasable {
  return {
    no: tuple[0],
    run: tuple[1],
    step: tuple[2],
    state: tuple[3],
    book: tuple[4],
    dueAtMs: tuple[5],
    token: tuple[6],
    attempts: tuple[7],
    deferrals: tuple[8],
    crashes: tuple[9],
    replays: tuple[10],
    recorded: tuple[11],
    edits: tuple[12],
    attemptsBeforeBudget: tuple[13],
    budgetFromMs: tuple[14],
    slowLaneTries: tuple[15],
    firstAttemptAtMs: tuple[16],
    optional: tuple[17],
    cancelReason: tuple[18],
    fingerprint: tuple[19],
    after: tuple[20],
    dependents: tuple[21],
    memo: tuple[22],
    runId: tuple[23],
    flow: tuple[24],
    key: tuple[25],
    input: tuple[26],
    labels: tuple[27],
    correlationId: tuple[28],
    createdAtMs: tuple[29],
  }
}
