/** The port over a pool of connections: each write a transaction, what can be written together in one. */
import type { Clock } from '../../core/clock.ts'
import { whereDue } from '../hints.ts'
import { assertRuns } from '../new-runs.ts'
import type { Ledger, NewRun, SubmitReceipt } from '../port.ts'
import { prepareActions } from './actions.ts'
import { prepareAudit } from './audit.ts'
import { readBalance } from './balance.ts'
import { prepareClaims } from './claim.ts'
import { createCoalescer } from './coalesce.ts'
import { prepare } from './connection.ts'
import { prepareDependents } from './dependents.ts'
import type { PostgresClient } from './driver.ts'
import { prepareEffects } from './effects.ts'
import { hasState, storeClosed } from './errors.ts'
import { prepareHealth } from './health.ts'
import { prepareJobs } from './jobs.ts'
import { createJoining } from './joining.ts'
import { createKnownRuns } from './known-runs.ts'
import { prepareLanes } from './lanes.ts'
import type { Names } from './names.ts'
import { prepareOperators } from './operators.ts'
import { createPartitions } from './partitions.ts'
import { prepareReading } from './read.ts'
import { prepareRecode } from './recode.ts'
import { prepareRetain } from './retain.ts'
import { prepareSettle } from './settle.ts'
import { createExpectation, createStanding, type Expectation } from './standing.ts'
import { type Accepted, allAccepted, isOrdered, MOST_ALONE, prepareSubmit, type Submit } from './submit.ts'
import type { Transactor } from './transact.ts'
import { prepareTurns } from './turns.ts'
import { prepareWake } from './wake.ts'
import type { Watcher } from './watch.ts'
import { createWork } from './work.ts'

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

/** Two, so that one group is sent while the disk is busy with the other. */
const MOST_UNDER_WAY = 2
const LARGEST_GROUP = 1000
const UNIQUE_VIOLATION = '23505'

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
  const submits = createSubmits(parts, { submit, reach: partitions.reach, expectation })
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
  watcher.onLeased(standing.leased)
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

interface SubmitsParts {
  readonly submit: Submit
  readonly reach: (newestRun: number) => void
  readonly expectation: Expectation
}

function createSubmits({ clock, transactor, watcher }: LedgerParts, { submit, reach, expectation }: SubmitsParts) {
  /** Runs without keys are new, unless somebody gives ids twice: they are written, and only then looked at. */
  async function write(runs: readonly NewRun[]): Promise<Accepted> {
    const [run, ...others] = runs
    const awaited = run && others.length === 0 ? await acceptAwaited(run) : undefined
    if (awaited) return awaited
    const ordered = runs.some(isOrdered)
    if (!ordered && runs.every((run) => run.key === undefined)) {
      try {
        const behind = () => watcher.announcement(whereDue(runs))
        if (runs.length <= MOST_ALONE) return await submit.acceptAlone(runs, behind)
        return await transactor.write((session) => submit.acceptNew(session, runs), {
          foreseen: allAccepted(runs),
          behind,
        })
      } catch (error) {
        if (!hasState(error, UNIQUE_VIOLATION)) throw error
      }
    }
    return transactor.write((session) => submit.accept(session, runs), {
      // Places are looked up in tables of any size.
      joins: ordered ? 'index' : 'hash',
      behind: ({ newestRun }) => (newestRun > 0 ? watcher.announcement(whereDue(runs)) : undefined),
    })
  }

  /** Somebody may be waiting for it. */
  async function acceptAwaited(run: NewRun): Promise<Accepted | undefined> {
    const told = submit.told(run)
    if (told === undefined || !expectation.mayBe(run)) return undefined
    const accepted = await submit.acceptAwaited(run, told)
    const [receipt] = accepted?.receipts ?? []
    if (receipt?.outcome !== 'accepted') return undefined
    if (!receipt.isLeased) {
      expectation.nobody(run)
      watcher.announce(whereDue([run]))
    }
    return accepted
  }

  return createCoalescer<readonly NewRun[], SubmitReceipt[]>({
    clock,
    mostUnderWay: MOST_UNDER_WAY,
    largestGroup: LARGEST_GROUP,
    weightOf: (runs) => runs.length,
    async write(jobs) {
      const runs = jobs.flat()
      await submit.prepareNames(runs)
      const accepted = await write(runs)
      reach(accepted.newestRun)
      return apportioned(accepted.receipts, jobs)
    },
  })
}

/** The receipts of a group, to each job its own. */
function apportioned<Receipt>(receipts: readonly Receipt[], jobs: readonly { readonly length: number }[]): Receipt[][] {
  let start = 0
  return jobs.map(({ length }) => {
    start += length
    return receipts.slice(start - length, start)
  })
}
