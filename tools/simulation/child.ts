/** A process that simulates what it is told, one order after the other. Started by `pool.ts`. */
import { systemClock } from '../../src/system/system-clock.ts'
import type { CheckFactory, Violation } from '../../src/testing/simulator/checks/check.ts'
import { ALL_CHECKS } from '../../src/testing/simulator/checks/index.ts'
import { describeScenario, drawScenario } from '../../src/testing/simulator/draw/index.ts'
import type { Fact } from '../../src/testing/simulator/fact.ts'
import { namesOf, readableTrace } from '../../src/testing/simulator/readable-trace.ts'
import type { Scenario } from '../../src/testing/simulator/scenario.ts'
import { type SimulationResult, simulate } from '../../src/testing/simulator/simulate.ts'
import { failedReport, type Order, type Report, SIMULATOR_CHECKS } from './orders.ts'

async function carryOut(order: Order): Promise<Report> {
  const fromMs = systemClock.monotonicMs()
  try {
    const scenario = typeof order.scenario === 'string' ? drawScenario(order.scenario) : order.scenario
    const facts: Fact[] = []
    const listener: CheckFactory = () => ({ name: 'story', observe: (fact) => void facts.push(fact) })
    const result = await simulate(scenario, order.story ? { checks: [...ALL_CHECKS, listener] } : {})
    const tookMs = systemClock.monotonicMs() - fromMs
    const difference = order.twice ? await differenceFrom(result, scenario) : []
    const violations = [...difference, ...result.violations]
    const named = order.story ? inNames(violations, facts) : violations
    const { seed, traceHash, items, troubles, virtualMs, coverage } = result
    return {
      seed,
      summary: describeScenario(scenario),
      violations: named,
      traceHash,
      facts: result.facts,
      items,
      troubles,
      virtualMs,
      coverage,
      tookMs,
      twice: order.twice === true,
      story: storyOf(order, violations, facts),
    }
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return failedReport(order, SIMULATOR_CHECKS.broken, message, systemClock.monotonicMs() - fromMs)
  }
}

/** In the same process: what one run leaves behind must not reach the next one. */
async function differenceFrom(first: SimulationResult, scenario: Scenario): Promise<readonly Violation[]> {
  const second = await simulate(scenario)
  if (second.traceHash === first.traceHash) return []
  const [one, other] = [await simulate(scenario, { keepTrace: true }), await simulate(scenario, { keepTrace: true })]
  const line = one.trace.findIndex((text, index) => text !== other.trace[index])
  const message =
    line < 0 && one.trace.length === other.trace.length
      ? 'two runs differed; two more did not'
      : `line ${line + 1} is at one time\n  ${one.trace[line]}\nand at another\n  ${other.trace[line]}`
  return [{ check: SIMULATOR_CHECKS.differs, message, atMs: 0, itemId: undefined, fact: line + 1 }]
}

function inNames(violations: readonly Violation[], facts: readonly Fact[]): readonly Violation[] {
  const name = namesOf(facts)
  return violations.map((violation) => ({
    ...violation,
    message: name(violation.message),
    itemId: violation.itemId && name(violation.itemId),
  }))
}

function storyOf({ story }: Order, violations: readonly Violation[], facts: readonly Fact[]): readonly string[] {
  if (!story) return []
  if (story.about === 'all') return readableTrace(facts)
  if (story.about !== 'violations') return readableTrace(facts, { about: story.about })
  const runs = violations.flatMap(({ itemId }) => (itemId === undefined ? [] : [itemId.split('.')[0] as string]))
  return readableTrace(facts, runs.length > 0 ? { about: runs } : {})
}

// A terminal sends Ctrl-C to all; the parent decides.
process.on('SIGINT', () => {})
process.once('disconnect', () => process.exit())
process.on('message', (order: Order) => {
  carryOut(order)
    .then((report) => process.send?.(report))
    .catch((error: unknown) => {
      console.error(error)
      process.exit(1)
    })
})
