/** What people put into records, sealed and opened: each kind of record, field by field. */
import type { Failure } from '../../core/failure.ts'
import { parseItemId } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type {
  ActionRecord,
  ClaimedItem,
  Gate,
  ItemRecord,
  ItemSummary,
  JobRecord,
  ReplayOrder,
  ResolveOrder,
  RunRecord,
  SettledState,
  Settlement,
} from '../port.ts'
import { type Codec, isMarked } from './codec.ts'

export const inputOf = (runId: string): string => `input of run ${runId}`
export const OUTPUT = 'output of a step'
export const MEMO = 'memo of an item'

export function sealSettlement(codec: Codec, settlement: Settlement): Settlement {
  const { effect } = settlement
  if (!codec.encrypts) {
    const { to } = settlement
    const output = to.state === 'succeeded' ? codec.sealJson(to.output, OUTPUT) : undefined
    const isPlain = to.state !== 'succeeded' || output === to.output
    if (isPlain && !effect) return settlement
    return { ...settlement, to: sealState(codec, to), ...(effect && { effect: sealEnd(codec, effect) }) }
  }
  const { attempt, memo, gate } = settlement
  return {
    ...settlement,
    to: sealState(codec, settlement.to),
    ...(attempt && {
      attempt: {
        ...attempt,
        ...(attempt.note !== undefined && { note: codec.sealText(attempt.note) }),
        ...(attempt.failure && { failure: sealFailure(codec, attempt.failure) }),
      },
    }),
    ...(typeof memo === 'string' && { memo: codec.sealJson(memo, MEMO) }),
    ...(effect && { effect: sealEnd(codec, effect) }),
    ...(gate && { gate: sealGate(codec, gate) }),
  }
}

function sealState(codec: Codec, to: SettledState): SettledState {
  const { sealText } = codec
  if (to.state === 'succeeded') {
    return {
      ...to,
      output: codec.sealJson(to.output, OUTPUT),
      ...(to.externalId !== undefined && { externalId: sealText(to.externalId) }),
      ...(to.note !== undefined && { note: sealText(to.note) }),
    }
  }
  const reason = sealText(to.reason)
  if (!('deadLetter' in to)) return { ...to, reason }
  const { summary, hint } = to.deadLetter
  return { ...to, reason, deadLetter: { ...to.deadLetter, summary: sealText(summary), hint: sealText(hint) } }
}

export function sealEnd<End extends NonNullable<Settlement['effect']>>(codec: Codec, end: End): End {
  if (!end.done) return end
  const { output, externalId } = end
  return {
    ...end,
    output: codec.sealJson(output, OUTPUT),
    ...(externalId !== undefined && { externalId: codec.sealText(externalId) }),
  }
}

export function sealGate(codec: Codec, gate: Gate): Gate {
  return codec.encrypts ? { ...gate, reason: codec.sealText(gate.reason) } : gate
}

export function sealReplay(codec: Codec, order: ReplayOrder): ReplayOrder {
  if (order.editedInput === undefined) return order
  const runId = parseItemId(order.itemId)?.runId ?? ''
  return { ...order, editedInput: codec.sealJson(order.editedInput, inputOf(runId)) }
}

export function sealResolve(codec: Codec, order: ResolveOrder): ResolveOrder {
  const { externalId } = order
  return {
    ...order,
    output: codec.sealJson(order.output, OUTPUT),
    reason: codec.sealText(order.reason),
    ...(externalId !== undefined && { externalId: codec.sealText(externalId) }),
  }
}

export function sealAction(codec: Codec, action: ActionRecord): ActionRecord {
  if (!codec.encrypts) return action
  return { ...action, reason: codec.sealText(action.reason), details: sealOwn(codec, action.details) as string }
}

export function openAction(codec: Codec, action: ActionRecord): ActionRecord {
  return {
    ...action,
    reason: codec.openText(action.reason),
    details: openOwn(codec, action.details) as ActionRecord['details'],
  }
}

/** A job's patch is content. */
export function openJob(codec: Codec, job: JobRecord): JobRecord {
  return { ...job, state: openOwn(codec, job.state) }
}

/** What the engine keeps as JSON of its own: sealed, it is a string. */
export function sealOwn(codec: Codec, value: Json): Json {
  return codec.encrypts ? codec.sealText(JSON.stringify(value)) : value
}

function openOwn(codec: Codec, value: Json): Json {
  if (typeof value !== 'string') return value
  const opened = codec.openText(value)
  return opened === value ? value : (JSON.parse(opened) as Json)
}

export function openClaimed(codec: Codec, item: ClaimedItem): ClaimedItem {
  const { memo, lastFailure } = item
  const isPlain = !codec.encrypts && lastFailure === undefined && !isMarked(item.input) && !isMarked(memo)
  // Nearly every claim of a store that does not encrypt: nothing is made anew.
  if (isPlain && !Object.values(item.outputs).some(isMarked)) return item
  return {
    ...item,
    input: codec.openJson(item.input, inputOf(item.runId)),
    outputs: openOutputs(codec, item.outputs),
    lastFailure: lastFailure && openFailure(codec, lastFailure),
    memo: memo === undefined ? undefined : codec.openJson(memo, MEMO),
  }
}

function openOutputs(codec: Codec, outputs: ClaimedItem['outputs']): ClaimedItem['outputs'] {
  for (const _step in outputs) {
    const opened = Object.entries(outputs).map(([step, output]) => [step, codec.openJson(output, OUTPUT)] as const)
    return Object.fromEntries(opened)
  }
  return outputs
}

/** What an API said, and whom it is about; its class, code and status stay, because the store counts by them. */
export function mapFailure(failure: Failure, map: (text: string) => string): Failure {
  const { subject, bodyExcerpt } = failure
  return {
    ...failure,
    message: map(failure.message),
    hint: map(failure.hint),
    ...(subject !== undefined && { subject: map(subject) }),
    ...(bodyExcerpt !== undefined && { bodyExcerpt: map(bodyExcerpt) }),
  }
}

function sealFailure(codec: Codec, failure: Failure): Failure {
  return mapFailure(failure, codec.sealText)
}

export function openFailure(codec: Codec, failure: Failure): Failure {
  return mapFailure(failure, codec.openText)
}

export function openSummary<Item extends ItemSummary>(codec: Codec, item: Item): Item {
  const { deadLetter, externalId } = item
  return {
    ...item,
    reason: codec.openText(item.reason),
    externalId: externalId === undefined ? undefined : codec.openText(externalId),
    deadLetter: deadLetter && {
      ...deadLetter,
      summary: codec.openText(deadLetter.summary),
      hint: codec.openText(deadLetter.hint),
    },
  }
}

export function openRun(codec: Codec, run: RunRecord): RunRecord {
  return {
    ...run,
    input: codec.openValue(run.input, inputOf(run.id)),
    items: run.items.map((item) => openSummary(codec, item)),
  }
}

export function openItem(codec: Codec, item: ItemRecord): ItemRecord {
  const context = inputOf(item.runId)
  const { output, memo } = item
  return {
    ...openSummary(codec, item),
    input: codec.openValue(item.input, context),
    edits: item.edits.map((edit) => ({ ...edit, input: codec.openValue(edit.input, context) })),
    output: output === undefined ? undefined : codec.openValue(output, OUTPUT),
    memo: memo === undefined ? undefined : codec.openJson(memo, MEMO),
    attempts: item.attempts.map((attempt) => ({
      ...attempt,
      ...(attempt.note !== undefined && { note: codec.openText(attempt.note) }),
      ...(attempt.failure && { failure: openFailure(codec, attempt.failure) }),
    })),
    operations: item.operations.map((operation) => ({ ...operation, note: codec.openText(operation.note) })),
  }
}
