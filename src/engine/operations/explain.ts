/** What happened to an item, why, and what comes next: the same words on every screen (rule 9, R060). Pure. */
import { formatDuration } from '../../core/duration.ts'
import { type ItemState, isEndState } from '../../core/item-state.ts'
import type { AttemptRecord, ItemRecord, ItemSummary, LaneState } from '../../ledger/port.ts'
import type { Explanation } from '../api.ts'

export interface ExplainFacts {
  readonly item: ItemRecord
  readonly lane: LaneState | undefined
  /** Those that it waits for in the order of its entity, the nearest first; the first few of them. */
  readonly ahead: readonly ItemRecord[]
  /** What undoes its run. */
  readonly undoing: readonly ItemSummary[]
  readonly nowMs: number
}

type Line = Explanation['lines'][number]

export function explainItem(facts: ExplainFacts): Explanation {
  const { item } = facts
  return {
    itemId: item.itemId,
    headline: headline(item),
    lines: timeline(facts),
    next: whatNext(facts) + wordBehind(item),
    hint: item.deadLetter?.hint ?? lastFailureOf(item)?.hint ?? '',
  }
}

function headline(item: ItemRecord): string {
  const { attempts, deferrals, crashes, replays } = item.counters
  const counts = [
    plural(attempts, 'attempt'),
    deferrals > 0 ? `held ${plural(deferrals, 'time')} without using one` : '',
    crashes > 0 ? `lost with its worker ${plural(crashes, 'time')}` : '',
    replays > 0 ? `replayed ${plural(replays, 'time')}` : '',
  ].filter(Boolean)
  const why = item.deadLetter?.summary ?? item.reason
  return `Step "${item.step}" of ${item.pipeline} (${item.key}) ${STATE_WORDS[item.state]} after ${counts.join(', ')}${why ? `: ${why}` : '.'}`
}

const STATE_WORDS: Readonly<Record<ItemState, string>> = {
  waiting: 'waits',
  queued: 'is queued',
  processing: 'is being processed',
  retrying: 'will be retried',
  parked: 'is parked',
  unknown_outcome: 'has an unknown outcome',
  dead_lettered: 'is a dead letter',
  succeeded: 'succeeded',
  skipped: 'was skipped',
  superseded: 'was superseded',
  cancelled: 'was cancelled',
  discarded: 'was discarded',
}

function timeline({ item, undoing }: ExplainFacts): Line[] {
  const lines: Line[] = [{ atMs: item.createdAtMs, text: accepted(item) }]
  for (const attempt of item.attempts) lines.push({ atMs: attempt.startedAtMs, text: wordAttempt(attempt) })
  for (const operation of item.operations) {
    const note = operation.note ? `: ${operation.note}` : ''
    lines.push({ atMs: operation.atMs, text: `${operation.what} by ${operation.by}${note}` })
  }
  for (const undo of undoing) lines.push({ atMs: undo.createdAtMs, text: wordUndo(item, undo) })
  return lines.sort((left, right) => (left.atMs ?? 0) - (right.atMs ?? 0))
}

function accepted(item: ItemRecord): string {
  const needs = item.after.length > 0 ? `, to run after ${item.after.join(', ')}` : ''
  const called = item.correlationId === item.runId ? '' : ` Correlation id ${item.correlationId}.`
  return `Accepted in batch "${item.batch}" for lane ${item.lane} (${item.endpoint})${needs}.${called}`
}

function wordUndo(item: ItemRecord, undo: ItemSummary): string {
  const which = undo.step === item.step ? 'This step' : `Step "${undo.step}" of its run`
  const done = undo.state === 'succeeded' ? 'was undone' : `is to be undone (${undo.state})`
  return `${which} ${done}, because the run failed for good: item ${undo.itemId}.`
}

function wordAttempt(attempt: ItemRecord['attempts'][number]): string {
  const took = formatDuration(Math.max(0, attempt.endedAtMs - attempt.startedAtMs))
  const status = attempt.status === undefined ? '' : ` with status ${attempt.status}`
  const free = attempt.counts ? '' : ' (uses no attempt)'
  const name = `Try ${attempt.number}`
  const note = attempt.note ? ` ${capital(attempt.note)}.` : ''
  switch (attempt.outcome) {
    case 'succeeded':
      return `${name} succeeded${status} in ${took}.${note}`
    case 'failed':
      return `${name} failed${status} after ${took}${free}: ${wordFailure(attempt)}${note}`
    case 'crashed':
      return `${name} was lost: its worker died or stood still, and its lease ran out.${note}`
    case 'reconciled':
    case 'not_found':
      return `${name} looked whether it had happened${free}.${note}`
  }
}

function wordFailure(attempt: AttemptRecord): string {
  const failure = attempt.failure
  if (!failure) return 'no reason was recorded.'
  const certainty = {
    not_sent: 'It surely had no effect.',
    maybe_applied: 'It may have had its effect.',
    applied: 'It had its effect.',
  }[failure.certainty]
  const blamed = failure.subject ? ` It blames "${failure.subject}".` : ''
  const support = failure.vendorRequestId ? ` Request id for support: ${failure.vendorRequestId}.` : ''
  return `${failure.class} (${failure.code}): ${failure.message}. ${certainty}${blamed}${support} Decided by ${failure.rule}.`
}

function whatNext(facts: ExplainFacts): string {
  const { item, lane, nowMs } = facts
  if (isEndState(item.state)) {
    return facts.undoing.length === 0
      ? 'Nothing: it has ended.'
      : 'Nothing: its run failed for good and is undone. Submit the record again where it is still wanted.'
  }
  if (lane?.suspended && item.state !== 'waiting' && item.dueAtMs !== undefined) {
    return `It waits until lane ${item.lane} is resumed (${lane.suspended.reason}): \`holdfast integrations resume ${item.lane.split('/')[0]}\`.`
  }
  switch (item.state) {
    case 'waiting':
      return wordWaiting(facts)
    case 'processing':
      return item.lease
        ? `Worker ${item.lease.workerId} has it; its lease ${until(item.lease.untilMs, nowMs)}, then another worker takes over.`
        : 'A worker has it.'
    case 'queued':
      return gateText(facts) ?? 'It is due now, and is taken as soon as its lane has a free place.'
    case 'retrying':
    case 'parked':
      return gateText(facts) ?? `It is tried again ${due(item.dueAtMs, nowMs)}: ${item.reason}.`
    case 'unknown_outcome':
      return item.dueAtMs === undefined
        ? `A person must say whether it happened: \`holdfast dlq resolve ${item.itemId} --happened\` or \`--did-not-happen\`.`
        : `Its effect is looked for ${due(item.dueAtMs, nowMs)}.`
    default:
      return item.dueAtMs === undefined
        ? `Nothing by itself: fix the cause, then \`holdfast dlq replay ${item.itemId}\`, or discard it with a reason.`
        : `The slow lane tries it again ${due(item.dueAtMs, nowMs)}, or as soon as the cause is gone.`
  }
}

function wordWaiting({ item, ahead }: ExplainFacts): string {
  const { turn, after } = item
  const steps = after.join(', ')
  if (turn?.standing !== 'waits') return `It waits for ${steps}.`
  const line = ahead.map((other, index) => {
    const rest = other.turn?.waitsFor === undefined ? `, which ${STATE_WORDS[other.state]}` : ', which waits for '
    const last = index === ahead.length - 1
    return `${other.itemId}${rest}${last && rest.endsWith('for ') ? 'others' : ''}`
  })
  const why = ahead.at(-1)?.reason
  const needs = steps === '' ? '' : ` It needs ${steps}, too.`
  return `It waits for its turn in the order of "${turn.entity}": for ${line.join('')}${why ? `: ${why}` : ''}.${needs}`
}

/** What its end lets go. */
function wordBehind({ turn }: ItemRecord): string {
  if (turn?.standing !== 'has_turn' || turn.behind === 0) return ''
  const others = turn.behind === 1 ? '1 other waits' : `${turn.behind} others wait`
  return ` In the order of "${turn.entity}" ${others} for it.`
}

function gateText({ item, lane, nowMs }: ExplainFacts): string | undefined {
  if (!lane || lane.gateUntilMs <= nowMs || lane.gateUntilMs <= (item.dueAtMs ?? 0)) return undefined
  return `Its lane is closed and opens ${due(lane.gateUntilMs, nowMs)}: ${lane.gateReason}.`
}

function lastFailureOf(item: ItemRecord) {
  return item.attempts.findLast((attempt) => attempt.failure)?.failure
}

function due(atMs: number | undefined, nowMs: number): string {
  if (atMs === undefined) return 'at an unknown time'
  return atMs <= nowMs ? 'now' : `in ${formatDuration(atMs - nowMs)} (${new Date(atMs).toISOString()})`
}

function until(atMs: number, nowMs: number): string {
  return atMs <= nowMs ? 'has run out' : `runs out in ${formatDuration(atMs - nowMs)}`
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
