/**
 * Claims that stand, as one process leaves them (decision 035): what a submit leases to them is on record at once, as a claim of this
 * process is, for it holds whether or not the process hears of it; and it may hear late, or never.
 */
import type { ClaimRequest, Ledger, StandingClaim, StandingLease } from '../../ledger/port.ts'
import type { ProcessLedgerParts } from './process-ledger.ts'

export type StandClaim = Ledger['standClaim']

/** As long as the port lets whoever takes a claim back wait for what is still to be told. */
const TOLD_WITHIN_MS = 1000

/** @param leave through the gate of the process */
export function standingClaims(parts: ProcessLedgerParts, leave: StandClaim): StandClaim {
  const { process, gate, record } = parts
  /** On its way to the process. */
  const untold = new Set<Promise<void>>()

  function tell(lease: StandingLease, claim: StandingClaim, onLeased: (lease: StandingLease) => void): void {
    const trouble = parts.trouble()
    const isLost = trouble !== undefined && trouble.what !== 'slow'
    const result = [...lease.items]
    record({
      ...{ kind: 'store', process, method: 'claim', request: [requestOf(claim, lease)], result },
      ...{ refused: undefined, heard: !isLost, isStanding: true },
    })
    if (trouble?.what === 'slow') untold.add(late(trouble.delayMs).then(() => onLeased(lease)))
    // Nobody knows that there will be nothing to hear.
    else if (isLost) untold.add(new Promise(() => undefined))
    else gate.enter(() => onLeased(lease))
  }

  /** What dies or stands still meanwhile does not hear of it. */
  function late(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      void parts.sleep(delayMs).then(() => gate.enter(resolve))
    })
  }

  return async (claim, onLeased) => {
    const stands = await leave(claim, (lease) => tell(lease, claim, onLeased))
    const before = [...untold]
    untold.clear()
    if (before.length > 0) await Promise.race([Promise.all(before), late(TOLD_WITHIN_MS)])
    return stands
  }
}

/** What it would have had to ask for. */
function requestOf({ workerId, leaseMs, channels }: StandingClaim, { leaseUntilMs }: StandingLease): ClaimRequest {
  return { workerId, nowMs: leaseUntilMs - leaseMs, leaseUntilMs, channels }
}
