/**
 * The conformance suite of the ledger port: every promise of `port.ts`, for any adapter. It runs whole or not at all.
 * It needs `vitest` and `fast-check` in the project that calls it.
 */
import { describe } from 'vitest'
import { acting } from './acting.ts'
import { claiming } from './claiming.ts'
import { effects } from './effects.ts'
import { jobs } from './jobs.ts'
import { keeping } from './keeping.ts'
import { modelled } from './modelled.ts'
import { operating } from './operating.ts'
import { ordering } from './ordering.ts'
import { reading } from './reading.ts'
import { recoding } from './recoding.ts'
import { settling } from './settling.ts'
import { sharing } from './sharing.ts'
import { standing } from './standing.ts'
import { submitting } from './submitting.ts'
import { superseding } from './superseding.ts'
import type { MakeStore } from './support.ts'

export type { LedgerStore } from './support.ts'

/** `makeStore` gives a new, empty store for each test; every `open` of it is one more connection to the same data. */
export function ledgerConformance(name: string, makeStore: MakeStore): void {
  describe(`${name} keeps the promises of the ledger port`, () => {
    for (const section of [
      submitting,
      claiming,
      standing,
      settling,
      effects,
      sharing,
      operating,
      acting,
      jobs,
      reading,
      keeping,
      recoding,
      ordering,
      superseding,
      modelled,
    ]) {
      section(makeStore)
    }
  })
}
