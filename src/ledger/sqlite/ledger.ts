/** The port over one SQLite connection: every write through the group commit, every read directly. */
import type { Clock } from '../../core/clock.ts'
import { assertRuns } from '../new-runs.ts'
import type { Ledger } from '../port.ts'
import { storeClosed } from '../store-errors.ts'
import { createNames } from './intake/names.ts'
import { prepareSubmit } from './intake/submit.ts'
import { prepareActions } from './people/actions.ts'
import { prepareJobs } from './people/jobs.ts'
import { prepareOperators } from './people/operators.ts'
import { auditStore } from './reading/audit.ts'
import { readBalance } from './reading/balance.ts'
import { listGroups } from './reading/groups.ts'
import { prepareReading } from './reading/read.ts'
import { listFailures } from './reading/tallies.ts'
import { connect, type Database } from './transactions/connection.ts'
import { storeError } from './transactions/errors.ts'
import { isInMemory } from './transactions/memory.ts'
import { createWriter } from './transactions/writer.ts'
import { prepareRecode, scrub } from './upkeep/recode.ts'
import { prepareRetain } from './upkeep/retain.ts'
import { prepareAttempts } from './work/attempts.ts'
import { prepareClaims } from './work/claim.ts'
import { prepareDependents } from './work/dependents.ts'
import { prepareEffects } from './work/effects.ts'
import { prepareFailures } from './work/failures.ts'
import { prepareHealth } from './work/health.ts'
import { createKnownLeases } from './work/known-leases.ts'
import { prepareLanes } from './work/lanes.ts'
import { prepareLeases } from './work/leases.ts'
import { prepareLeasing } from './work/leasing.ts'
import { preparePlaces } from './work/places.ts'
import { prepareSettle } from './work/settle.ts'
import { createStanding, type StandingClaims } from './work/standing.ts'
import { createTally } from './work/tally.ts'
import { prepareTurns } from './work/turns.ts'
import { prepareWake } from './work/wake.ts'
import { createWatcher, prepareVersion } from './work/watch.ts'

export interface LedgerParts {
  readonly database: Database
  /** A file, or `:memory:`. */
  readonly path: string
  readonly clock: Clock
  readonly busyTimeoutMs: number
  readonly watchEveryMs: number
  /** How long one statement may block the thread while another process writes. */
  readonly busyWaitMs: number
  readonly shared?: Shared
}

/** Where other ledgers use the connection too: closing one of them leaves it open. */
export interface Shared {
  /** Of all of them, for `watch`. */
  commits: number
  /** What one of them submits is leased to workers of the others too. */
  readonly standing: StandingClaims
}

/** How long an audit runs before other work gets its turn. */
const AUDIT_STRETCH_MS = 20

export function createLedger(parts: LedgerParts): Ledger {
  const { database, clock } = parts
  const description = `sqlite:${parts.path}`
  const tally = createTally(database)
  const names = createNames(database)
  const failures = prepareFailures(database)
  const attempts = prepareAttempts(database, failures)
  const known = createKnownLeases()
  const lanes = prepareLanes(database)
  const effects = prepareEffects(database)
  const health = prepareHealth(database)
  const places = preparePlaces(database, tally)
  const dependents = prepareDependents(database, tally, places)
  const turns = prepareTurns(database, { dependents, places, tally })
  const submitting = prepareSubmit(database, { names, tally, turns })
  const leases = prepareLeases(database)
  const leasing = prepareLeasing(database, { attempts, known, leases, names, tally })
  const claims = prepareClaims(database, { names, leases, leasing })
  const settle = prepareSettle({ database, attempts, effects, known, lanes, leases, tally, turns })
  const operators = prepareOperators(database, { effects, tally, turns })
  const wake = prepareWake(database, tally)
  const actions = prepareActions(database)
  const jobs = prepareJobs(database)
  const retain = prepareRetain(database, failures, tally)
  const recode = prepareRecode(database, failures)
  const reading = prepareReading(database, attempts)
  const { shared } = parts
  const standing = createStanding({ clock, claims, standing: shared?.standing ?? new Map() })
  let ownCommits = 0
  const version = shared ? () => shared.commits - ownCommits : prepareVersion(database)
  const watcher = createWatcher(version, clock, parts.watchEveryMs)
  const writer = createWriter({
    database,
    clock,
    store: description,
    busyTimeoutMs: parts.busyTimeoutMs,
    beforeCommit: () => {
      submitting.beforeCommit()
      standing.lease()
      tally.write()
      leases.write()
      failures.endTransaction()
      ownCommits += 1
      if (shared) shared.commits += 1
    },
    afterCommit: standing.afterCommit,
    afterRollback: () => {
      standing.afterRollback()
      tally.drop()
      leases.drop()
      submitting.afterRollback()
      failures.forget()
      names.forget()
      known.forget()
    },
  })

  let isClosed = false

  /** Everything but `submit`. */
  function write<Result>(work: () => Result): Promise<Result> {
    return writer.write(() => {
      submitting.writeItems()
      return work()
    })
  }

  /** Reads see what is committed; a promise that was resolved is. */
  async function read<Result>(work: () => Result): Promise<Result> {
    if (isClosed || !database.isOpen) throw storeClosed(description)
    try {
      return work()
    } catch (error) {
      throw storeError(error, description)
    }
  }

  async function closeAll(): Promise<void> {
    watcher.stop()
    standing.stop()
    await writer.close()
    isClosed = true
    if (database.isOpen && !shared) database.close()
  }

  return {
    description,
    // Not async: of the calls that share a commit, each is to hear of it in its turn.
    submit: (runs) => {
      try {
        assertRuns(runs)
      } catch (error) {
        return Promise.reject(error)
      }
      return writer.write(() => standing.submitted(runs, submitting.submit(runs)))
    },
    channels: () => read(claims.channels),
    countDue: (asked, nowMs) => read(() => claims.countDue(asked, nowMs)),
    claim: (request) => write(() => claims.claim(request)),
    standClaim: standing.leave,
    reclaimExpired: (request) => write(() => claims.reclaimExpired(request)),
    extendLeases: (fences, leaseUntilMs) => write(() => claims.extendLeases(fences, leaseUntilMs)),
    settle: (settlements, nowMs) => write(() => settle(settlements, nowMs)),
    beginEffects: (begun, nowMs) => write(() => begun.map((effect) => effects.begin(effect, nowMs))),
    endEffects: (ended) => write(() => effects.endAll(ended)),
    closeGates: (gates) => write(() => gates.forEach(lanes.closeGate)),
    openGates: (opened) => write(() => opened.forEach(lanes.openGate)),
    suspendLanes: (suspensions) => write(() => suspensions.forEach(lanes.suspend)),
    resumeLanes: (resumed) => write(() => resumed.forEach(lanes.resume)),
    lanes: () => read(lanes.all),
    readHealth: (sinceRevision) => read(() => health.changedSince(sinceRevision)),
    updateHealth: (changes, nowMs) => write(() => changes.map((change) => health.update(change, nowMs))),
    replay: (orders, nowMs) => write(() => orders.map((order) => operators.replay(order, nowMs))),
    discard: (orders, nowMs) => write(() => orders.map((order) => operators.discard(order, nowMs))),
    cancel: (orders, nowMs) => write(() => orders.map((order) => operators.cancel(order, nowMs))),
    resolve: (orders, nowMs) => write(() => orders.map((order) => operators.resolve(order, nowMs))),
    wake: (request, nowMs) => write(() => wake(request, nowMs)),
    recordActions: (recorded) => write(() => recorded.forEach(actions.record)),
    actions: (filter, page) => read(() => actions.list(filter, page)),
    updateJob: (change) => write(() => jobs.update(change)),
    jobs: (filter, page) => read(() => jobs.list(filter, page)),
    writeJobMembers: (jobId, members) => write(() => jobs.writeMembers(jobId, members)),
    jobItems: (jobId, request) => read(() => jobs.items(jobId, request)),
    jobTallies: (jobId, range) => read(() => jobs.tallies(jobId, range)),
    run: (runId) => read(() => reading.run(runId)),
    item: (itemId) => read(() => reading.item(itemId)),
    items: (filter, page) => read(() => reading.items(filter, page)),
    groups: (filter) => read(() => listGroups(database, filter)),
    failures: (sinceMs) => read(() => listFailures(database, sinceMs)),
    balance: (filter) => read(() => readBalance(database, filter)),
    audit: async () => {
      if (isClosed || !database.isOpen) throw storeClosed(description)
      return audit(parts, description)
    },
    retain: (request) => write(() => retain(request)),
    recode: (scope, rewrite) => write(() => recode(scope, rewrite)),
    scrub: async () => {
      try {
        await scrub({ ...parts, store: description })
      } catch (error) {
        throw storeError(error, description)
      }
    },
    watch: (listener) => watcher.watch(listener),
    close: closeAll,
  }
}

/**
 * A file is audited through a connection of its own, whose read transaction is the snapshot. A store in memory has only
 * the one connection: it is audited in one go, for in between its rows would change.
 */
async function audit(parts: LedgerParts, description: string): ReturnType<Ledger['audit']> {
  const inMemory = isInMemory(parts.path)
  const { database } = parts
  try {
    if (inMemory) return await auditStore(database, () => undefined)
    using snapshot = connect(parts.path, { busyWaitMs: parts.busyWaitMs, readOnly: true })
    snapshot.exec('BEGIN')
    return await auditStore(snapshot, stretchesOf(parts.clock, AUDIT_STRETCH_MS))
  } catch (error) {
    throw storeError(error, description)
  }
}

/** Lets the event loop go on whenever `stretchMs` have passed. */
function stretchesOf(clock: Clock, stretchMs: number): () => Promise<void> | undefined {
  let sinceMs = clock.monotonicMs()
  return () => {
    if (clock.monotonicMs() - sinceMs < stretchMs) return undefined
    return new Promise((resolve) => {
      clock.nextTurn(() => {
        sinceMs = clock.monotonicMs()
        resolve()
      })
    })
  }
}
