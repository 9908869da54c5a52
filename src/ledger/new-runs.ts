/** What a run must be before any adapter stores it, and what is derived from its steps. */
import { HoldfastError } from '../core/errors.ts'
import type { NewItem, NewRun } from './port.ts'

/** @throws HoldfastError `invalid_run`: before anything is written. */
export function assertRuns(runs: readonly NewRun[]): void {
  for (const run of runs) {
    if (run.id === '' || run.id.includes('.')) throw invalidRun(run, 'its id is empty or has a dot', 'Use a UUID.')
    if (run.items.length === 0) throw invalidRun(run, 'it has no items', 'A run has at least one step.')
    if (run.items.length > 1) assertSteps(run)
    else if (run.items[0]?.after.length) throw unknownStep(run, run.items[0])
  }
}

/** The steps right after `step`. */
export function dependentsOf(step: string, items: readonly NewItem[]): string[] {
  if (items.length === 1) return []
  return items.filter((item) => item.after.includes(step)).map((item) => item.step)
}

/** The steps that take `step` along when they end without success: those it needs, however far up, up to optional ones. */
export function stepsAbove(step: string, items: readonly NewItem[]): ReadonlySet<string> {
  const byName = new Map(items.map((item) => [item.step, item]))
  const above = new Set<string>()
  const open = [...(byName.get(step)?.after ?? [])]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const item = byName.get(name)
    if (!item || item.optional || above.has(name)) continue
    above.add(name)
    open.push(...item.after)
  }
  return above
}

export function idTaken(run: NewRun): HoldfastError {
  return invalidRun(run, 'its id belongs to another run', 'Make a new id for each run (core/ids.ts).')
}

function assertSteps(run: NewRun): void {
  const earlier = new Set<string>()
  for (const item of run.items) {
    if (earlier.has(item.step)) throw invalidRun(run, `it has two steps "${item.step}"`, 'Give each step its own name.')
    const needed = new Set(item.after)
    if (needed.size < item.after.length || needed.difference(earlier).size > 0) throw unknownStep(run, item)
    earlier.add(item.step)
  }
}

function unknownStep(run: NewRun, item: NewItem): HoldfastError {
  return invalidRun(
    run,
    `step "${item.step}" needs ${JSON.stringify(item.after)}, which are not all earlier steps`,
    'List the steps so that each comes after those it needs, and name each once in `after`.',
  )
}

function invalidRun(run: NewRun, problem: string, hint: string): HoldfastError {
  return new HoldfastError({
    code: 'invalid_run',
    class: 'configuration',
    message: `Run "${run.id}" of pipeline "${run.pipeline}" cannot be stored: ${problem}`,
    hint,
    details: { runId: run.id, pipeline: run.pipeline },
  })
}
