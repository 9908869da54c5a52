/**
 * Ways to break what Holdfast promises, each a small change that a tired person could make. The simulator must catch every
 * one of them within a minute.
 */
export interface Sabotage {
  readonly name: string
  readonly file: string
  /** Each text must be there exactly once: where the code has moved, the sabotage must move with it. */
  readonly changes: readonly { readonly from: string; readonly to: string }[]
  /** That must be violated. */
  readonly check: string
  /** The seed that catches it; where draws have changed since, one soon after it. */
  readonly seed: number
}

export const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'the fence on settlement is dropped',
    file: 'src/ledger/sqlite/work/settle.ts',
    changes: [
      { from: 'i.lease_token = ? AND i.lease IS NOT NULL', to: '? IS NOT NULL' },
      { from: "lease_token = ? AND lease = ?'", to: "? IS NOT NULL AND ? IS NOT 0'" },
      { from: 'lease_token = ?11 AND lease = ?12', to: '?11 IS NOT NULL AND ?12 IS NOT 0' },
    ],
    check: 'one settlement per lease',
    seed: 23,
  },
  {
    name: 'an unsafe POST is retried after a lost answer',
    file: 'src/policy/retry/retry.ts',
    changes: [
      { from: "if (failure.certainty !== 'not_sent' && (!repeatable || failure.keySpent))", to: 'if (!failure)' },
    ],
    check: 'no effect twice',
    seed: 2,
  },
  {
    name: 'a wake-up is lost: the timer of the next due time is not set again',
    file: 'src/engine/worker/worker.ts',
    changes: [{ from: 'timer = undefined\n    turnMissed = false', to: 'turnMissed = false' }],
    check: 'workers keep looking',
    seed: 5,
  },
  {
    name: 'an item succeeds before its effect is there',
    file: 'src/engine/execution/execute-request.ts',
    changes: [
      {
        from: 'const result = await makeAttempt(call, parts.attempt)',
        to: "const sending = makeAttempt(call, parts.attempt)\n  if (item.token === 1) return succeededRequest(execution, call, 'null', 200, operation)\n  const result = await sending",
      },
    ],
    check: 'effects are as recorded',
    seed: 1,
  },
  {
    name: 'a refusal by a breaker is counted as an attempt',
    file: 'src/engine/execution/verdict.ts',
    changes: [
      {
        from: "return { ...fence(item), to: { state: 'parked', dueAtMs: untilMs, reason }, deferral: true }",
        to: "return { ...fence(item), to: { state: 'parked', dueAtMs: untilMs, reason }, attempt: { startedAtMs: untilMs, endedAtMs: untilMs, outcome: 'failed', counts: true } }",
      },
    ],
    check: 'attempts are counted right',
    seed: 1,
  },
  {
    name: 'the lease of a probe is forgotten',
    file: 'src/policy/breaker/breaker.ts',
    changes: [{ from: "phase: 'half_open', probes, changedAtMs", to: "phase: 'half_open', probes: [], changedAtMs" }],
    check: 'breakers are kept',
    seed: 101,
  },
  {
    name: 'a Retry-After is shortened',
    file: 'src/policy/retry/backoff.ts',
    changes: [{ from: 'Math.max(0, retryAfterMs)', to: 'Math.max(0, retryAfterMs / 2)' }],
    check: 'gates are obeyed',
    seed: 3,
  },
  {
    name: 'a whole lane is released at once after an outage',
    file: 'src/policy/breaker/breaker.ts',
    changes: [{ from: "rampMs(settings) > 0 ? 'ramping' : 'closed'", to: "'closed'" }],
    check: 'breakers are kept',
    seed: 104,
  },
  {
    name: 'an exception in the worker loop is swallowed',
    file: 'src/engine/worker/worker.ts',
    changes: [{ from: '} catch (error) {\n      reportBroken(claim, error)', to: '} catch {\n      return' }],
    check: 'everything ends, or needs a person',
    seed: 77,
  },
  {
    name: 'a lease token is used again',
    file: 'src/ledger/sqlite/work/leasing.ts',
    changes: [
      { from: 'lease_token = lease_token + 1, updated_at_ms = ?2', to: 'lease_token = 1, updated_at_ms = ?2' },
      { from: 'lease_token = lease_token + 1, updated_at_ms = ?,', to: 'lease_token = 1, updated_at_ms = ?,' },
      { from: 'remember(itemId, {\n      token: row.token + 1', to: 'remember(itemId, {\n      token: 1' },
      { from: 'tenant,\n      token: row.token + 1', to: 'tenant,\n      token: 1' },
    ],
    check: 'one settlement per lease',
    seed: 1,
  },
  {
    name: 'a call counts from when it was decided on, not from when it is surely there',
    file: 'src/client/health/lane-limits.ts',
    changes: [
      {
        from: 'settleStarts(limit, Math.min(nowMs, startedMs + deliveryMs(limit.rate)), 1)',
        to: 'settleStarts(limit, startedMs, 1)',
      },
      {
        from: 'of limit.underWay) settleStarts(limit, startedMs + deliveryMs(limit.rate), count)',
        to: 'of limit.underWay) settleStarts(limit, startedMs, count)',
      },
    ],
    check: 'limits are kept',
    seed: 9,
  },
  {
    name: 'what a process that is gone may have started is forgotten',
    file: 'src/policy/limiter/limiter-slots.ts',
    changes: [{ from: 'return uncertain > 0 ?', to: 'return uncertain > rate.limit ?' }],
    check: 'limits are kept',
    seed: 160,
  },
  {
    name: 'a new item does not wait for its turn',
    file: 'src/ledger/turns.ts',
    changes: [{ from: 'item.after.length + (item.turn ? 1 : 0)', to: 'item.after.length' }],
    check: 'order is kept',
    seed: 31,
  },
  {
    name: 'an older value that comes late is taken for a new one',
    file: 'src/ledger/turns.ts',
    changes: [{ from: 'isOlderVersion(version, newest)', to: 'isOlderVersion(newest, newest)' }],
    check: 'order is kept',
    seed: 31,
  },
  {
    name: 'an undoing that must not be repeated is sent again after a lost answer',
    file: 'src/engine/pipelines/undo-pipeline.ts',
    changes: [{ from: '...(idempotency && { idempotency }),', to: "idempotency: idempotency ?? { kind: 'safe' }," }],
    check: 'no effect twice',
    seed: 80,
  },
  {
    name: 'what was not done is undone',
    file: 'src/engine/operations/undo-plan.ts',
    changes: [
      {
        from: "items.filter((item) => item.state === 'succeeded').map((item) => item.step)",
        to: 'items.map((item) => item.step)',
      },
    ],
    check: 'undone as promised',
    seed: 1,
  },
  {
    name: 'a step is undone before what was built on it',
    file: 'src/engine/operations/undo-plan.ts',
    changes: [{ from: '.filter((later) => isNeeded(step, later, needs))', to: '.filter(() => false)' }],
    check: 'undone as promised',
    seed: 1,
  },
  {
    name: 'a failure that another process left behind is never undone',
    file: 'src/engine/operations/undo.ts',
    changes: [{ from: '    sweepLater(0)\n', to: '' }],
    check: 'undone as promised',
    seed: 9,
  },
  {
    name: 'a job does not wait for its canary',
    file: 'src/engine/jobs/runner.ts',
    changes: [{ from: 'if (!proven && canary > 0) {', to: 'if (!proven && canary > put) {' }],
    check: 'jobs do as asked',
    seed: 56,
  },
  {
    name: 'a claim that stands is given more than its lane may have',
    file: 'src/ledger/sqlite/work/standing.ts',
    changes: [{ from: 'limit: place.room }]', to: 'limit: place.room, laneConcurrency: 1000 }]' }],
    check: 'limits are kept',
    seed: 12,
  },
  {
    name: 'what a submit has leased is told twice',
    file: 'src/engine/worker/standing-claim.ts',
    changes: [{ from: 'onLeased(items, Math', to: 'onLeased([...items, ...items], Math' }],
    check: 'attempts are counted right',
    seed: 2,
  },
]
