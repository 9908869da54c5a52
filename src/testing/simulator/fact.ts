/** What happens in a simulated world, one fact after the other: what the trace is made of, and what the checks look at. */
import type { HoldfastEvent } from '../../core/events.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { OperationPlan, TroublePlan } from './scenario.ts'

export type Fact = { readonly no: number /** True time from the start. */; readonly atMs: number } & FactBody

export type FactBody =
  | { readonly kind: 'process_started'; readonly process: string }
  /** Crashed, or stopped when it was asked to. */
  | { readonly kind: 'process_ended'; readonly process: string; readonly how: 'crashed' | 'stopped' }
  | { readonly kind: 'process_frozen'; readonly process: string }
  | { readonly kind: 'process_woken'; readonly process: string }
  /** A submission was acknowledged to whoever handed it in. */
  | {
      readonly kind: 'acknowledged'
      readonly process: string
      readonly pipeline: string
      readonly record: string
      readonly key: string | undefined
      readonly runId: string
      readonly duplicate: boolean
    }
  /** The store has carried out a call (whether or not its process will hear of it), or refused it. */
  | StoreFact
  /** The first byte of a request is about to leave the process. */
  | {
      readonly kind: 'sent'
      readonly process: string
      readonly call: number
      readonly api: string
      readonly method: string
      readonly path: string
      /** The endpoint of the API plan, such as `POST /records`. */
      readonly endpoint: string
      /** Of several that share the call, the first. */
      readonly itemId: string | undefined
      /** All that share it. */
      readonly shared?: readonly string[]
      readonly idempotencyKey: string | undefined
      /** When the process decided to send it, before it was connected. Default: now. */
      readonly startedAtMs?: number
    }
  /** A process has got an answer, or the news that there is none. */
  | {
      readonly kind: 'answered'
      readonly process: string
      readonly call: number
      readonly api: string
      readonly endpoint: string
      readonly itemId: string | undefined
      readonly shared?: readonly string[]
      readonly status: number | undefined
      readonly headers: Readonly<Record<string, string>>
      readonly fault: string | undefined
    }
  /** A twin (or a code step) has done something that stays done. `key` names the operation; two facts with one key are a repetition. */
  | {
      readonly kind: 'effect'
      readonly api: string
      readonly route: string
      readonly key: string
      readonly itemId: string | undefined
      readonly repeatable: boolean
      /** The call that brought it. Two effects of one call: the network, or the vendor, did one request twice. */
      readonly call?: number | undefined
    }
  | {
      readonly kind: 'code'
      readonly process: string
      readonly itemId: string
      readonly what: 'started' | 'threw' | 'returned' | 'looked'
    }
  | { readonly kind: 'event'; readonly process: string; readonly event: HoldfastEvent }
  | { readonly kind: 'trouble'; readonly what: 'began' | 'ended' | 'fired'; readonly trouble: TroublePlan }
  | { readonly kind: 'operation'; readonly operation: OperationPlan; readonly outcome: string }
  /** From here on nothing goes wrong any more. */
  | { readonly kind: 'quiet' }

export type StoreFact = {
  [Method in LedgerMethod]: {
    readonly kind: 'store'
    readonly process: string
    readonly method: Method
    readonly request: Parameters<Ledger[Method]>
    /** Undefined where it was refused. */
    readonly result: Awaited<ReturnType<Ledger[Method]>> | undefined
    /** The `code` of the error, where it was refused. */
    readonly refused: string | undefined
    /** False: it is done, and the process is told that it failed. */
    readonly heard: boolean
    /** Only of a claim: it stood, and a submit has leased this to it. */
    readonly isStanding?: true
  }
}[LedgerMethod]

/** Everything but what neither reads nor writes records. */
export type LedgerMethod = Exclude<keyof Ledger, 'description' | 'watch' | 'close' | 'audit'>
