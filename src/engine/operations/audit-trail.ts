/**
 * The trail of what operators did. An action is recorded before it is done, so that none goes unseen whatever happens to the
 * process, and again after, with how it ended.
 */
import type { Clock } from '../../core/clock.ts'
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import { type Json, toJson } from '../../core/json.ts'
import type { Payloads } from '../../ledger/payloads/open-payloads.ts'
import type { ActionRecord, Ledger, OperatorReceipt } from '../../ledger/port.ts'
import type { Actor, EraseRequest, Operations, Selection } from '../api.ts'
import { addressNamed } from '../callbacks/disabled-addresses.ts'

export interface TrailParts {
  readonly ledger: Pick<Ledger, 'recordActions'>
  readonly payloads: Pick<Payloads, 'subjectHash'>
  readonly clock: Clock
  readonly newId: () => string
}

interface Asked {
  readonly what: string
  readonly target: string
  readonly reason?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** Ids and lanes that a record names; the rest is counted. */
const MOST_NAMED = 20

export function onBehalfOf(operations: Operations, parts: TrailParts, actor: Actor): Operations {
  const act = createRecorder(parts, actor)
  return {
    ...operations,
    replay(request) {
      if (request.dryRun) return operations.replay(request)
      const { selection, patch, canary, knownNotApplied } = request
      const details = { ...selectionFacts(selection), patched: patch !== undefined, canary, knownNotApplied }
      return act({ what: 'replay', target: targetOf(selection), details }, operations.replay, [request], (report) => ({
        selected: report.selected,
        replayed: report.replayed,
        refused: report.refused.length,
        stopped: report.stopped,
      }))
    },
    discard: (selection, reason, by) =>
      act(bulk('discard', selection, reason), operations.discard, [selection, reason, by], countReceipts),
    cancel: (selection, reason, by) =>
      act(bulk('cancel', selection, reason), operations.cancel, [selection, reason, by], countReceipts),
    startJob(order) {
      const { what, selection, reason, patch, canary, knownNotApplied } = order
      const details = { ...selectionFacts(selection), patched: patch !== undefined, canary, knownNotApplied }
      const asked = {
        what: `${what}_job`,
        target: targetOf(selection),
        ...(reason !== undefined && { reason }),
        details,
      }
      return act(asked, operations.startJob, [order], (job) => ({ job: job.id, items: job.counts.total }))
    },
    cancelJob: (jobId, reason, by) =>
      act({ what: 'cancel_job', target: jobId, reason }, operations.cancelJob, [jobId, reason, by], (job) => ({
        known: job !== undefined,
        ...job?.counts,
      })),
    resolve: (itemId, verdict, by) =>
      act(
        { what: 'resolve', target: itemId, details: { happened: verdict.happened } },
        operations.resolve,
        [itemId, verdict, by],
        ({ outcome }) => ({ outcome }),
      ),
    suspend: (integration, reason) =>
      act({ what: 'suspend', target: integration, reason }, operations.suspend, [integration, reason], lanesFacts),
    resume: (integration) => act({ what: 'resume', target: integration }, operations.resume, [integration], lanesFacts),
    setCredential: (name, secret) =>
      act({ what: 'set_credential', target: name }, operations.setCredential, [name, secret], lanesFacts),
    refreshCredential: (name) =>
      act(
        { what: 'refresh_credential', target: name },
        operations.refreshCredential,
        [name],
        ({ credential, resumed }) => ({
          version: credential.version,
          ...lanesFacts(resumed),
        }),
      ),
    rotateCredentialKey: () =>
      act({ what: 'rotate_credential_key', target: 'credentials' }, operations.rotateCredentialKey, [], (rotation) => ({
        keyId: rotation.keyId,
        reencrypted: rotation.reencrypted.length,
      })),
    rotatePayloadKey: (options) =>
      act({ what: 'rotate_payload_key', target: 'payloads' }, operations.rotatePayloadKey, [options], (rotation) => ({
        keyId: rotation.keyId,
        changed: rotation.changed,
        isWhole: rotation.isWhole,
      })),
    async erase(request) {
      if (request.dryRun) return operations.erase(request)
      const { notEnded = 'refuse', scrub = true, tenant } = request
      const target = await erasureOf(parts, request)
      return act(
        { what: 'erase', target, details: { notEnded, scrub, tenant } },
        operations.erase,
        [request],
        (report) => ({
          runs: report.runs,
          items: report.items,
          erased: report.erased.length,
          refused: report.refused.length,
          scrubbed: report.scrubbed,
        }),
      )
    },
    enableAddress(named) {
      const address = addressNamed(named)
      const outcome = (enabled: unknown) => ({ known: enabled !== undefined })
      return act({ what: 'enable_callback', target: address }, operations.enableAddress, [address], outcome)
    },
    resetBreaker: (key) =>
      act({ what: 'reset_breaker', target: key }, operations.resetBreaker, [key], (known) => ({ known })),
  }
}

/** Nothing that is erased may stand in the record of it. */
async function erasureOf({ payloads }: TrailParts, { subject, runIds = [] }: EraseRequest): Promise<string> {
  if (subject !== undefined) return `subject ${(await payloads.subjectHash(subject)).slice(0, 16)}`
  return runIds.length === 1 ? `run ${runIds[0]}` : `${runIds.length} runs`
}

function createRecorder({ ledger, clock, newId }: TrailParts, actor: Actor) {
  return async function act<Request extends unknown[], Result>(
    asked: Asked,
    work: (...request: Request) => Promise<Result>,
    request: Request,
    outcomeFacts: (result: Result) => Readonly<Record<string, unknown>>,
  ): Promise<Result> {
    const begun: ActionRecord = {
      id: newId(),
      atMs: clock.wallMs(),
      by: actor.by,
      from: actor.from,
      what: asked.what,
      target: asked.target,
      reason: asked.reason ?? '',
      details: plain(asked.details ?? {}),
      outcome: 'begun',
    }
    const ended = (outcome: 'done' | 'failed', facts: Readonly<Record<string, unknown>>) =>
      ledger.recordActions([{ ...begun, outcome, details: plain({ ...asked.details, ...facts }) }])
    await ledger.recordActions([begun])
    let result: Result
    try {
      result = await work(...request)
    } catch (error) {
      // The action's own error is the one to tell: where the store is gone, this record stays as it was begun.
      const code = isHoldfastError(error) ? error.code : 'unexpected'
      await ended('failed', { code, message: messageOf(error) }).catch(() => undefined)
      throw error
    }
    await ended('done', outcomeFacts(result))
    return result
  }
}

function bulk(what: string, selection: Selection, reason: string): Asked {
  return { what, target: targetOf(selection), reason, details: selectionFacts(selection) }
}

export function targetOf(selection: Selection): string {
  if ('fingerprint' in selection) return `group ${selection.fingerprint}`
  if ('filter' in selection) return 'filter'
  const [first] = selection.itemIds
  return selection.itemIds.length === 1 && first !== undefined ? first : `${selection.itemIds.length} items`
}

function selectionFacts(selection: Selection): Record<string, unknown> {
  if ('filter' in selection) return { filter: selection.filter }
  if ('fingerprint' in selection) return { fingerprint: selection.fingerprint }
  return { itemIds: selection.itemIds.slice(0, MOST_NAMED), items: selection.itemIds.length }
}

function countReceipts(receipts: readonly OperatorReceipt[]): Record<string, unknown> {
  const counts: Record<string, number> = {}
  for (const { outcome } of receipts) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

function lanesFacts(lanes: readonly string[]): Record<string, unknown> {
  return { lanes: lanes.slice(0, MOST_NAMED), laneCount: lanes.length }
}

/** Without what is `undefined`. */
function plain(value: Readonly<Record<string, unknown>>): Json {
  return JSON.parse(toJson(value)) as Json
}
