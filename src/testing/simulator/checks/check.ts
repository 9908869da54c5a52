/** What a check is: something that must hold in every simulated run, at every moment or at its end. */
import type { Holdfast } from '../../../engine/api.ts'
import type { Ledger } from '../../../ledger/port.ts'
import type { Fact } from '../fact.ts'
import type { Scenario } from '../scenario.ts'
import type { ItemHandlers, KnownItems } from './known-items.ts'

export interface Check {
  /** A short name, as it stands in reports: `one settlement per lease`. */
  readonly name: string
  /** Sees every fact, in order, as it happens. */
  observe?(fact: Fact): void
  /** Now and then while the world runs, between two events: no transaction is open, no time passes. */
  inspect?(view: WorldView): Promise<void>
  /** After the quiet: everything has come to its end, or nothing moves any more. */
  end?(view: WorldView): Promise<void>
}

export interface CheckParts {
  readonly scenario: Scenario
  /** What the store has said about each item. A fact reaches the handlers before any check observes it. */
  followItems(handlers?: ItemHandlers): KnownItems
  /** Reports that the rule was broken. The run goes on to its end, and fails. */
  violated(message: string, about?: { readonly itemId?: string; readonly fact?: number }): void
}

export type CheckFactory = (parts: CheckParts) => Check

export interface Violation {
  readonly check: string
  readonly message: string
  readonly atMs: number
  readonly itemId: string | undefined
  /** Number of the fact it was noticed at. */
  readonly fact: number
}

/** The world from outside: what a check may look at. */
export interface WorldView {
  readonly scenario: Scenario
  /** True time from the start. */
  readonly nowMs: number
  /** A spectator's connection to the store: for reading. */
  readonly ledger: Ledger
  /** A spectator without workers, on true time: for `operations.explain` and the like. */
  readonly spectator: Pick<Holdfast, 'operations'>
  /** Effects by API, in order, and effect key; code steps' effects included. */
  readonly effects: ReadonlyMap<
    string,
    readonly { readonly key: string; readonly route: string; readonly atMs: number }[]
  >
}
