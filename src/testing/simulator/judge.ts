/** All checks together, and what they found. */
import type { CheckFactory, CheckParts, Violation } from './checks/check.ts'
import { createItemAccount } from './checks/known-items.ts'
import type { Fact } from './fact.ts'
import type { Scenario } from './scenario.ts'
import type { World } from './world.ts'

export interface Judge {
  readonly violations: readonly Violation[]
  /** How many facts there were. */
  facts(): number
  observe(fact: Fact): void
  /** Lets the checks look at the world as a whole. */
  look(world: World, moment: 'inspect' | 'end'): Promise<void>
  report(check: string, ...violation: Parameters<CheckParts['violated']>): void
}

export function createJudge(scenario: Scenario, factories: readonly CheckFactory[]): Judge {
  const violations: Violation[] = []
  const items = createItemAccount(scenario)
  let last: Fact | undefined

  const report: Judge['report'] = (check, message, about = {}) => {
    const fact = about.fact ?? last?.no ?? 0
    violations.push({ check, message, atMs: last?.atMs ?? 0, itemId: about.itemId, fact })
  }
  const checks = factories.map((make) => {
    const violated: CheckParts['violated'] = (...violation) => report(check.name, ...violation)
    const check = make({ scenario, followItems: items.follow, violated })
    return check
  })
  const observers = checks.filter((check) => check.observe !== undefined)

  return {
    violations,
    facts: () => last?.no ?? 0,
    observe(fact) {
      last = fact
      items.observe(fact)
      for (const check of observers) check.observe?.(fact)
    },
    async look(world, moment) {
      for (const check of checks) if (check[moment]) await world.clock.runUntil(check[moment](world.view()))
    },
    report,
  }
}
