/**
 * The store as one process sees it: a connection of its own to the store that all share, through which calls may be refused, be
 * slow, or be carried out without the caller hearing of it; and which dies with the process.
 */
import { HoldfastError } from '../../core/errors.ts'
import { whereDue, withoutTaker } from '../../ledger/hints.ts'
import type { Ledger, NewRun, SubmitReceipt, Where } from '../../ledger/port.ts'
import type { FactBody, LedgerMethod, StoreFact } from './fact.ts'
import type { ProcessGate } from './process-gate.ts'
import { type StandClaim, standingClaims } from './process-standing.ts'
import type { StoreTrouble } from './scenario.ts'

export interface ProcessLedgerParts {
  readonly process: string
  readonly connection: Ledger
  readonly gate: ProcessGate
  readonly record: (fact: FactBody) => void
  /** Draws what happens to the next call. */
  readonly trouble: () => StoreTrouble | undefined
  /** True time. */
  readonly sleep: (delayMs: number) => Promise<void>
  readonly watch: Ledger['watch']
  /** A write was carried out that may have made work due for others. */
  readonly wakeOthers: (where: Where) => void
}

const MAKES_WORK_DUE: ReadonlySet<LedgerMethod> = new Set([
  'settle',
  'openGates',
  'resumeLanes',
  'replay',
  'cancel',
  'discard',
  'resolve',
  'wake',
])

const METHODS: readonly LedgerMethod[] = [
  ...([
    'submit',
    'channels',
    'countDue',
    'claim',
    'reclaimExpired',
    'extendLeases',
    'settle',
    'beginEffects',
    'endEffects',
  ] as const),
  ...(['closeGates', 'openGates', 'suspendLanes', 'resumeLanes', 'lanes', 'readHealth', 'updateHealth'] as const),
  ...(['updateJob', 'jobs', 'writeJobMembers', 'jobItems', 'jobTallies'] as const),
  ...([
    'replay',
    'discard',
    'cancel',
    'resolve',
    'wake',
    'recordActions',
    'actions',
    'run',
    'item',
    'items',
    'groups',
    'balance',
    'retain',
  ] as const),
]

type Call = (...request: unknown[]) => Promise<unknown>

export function createProcessLedger(parts: ProcessLedgerParts): Ledger {
  const { connection, gate, watch } = parts
  const methods = Object.fromEntries(METHODS.map((method) => [method, throughGate(parts, method)]))
  return {
    ...(methods as unknown as Pick<Ledger, LedgerMethod>),
    standClaim: standingClaims(parts, throughGate(parts, 'standClaim') as StandClaim),
    description: connection.description,
    audit: () => connection.audit(),
    watch,
    close: () => (gate.leave() ? connection.close() : never()),
  }
}

function throughGate(parts: ProcessLedgerParts, method: LedgerMethod): Call {
  const { connection, gate } = parts
  const carryOut = connection[method] as Call

  /** What the process will be told; it may be dead or frozen by then. */
  async function perform(request: unknown[]): Promise<() => unknown> {
    const trouble = parts.trouble()
    if (trouble?.what === 'slow') await parts.sleep(trouble.delayMs)
    if (gate.state === 'dead') return never()
    if (trouble?.what === 'refused') {
      note(request, undefined, 'store_unavailable', true)
      return () => raise(unavailable('refused the connection'))
    }
    try {
      const result = await carryOut(...request)
      const heard = trouble?.what !== 'outcome_unknown'
      note(request, result, undefined, heard)
      if (method === 'submit') hintAt(withoutTaker(request[0] as NewRun[], result as SubmitReceipt[]))
      else if (MAKES_WORK_DUE.has(method)) parts.wakeOthers(undefined)
      return heard ? () => result : () => raise(unavailable('was lost while it wrote; it is not known whether it did'))
    } catch (error) {
      note(request, undefined, error instanceof HoldfastError ? error.code : 'unknown', true)
      return () => raise(error)
    }
  }

  function hintAt(runs: readonly NewRun[]): void {
    if (runs.length > 0) parts.wakeOthers(whereDue(runs))
  }

  function note(asked: unknown[], result: unknown, refused: string | undefined, heard: boolean): void {
    // Who is to be told of what is no fact.
    const request = method === 'standClaim' ? asked.slice(0, 1) : asked
    parts.record({ kind: 'store', process: parts.process, method, request, result, refused, heard } as StoreFact)
  }

  return (...request) => {
    if (!gate.leave()) return never()
    return new Promise((resolve, reject) => {
      void perform(request).then((tell) =>
        gate.enter(() => {
          try {
            resolve(tell())
          } catch (error) {
            reject(error)
          }
        }),
      )
    })
  }
}

function unavailable(how: string): HoldfastError {
  return new HoldfastError({
    code: 'store_unavailable',
    class: 'transient',
    message: `The simulated store ${how}`,
    hint: 'This is a simulated trouble of the store.',
  })
}

function raise(error: unknown): never {
  throw error
}

/** What a dead process waits for. */
function never<Value>(): Promise<Value> {
  return new Promise(() => undefined)
}
