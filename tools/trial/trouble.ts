/** What happens to the processes and the store of a trial, and when. */
import type { Clock } from '../../src/core/clock.ts'
import { type Random, randomInteger } from '../../src/core/random.ts'
import type { RestartMode, TrialPlace } from './place.ts'
import type { Places } from './places.ts'
import type { Auditor } from './verdict.ts'
import type { Watch } from './watch.ts'

/** Audits while it runs, beside those after each restart. */
const AUDITS_UNDER_WAY = 10
const KILLED_AT_ANY_TIME = 0.1
const LONGEST_DELAY_MS = 60
/** What comes after the last item hurts nobody. */
const LAST_TROUBLE_AT = 0.97

export interface TroubleParts {
  readonly clock: Clock
  readonly random: Random
  readonly watch: Watch
  readonly children: Pick<Places, 'kill'>
  readonly place: TrialPlace
  readonly auditor: Auditor
  readonly items: number
  readonly kills: number
  readonly restarts: number
  /** Of the items, those whose effect is there. */
  readonly doneCount: () => number
}

/** Live: goes on counting. */
export interface TroubleFacts {
  killed: number
  readonly restarted: RestartMode[]
}

type Act = 'kill' | 'restart' | 'audit'

/** Each at a moment of its own, spread over the whole of the work; several may be under way at once. */
export async function makeTrouble(parts: TroubleParts, facts: TroubleFacts): Promise<void> {
  const { watch, auditor, random } = parts
  const underWay = new Set<Promise<void>>()

  async function act(what: Act): Promise<void> {
    if (what === 'audit') return void (await auditor.audit())
    // Away from the moment at which an effect happens.
    await parts.clock.sleep(randomInteger(random, 0, LONGEST_DELAY_MS))
    if (what === 'kill') {
      await killOne(parts)
      facts.killed++
      return
    }
    const mode = facts.restarted.length % 2 === 0 ? 'immediate' : 'fast'
    facts.restarted.push(mode)
    await parts.place.restart?.(mode)
    await auditor.audit()
  }

  for (const { what, atDone } of planOf(parts)) {
    await watch.until(() => parts.doneCount() >= atDone)
    // A server has one restart at a time.
    if (what === 'restart') await Promise.all(underWay)
    const acting = act(what).catch(watch.fail)
    underWay.add(acting)
    void acting.finally(() => underWay.delete(acting))
  }
  await Promise.all(underWay)
}

/** Most of them in the middle of their work; some while they start. */
async function killOne({ random, watch, children }: TroubleParts): Promise<void> {
  const whom = random.next() < KILLED_AT_ANY_TIME ? 'any' : 'at work'
  let gone: Promise<void> | null = null
  await watch.until(() => {
    gone ??= children.kill(whom, (count) => Math.floor(random.next() * count))
    return gone !== null
  })
  await gone
}

function planOf({ items, kills, restarts, random }: TroubleParts): { what: Act; atDone: number }[] {
  const spread = (what: Act, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      what,
      atDone: Math.floor((items * LAST_TROUBLE_AT * (index + random.next())) / count),
    }))
  const all = [...spread('kill', kills), ...spread('restart', restarts), ...spread('audit', AUDITS_UNDER_WAY)]
  return all.sort((left, right) => left.atDone - right.atDone)
}
