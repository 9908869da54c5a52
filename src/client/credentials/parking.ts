/**
 * A credential that the API refuses stops its lanes, all of them and those of no other (R148): one record, one alert, in
 * whatever process it is noticed first. The items wait, and use no attempts (D01).
 */
import type { Clock } from '../../core/clock.ts'
import type { EventBus } from '../../core/events.ts'
import type { Failure } from '../../core/failure.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { OutboundCall } from '../call/call.ts'
import { alertOf, whatToDo } from './alerts.ts'
import type { CredentialBoard } from './credential-board.ts'
import { credentialName } from './token-keeper.ts'

export interface ParkingParts {
  readonly board: CredentialBoard
  readonly ledger: Pick<Ledger, 'suspendLanes' | 'lanes' | 'channels'>
  readonly clock: Clock
  readonly events: EventBus
  /** Callers who wait in this process hear of it at once. */
  readonly onSuspended: () => Promise<void>
  /** One after the other: who comes second finds the lanes suspended, and says nothing. */
  readonly inTurn: <Result>(act: () => Promise<Result>) => Promise<Result>
}

export interface Refusal {
  /** What was refused; 0 where secrets have no versions: they come from the configuration. */
  readonly version: number
  readonly sentAtMs: number
  readonly failure: Failure
}

const LONGEST_REASON = 300

/** Records that the API refuses it, and stops its lanes; not where it was renewed or lifted since the call was sent. */
export async function refuse(parts: ParkingParts, call: OutboundCall, refusal: Refusal): Promise<void> {
  const { board, clock, events } = parts
  const { version, sentAtMs, failure } = refusal
  const name = credentialName(call.integration)
  const atMs = clock.wallMs()
  const { code } = failure
  const reason = failure.message.slice(0, LONGEST_REASON)
  await board.look()
  const { record, changed } = await board.change(name, (known) => {
    const isOld = known.version > version || known.liftedAtMs > sentAtMs
    if (isOld || known.refused) return undefined
    return { ...known, rejectedVersion: version, refused: { atMs, code, reason } }
  })
  if (changed) events.emit('credential.failed', atMs, alertOf(call.integration, record, { code, reason }, atMs))
  if (record.refused) await suspendAll(parts, call)
}

/** It cannot be used, and that was noticed before anything was sent. */
export async function park(
  parts: ParkingParts,
  call: OutboundCall,
  { code, reason }: { readonly code: string; readonly reason: string },
): Promise<void> {
  const { board, clock, events } = parts
  const atMs = clock.wallMs()
  const { record, changed } = await board.change(credentialName(call.integration), (known) => {
    const isThere = known.usable && known.version > known.rejectedVersion
    return known.refused || isThere ? undefined : { ...known, refused: { atMs, code, reason } }
  })
  if (changed) events.emit('credential.failed', atMs, alertOf(call.integration, record, { code, reason }, atMs))
  await suspendAll(parts, call)
}

/** A caller's own credential was refused: that says nothing of ours, and only its own lane waits. */
export async function suspendOne(parts: ParkingParts, lane: string, reason: string): Promise<void> {
  await parts.inTurn(() => suspend(parts, new Set([lane]), reason))
}

async function suspendAll(parts: ParkingParts, { integration, lane }: OutboundCall): Promise<void> {
  const name = credentialName(integration)
  await parts.inTurn(async () => {
    // A person may have lifted it while this call came so far.
    const { refused } = await parts.board.fresh(name)
    if (!refused) return
    const channels = await parts.ledger.channels()
    const lanes = channels.map((channel) => channel.lane).filter((other) => other.startsWith(`${name}/`))
    const reason = `the credential ${name} cannot be used: ${refused.reason}. ${whatToDo(integration)}`
    await suspend(parts, new Set([name, lane, ...lanes]), reason)
  })
}

/** Those that are suspended already keep their reason, and their time. */
async function suspend(parts: ParkingParts, wanted: Set<string>, reason: string): Promise<void> {
  const { ledger, clock, events, onSuspended } = parts
  for (const known of await ledger.lanes()) if (known.suspended) wanted.delete(known.lane)
  if (wanted.size === 0) return
  const atMs = clock.wallMs()
  const lanes = [...wanted]
  await ledger.suspendLanes(lanes.map((lane) => ({ lane, reason, atMs })))
  for (const lane of lanes) events.emit('lane.suspended', atMs, { lane, reason })
  await onSuspended()
}
