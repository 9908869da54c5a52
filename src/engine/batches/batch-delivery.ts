/**
 * Calls that carry several records: sent, read record by record, and searched by halves where one record spoils a call for all
 * (R010, R121, R122, R127). The search costs at most two calls for each halving.
 */
import { attemptWith } from '../../client/attempt/attempt.ts'
import type { AttemptResult, OutboundCall } from '../../client/call/call.ts'
import { outgoingRequest } from '../../client/call/outgoing.ts'
import type { Failure } from '../../core/failure.ts'
import { toJson } from '../../core/json.ts'
import type { Settlement } from '../../ledger/port.ts'
import type { RecordVerdict } from '../../policy/batches/batch-answer.ts'
import { batchBody } from '../../policy/batches/batch-request.ts'
import { decideSplit } from '../../policy/batches/batch-split.ts'
import type { ExecuteParts } from '../execution/execute.ts'
import { notBuilt } from '../execution/execute-request.ts'
import { createBatchJudge, toBatchMember } from './batch-answer.ts'
import { endFailed, endGivenBack, endHeld, endTold } from './batch-ends.ts'
import { halve, isLimited, type Member } from './batch-members.ts'

/** `undefined`: the lease was lost, and there is nothing to settle. */
export type EndMember = (member: Member, settlement: Settlement | undefined) => void

interface Sent {
  readonly members: readonly Member[]
  readonly result: AttemptResult
  readonly told: readonly RecordVerdict[] | undefined
}

/** True where the call was answered record by record: none of its members spoils calls. */
type Taken = boolean

export function createDelivery(parts: ExecuteParts, end: EndMember): (members: readonly Member[]) => Promise<Taken> {
  async function deliver(members: readonly Member[]): Promise<Taken> {
    const sent = await send(members)
    return sent ? conclude(sent) : false
  }

  /** `undefined`: nothing was sent, and all members have ended. */
  async function send(all: readonly Member[]): Promise<Sent | undefined> {
    const members = stillOurs(all)
    const [first] = members
    if (!first) return undefined
    if (first.execution.claim.signal?.aborted) {
      for (const member of members) end(member, await endUnsent(member, () => endGivenBack(member)))
      return undefined
    }
    const built = await buildBody(members)
    if (!built) return undefined
    if (members.length > 1 && exceeds(built.body, first.plan.batch.bytes)) {
      for (const half of halve(members)) await deliver(half)
      return undefined
    }
    const { judge, told } = createBatchJudge(members)
    const result = await attemptWith(callWith(members, built.body), parts.attempt, outgoingRequest, judge)
    return { members, result, told: told() }
  }

  function stillOurs(members: readonly Member[]): Member[] {
    return members.filter((member) => {
      if (member.execution.claim.leaseIsLive()) return true
      end(member, undefined)
      return false
    })
  }

  /** A record that the step's code cannot put into a body must not keep out the others. */
  async function buildBody(members: readonly Member[]): Promise<{ readonly body: unknown } | undefined> {
    try {
      return { body: await bodyOf(members) }
    } catch (thrown) {
      if (members.length > 1) for (const member of members) await deliver([member])
      else for (const member of members) end(member, notBuilt(member.execution, thrown))
      return undefined
    }
  }

  async function conclude({ members, result, told }: Sent): Promise<Taken> {
    switch (result.kind) {
      case 'held':
        for (const member of members) {
          end(member, await endUnsent(member, () => endHeld(member, result.untilMs, result.reason)))
        }
        return false
      case 'failed':
        await refused(members, result.failure)
        return false
      case 'succeeded':
        for (const [place, member] of members.entries()) {
          const verdict = told?.[place] ?? SAYS_NOTHING
          end(member, await endTold(member, verdict, result.answer, members.length))
        }
        return true
    }
  }

  async function refused(members: readonly Member[], failure: Failure): Promise<void> {
    if (failure.code === 'no_longer_allowed') {
      const live = stillOurs(members)
      if (live.length < members.length) await deliver(live)
      else await endEach(live, failure)
      return
    }
    const decision = decideSplit({
      failure,
      records: members.length,
      repeatable: members.every((member) => member.plan.repeatable),
      again: members.some((member) => member.execution.memo.failureClass === failure.class),
    })
    if (decision === 'each') await endEach(members, failure)
    else if (decision === 'halve') for (const half of halve(members)) await deliver(half)
    else if (decision === 'search') await search(members, failure)
    else await searchOnce(members, failure)
  }

  /** The call with these members was refused. A half that is taken shows that the other is to blame: no need to ask. */
  async function search(members: readonly Member[], failure: Failure): Promise<void> {
    const [left, right] = halve(members)
    const leftIsTaken = await deliver(left)
    if (leftIsTaken && right.length > 1) await search(right, failure)
    else await deliver(right)
  }

  /** Where both halves fail the same way, no record is to blame: an outage must not be searched call by call. */
  async function searchOnce(members: readonly Member[], failure: Failure): Promise<void> {
    const company = members.length
    const tried = members.map((member) => ({ ...member, tried: { failure, company, limited: isLimited(member) } }))
    const [left, right] = halve(tried)
    const sentLeft = await send(left)
    if (!sentLeft || !failsAlike(sentLeft, failure)) {
      const leftIsTaken = sentLeft !== undefined && (await conclude(sentLeft))
      if (leftIsTaken && right.length > 1) await searchOnce(right, failure)
      else await deliver(right)
      return
    }
    const sentRight = await send(right)
    if (sentRight && failsAlike(sentRight, failure)) {
      await endEach(sentLeft.members, failure)
      await endEach(sentRight.members, failure)
      return
    }
    if (sentRight) await conclude(sentRight)
    if (sentLeft.members.length > 1) await searchOnce(sentLeft.members, failure)
    else await endEach(sentLeft.members, failure)
  }

  async function endEach(members: readonly Member[], failure: Failure): Promise<void> {
    for (const member of members) end(member, await endFailed(member, failure, members.length))
  }

  return deliver
}

/** No call was made for it, or none after the larger one that it was tried in: that one counts. */
async function endUnsent(member: Member, otherwise: () => Settlement): Promise<Settlement> {
  const { tried } = member
  return tried ? endFailed(member, tried.failure, tried.company, tried.limited) : otherwise()
}

const SAYS_NOTHING: RecordVerdict = { kind: 'untold', why: 'the answer says nothing about single records' }

function failsAlike({ result }: Sent, failure: Failure): boolean {
  return result.kind === 'failed' && result.failure.status === failure.status
}

async function bodyOf(members: readonly Member[]): Promise<unknown> {
  const batch = members[0]?.plan.batch
  if (batch?.build) return batch.build(members.map(toBatchMember))
  return (
    batch?.shape &&
    batchBody(
      batch.shape.envelope,
      members.map((member) => member.record),
    )
  )
}

function exceeds(body: unknown, bytes: number): boolean {
  return bytes !== Number.POSITIVE_INFINITY && Buffer.byteLength(typeof body === 'string' ? body : toJson(body)) > bytes
}

/** Path and headers are those of all; what can only name one operation is named only where there is one. */
function callWith(members: readonly Member[], body: unknown): OutboundCall {
  const [first] = members as readonly [Member]
  const { itemId, ...call } = first.call
  return {
    ...call,
    body,
    itemId: members.length === 1 ? itemId : undefined,
    idempotencyKey: undefined,
    responseSchema: undefined,
    expects: first.plan.batch.split || first.plan.batch.shape?.answer.allOrNothing ? 'any' : 'json',
    // A call counts as a retry where it carries nothing new.
    attempt: Math.min(...members.map((member) => member.call.attempt)),
    maySend: () => members.every((member) => member.execution.claim.leaseIsLive()),
  }
}
