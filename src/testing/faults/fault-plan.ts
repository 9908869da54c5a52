import { type Random, seededRandom } from '../../core/random.ts'
import { type Fault, type FaultInput, type FaultRule, toFault } from './fault.ts'

/** `'ok'`: surely no fault, whatever the rules say. */
export type ScriptStep = FaultInput | 'ok'
/** A route (`POST /contacts`), or the effect key of the requests it is about. */
export type ScriptTarget = string | { readonly key: string }
export type Choice = Fault | 'ok'

/** Decides which request meets which fault: scripts first, then the rules in their order. */
export interface FaultPlan {
  /** The next requests of this target meet these, one after the other. Appends to what is still to come. */
  script(target: ScriptTarget, steps: readonly ScriptStep[]): void
  /** Adds a rule after all others, until it is disposed of. */
  addRule(rule: FaultRule): Disposable
  /** Decides with what the headers tell; `undefined`: ask again when the key is known. */
  onArrival(route: string, nth: number): Choice | undefined
  /** False where no script and no rule asks for the key, so that nobody has to find it out. */
  wantsKey(): boolean
  onceRead(route: string, nth: number, key: string): Choice
  /** A number in [0, 1) that depends on the seed, the purpose, the key and how often it was asked for them. */
  draw(purpose: string, key: string): number
}

interface LiveRule {
  readonly rule: FaultRule
  readonly fault: Fault
  readonly purpose: string
  fired: number
}

export function createFaultPlan(rules: readonly FaultRule[], random: Random): FaultPlan {
  const seed = Buffer.from(random.bytes(16)).toString('hex')
  const routeScripts = new Map<string, ScriptStep[]>()
  const keyScripts = new Map<string, ScriptStep[]>()
  const drawn = new Map<string, number>()
  const early: LiveRule[] = []
  const late: LiveRule[] = []
  let rulesAdded = 0

  function addRule(rule: FaultRule): Disposable {
    const entry = { rule, fault: toFault(rule.fault), purpose: `rule ${rulesAdded++}`, fired: 0 }
    // A connection can only be reset before the request is read if that is decided before.
    const entries = entry.fault.kind === 'reset_before_reading' && rule.key === undefined ? early : late
    entries.push(entry)
    return {
      [Symbol.dispose]() {
        const index = entries.indexOf(entry)
        if (index >= 0) entries.splice(index, 1)
      },
    }
  }
  for (const rule of rules) addRule(rule)

  function draw(purpose: string, key: string): number {
    const name = `${purpose}/${key}`
    const times = (drawn.get(name) ?? 0) + 1
    drawn.set(name, times)
    return seededRandom(`${seed}/${name}/${times}`).next()
  }

  function firstThatFires(entries: readonly LiveRule[], route: string, nth: number, key: string): Fault | undefined {
    for (const entry of entries) {
      const { rule } = entry
      if (entry.fired >= (rule.times ?? Number.POSITIVE_INFINITY) || !matches(rule, route, nth, key)) continue
      if (rule.probability !== undefined && draw(entry.purpose, key) >= rule.probability) continue
      entry.fired++
      rule.onFired?.()
      return entry.fault
    }
    return undefined
  }

  return {
    script(target, steps) {
      const [scripts, name] = typeof target === 'string' ? [routeScripts, target] : [keyScripts, target.key]
      scripts.set(name, [...(scripts.get(name) ?? []), ...steps])
    },
    addRule,
    onArrival(route, nth) {
      const step = routeScripts.get(route)?.shift()
      if (step !== undefined) return step === 'ok' ? step : toFault(step)
      return firstThatFires(early, route, nth, `${route} ${nth}`)
    },
    wantsKey: () => late.length > 0 || keyScripts.size > 0,
    onceRead(route, nth, key) {
      const step = keyScripts.get(key)?.shift()
      if (step !== undefined) return step === 'ok' ? step : toFault(step)
      return firstThatFires(late, route, nth, key) ?? 'ok'
    },
    draw,
  }
}

function matches(rule: FaultRule, route: string, nth: number, key: string): boolean {
  if (rule.route !== undefined && rule.route !== route) return false
  if (rule.key !== undefined && !includes(rule.key, key)) return false
  return rule.nth === undefined || includes(rule.nth, nth)
}

function includes<Value>(wanted: Value | readonly Value[], value: Value): boolean {
  return Array.isArray(wanted) ? wanted.includes(value) : wanted === value
}
