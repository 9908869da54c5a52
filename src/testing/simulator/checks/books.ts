/** Rule 2: at every moment, accepted = the sum of all states; and the store's own audit finds nothing. */
import type { CheckFactory, WorldView } from './check.ts'

export const booksBalance: CheckFactory = ({ violated }) => {
  /** Counted when the store took them: retention forgets runs, and never their number. */
  let accepted = 0

  async function audit({ ledger }: WorldView): Promise<void> {
    const report = await ledger.audit()
    for (const check of report.checks) {
      if (check.violations > 0) violated(`audit: ${check.name}: ${check.violations} (${check.examples.join(', ')})`)
    }
    if (!report.balanced) violated(`the books do not balance: ${JSON.stringify(report.balance)}`)
    const sum = Object.values(report.balance.states).reduce((total, count) => total + count, 0)
    if (sum !== report.balance.accepted) violated(`${report.balance.accepted} accepted, ${sum} in all states`)
    if (report.balance.accepted !== accepted) {
      violated(`the books say ${report.balance.accepted} items accepted; the store took ${accepted}`)
    }
  }

  return {
    name: 'the books balance',
    observe(fact) {
      if (fact.kind !== 'store' || fact.method !== 'submit') return
      for (const [index, receipt] of (fact.result ?? []).entries()) {
        if (receipt.outcome === 'accepted') accepted += fact.request[0][index]?.items.length ?? 0
      }
    },
    inspect: audit,
    end: audit,
  }
}
