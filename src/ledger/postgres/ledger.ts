/** The port over a pool of connections: each write a transaction, what can be written together in one. */
import type { Clock } from '../../core/clock.ts'
import { assertRuns } from '../new-runs.ts'
import type { Ledger } from '../port.ts'
import { createJoining } from './intake/joining.ts'
import type { Names } from './intake/names.ts'
import { prepareSubmit } from './intake/submit.ts'
import { createSubmits } from './intake/submits.ts'
import { prepareActions } from './people/actions.ts'
import { prepareJobs } from './people/jobs.ts'
import { prepareOperators } from './people/operators.ts'
import { prepareAudit } from './reading/audit.ts'
import { readBalance } from './reading/balance.ts'
import { prepareReading } from './reading/read.ts'
import { createPartitions } from './schema/partitions.ts'
import { prepare } from './transactions/connection.ts'
import type { PostgresClient } from './transactions/driver.ts'
import { storeClosed } from './transactions/errors.ts'
import type { Transactor } from './transactions/transact.ts'
import { prepareRecode } from './upkeep/recode.ts'
import { prepareRetain } from './upkeep/retain.ts'
import { prepareClaims } from './work/claim.ts'
import { prepareDependents } from './work/dependents.ts'
import { prepareEffects } from './work/effects.ts'
import { prepareHealth } from './work/health.ts'
import { createKnownRuns } from './work/known-runs.ts'
import { prepareLanes } from './work/lanes.ts'
import { prepareSettle } from './work/settle.ts'
import { createExpectation, createStanding } from './work/standing.ts'
import { prepareTurns } from './work/turns.ts'
import { prepareWake } from './work/wake.ts'
import type { Watcher } from './work/watch.ts'
import { createWork } from './work/work.ts'

export interface LedgerParts {
  /** Quoted. */
  readonly schema: string
  readonly description: string
  readonly clock: Clock
  readonly transactor: Transactor
  readonly names: Names
  readonly watcher: Watcher
  /** What is notified. */
  readonly channel: string
  /** The number of this process. */
  readonly writer: number
  /** After everything else has ended. */
  readonly closePool: () => Promise<void>
}

/** What a store on a server can do beside the port. */
export interface ServerLedger extends Ledger {
  /**
   * `submit` as part of the transaction that `client` has open: what is submitted is there when that is committed.
   * @throws HoldfastError `no_transaction`, `invalid_run`, `store_*`. The transaction can go on after the first two.
   */
  joining(client: PostgresClient): Pick<Ledger, 'submit'>
  /** The server's clock: the one that all who share the store go by. */
  serverTimeMs(): Promise<number>
}

export function createLedger(parts: LedgerParts): ServerLedger {
  const { schema: s, description, clock, transactor, names, watcher } = parts
  const { read, probe, write } = transactor
  const partitions = createPartitions(s, transactor)
  const turns = prepareTurns(s, prepareDependents(s))
  const effects = prepareEffects(s)
  const lanes = prepareLanes(s)
  const health = prepareHealth(s)
  const operators = prepareOperators(s, { effects, turns })
  const knownRuns = createKnownRuns()
  const claims = prepareClaims(s, transactor, { names, knownRuns })
  const wake = prepareWake(s)
  const actions = prepareActions(s)
  const jobs = prepareJobs(s)
  const retain = prepareRetain(s)
  const recoding = prepareRecode(s)
  const reading = prepareReading(s)
  const audit = prepareAudit(s)
  const submit = prepareSubmit(s, { ...parts, turns })
  const expectation = createExpectation(clock)
  const submits = createSubmits({ ...parts, submit, reach: partitions.reach, expectation })
  const work = createWork({
    ...parts,
    claims,
    settle: prepareSettle(s, { effects, lanes, knownRuns, turns }),
    knownRuns,
    announcement: watcher.announcement,
  })
  const selectTime = prepare<{ now_ms: number }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now_ms`,
  )
  const standing = createStanding({ ...parts, knownRuns, listener: watcher.listener, expectation })
  watcher.onLeased((run) => void standing.leased(run))
  let closing: Promise<void> | undefined

  /** For what may have made work due. */
  async function announced<Result>(writing: Promise<Result>): Promise<Result> {
    const result = await writing
    watcher.announce()
    return result
  }

  function assertOpen(): void {
    if (closing) throw storeClosed(description)
  }

  async function closeAll(): Promise<void> {
    await Promise.all([submits.idle(), work.idle(), partitions.idle()])
    await watcher.stop()
    await transactor.close()
    await parts.closePool()
  }

  return {
    description,
    submit: async (runs) => {
      assertOpen()
      assertRuns(runs)
      return runs.length === 0 ? [] : submits.add(runs)
    },
    channels: claims.channels,
    countDue: claims.countDue,
    claim: async (request) => {
      assertOpen()
      return work.claim(request)
    },
    standClaim: standing.leave,
    reclaimExpired: claims.reclaimExpired,
    extendLeases: claims.extendLeases,
    settle: async (settlements, nowMs) => {
      assertOpen()
      return settlements.length === 0 ? [] : work.settle(settlements, nowMs)
    },
    beginEffects: (begun, nowMs) => write((session) => effects.begin(session, begun, nowMs)),
    endEffects: (ended) => write((session) => effects.end(session, ended)),
    closeGates: (gates) => write((session) => lanes.closeGates(session, gates)),
    openGates: (opened) => announced(write((session) => lanes.openGates(session, opened))),
    suspendLanes: (suspensions) => write((session) => lanes.suspend(session, suspensions)),
    resumeLanes: (resumed) => announced(write((session) => lanes.resume(session, resumed))),
    lanes: () => probe(lanes.all),
    readHealth: (sinceRevision) => read((session) => health.changedSince(session, sinceRevision)),
    updateHealth: (changes, nowMs) => write((session) => health.update(session, changes, nowMs)),
    replay: (orders, nowMs) => announced(write((session) => operators.replay(session, orders, nowMs))),
    discard: (orders, nowMs) => announced(write((session) => operators.discard(session, orders, nowMs))),
    cancel: (orders, nowMs) => announced(write((session) => operators.cancel(session, orders, nowMs))),
    resolve: (orders, nowMs) => announced(write((session) => operators.resolve(session, orders, nowMs))),
    wake: (request, nowMs) => announced(write((session) => wake(session, request, nowMs))),
    recordActions: (recorded) => write((session) => actions.record(session, recorded)),
    actions: (filter, page) => read((session) => actions.list(session, filter, page)),
    updateJob: (change) => write((session) => jobs.update(session, change)),
    jobs: (filter, page) => read((session) => jobs.list(session, filter, page)),
    writeJobMembers: (jobId, members) => write((session) => jobs.writeMembers(session, jobId, members)),
    jobItems: (jobId, request) => read((session) => jobs.items(session, jobId, request)),
    jobTallies: (jobId, range) => read((session) => jobs.tallies(session, jobId, range)),
    run: (runId) => read((session) => reading.run(session, runId)),
    item: (itemId) => read((session) => reading.item(session, itemId)),
    items: (filter, page) => read((session) => reading.items(session, filter, page)),
    groups: (filter) => read((session) => reading.groups(session, filter)),
    failures: (sinceMs) => read((session) => reading.failures(session, sinceMs)),
    balance: (filter) => probe((session) => readBalance(session, s, filter)),
    audit: () => transactor.snapshot(audit),
    async retain(request) {
      const forgotten = await write((session) => retain.forget(session, request))
      await write((session) => retain.tidy(session, clock.wallMs()))
      await partitions.dropEmpty()
      return forgotten
    },
    recode: (scope, rewrite) => write((session) => recoding.recode(session, scope, rewrite)),
    scrub: () => read(recoding.scrub),
    watch: (listener) => watcher.watch(listener),
    joining: createJoining({ schema: s, description, submit, reach: partitions.reach }),
    async serverTimeMs() {
      const [row] = await read((session) => session.rows(selectTime))
      return row?.now_ms ?? Number.NaN
    },
    close: () => {
      closing ??= closeAll()
      return closing
    },
  }
}
