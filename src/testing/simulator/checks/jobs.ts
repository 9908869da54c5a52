/**
 * Decision 027: a job does what was asked to each of its members once, to nothing else, and nothing more once it has ended; what it
 * counts adds up.
 */
import type { ItemState } from '../../../core/item-state.ts'
import type { JobMember } from '../../../ledger/port.ts'
import type { Fact } from '../fact.ts'
import { movingJobs } from '../moving-jobs.ts'
import type { CheckFactory } from './check.ts'
import type { StoreFactOf } from './known-items.ts'

interface KnownJob {
  readonly id: string
  readonly members: Map<string, JobMember>
  readonly done: Set<string>
  readonly canary: number
  proven: boolean
  total: number
  phase: string
  /** It may act until it asks again: whoever has written itself into the job. */
  runner: string | undefined
}

type Orders = StoreFactOf<'replay' | 'discard' | 'cancel'>

export const jobsDoAsAsked: CheckFactory = ({ violated, followItems }) => {
  const items = followItems()
  const jobs = new Map<string, KnownJob>()
  const byName = new Map<string, KnownJob>()

  function onChange(fact: StoreFactOf<'updateJob'>): void {
    const { result } = fact
    if (!result) {
      const job = jobs.get(fact.request[0].id)
      if (job && job.runner === fact.process && fact.refused === undefined) job.runner = undefined
      return
    }
    const state = result.state as { phase: string; by: string; total: number; canary: number; proven: boolean }
    const job = jobs.get(result.id) ?? newJob(result.id, state.canary)
    jobs.set(job.id, job)
    byName.set(state.by, job)
    if (ENDED.has(job.phase)) violated(`job ${job.id} was ${job.phase}, and is ${state.phase}`)
    if (job.phase === 'running' && state.total !== job.total)
      violated(`job ${job.id} had ${job.total} members, and has ${state.total}`)
    if (job.phase === 'planning' && state.phase === 'running' && state.total !== job.members.size) {
      violated(`job ${job.id} is about ${job.members.size} items, and says ${state.total}`)
    }
    job.phase = state.phase
    job.total = state.total
    job.proven = state.proven
    // Its end takes nobody's leave: whoever is in the middle of a step finishes it.
    if (result.endedAtMs === undefined) job.runner = fact.process
  }

  function onOrders(fact: Orders): void {
    for (const [index, order] of fact.request[0].entries()) {
      const job = byName.get(order.by)
      const receipt = fact.result?.[index]
      if (!job || (receipt?.outcome !== 'done' && receipt?.outcome !== 'marked')) continue
      const about = { itemId: order.itemId, fact: fact.no }
      const member = job.members.get(order.itemId)
      if (!member) violated(`job ${job.id} touched it, and is not about it`, about)
      else if (member.refused !== undefined)
        violated(`job ${job.id} touched it, and had said: ${member.refused}`, about)
      if (job.runner !== fact.process) violated(`${fact.process} works on job ${job.id}, which is ${job.phase}`, about)
      if (fact.method === 'replay' && job.done.has(order.itemId)) violated(`job ${job.id} replayed it twice`, about)
      job.done.add(order.itemId)
    }
    if (fact.method === 'replay') for (const job of new Set(orderers(fact))) judgeCanary(job, fact)
  }

  function orderers(fact: Orders): readonly KnownJob[] {
    return fact.request[0].flatMap(({ by }) => byName.get(by) ?? [])
  }

  /** As many as were to go first have ended well, whoever has put them back; or it has itself put back no more than those. */
  function judgeCanary(job: KnownJob, fact: Orders): void {
    if (job.canary === 0 || job.proven) return
    const well = [...job.members.values()].filter(({ itemId, replaysBefore }) => {
      const item = items.get(itemId)
      return item && item.counters.replays > replaysBefore && WELL.has(item.state)
    }).length
    // Two jobs may be about the same item: what another one puts back is none of its own.
    if (job.done.size <= job.canary || well >= job.canary) return
    violated(`job ${job.id} has put ${job.done.size} back, and ${well} of its canary of ${job.canary} ended well`, {
      fact: fact.no,
    })
  }

  function onProgress(event: Extract<Fact, { kind: 'event' }>['event']): void {
    if (event.type !== 'job.progressed') return
    const { jobId, total, waiting, underWay, succeeded, failed, refused, forgotten } = event
    const sum = waiting + underWay + succeeded + failed + refused + forgotten
    const job = jobs.get(jobId)
    if (sum !== total || total !== job?.total) {
      violated(`job ${jobId} counts ${sum} items of ${total}, and is about ${job?.total}`)
    }
  }

  return {
    name: 'jobs do as asked',
    observe(fact) {
      if (fact.kind === 'event') onProgress(fact.event)
      if (fact.kind !== 'store' || fact.refused !== undefined) return
      if (fact.method === 'updateJob') onChange(fact)
      else if (fact.method === 'writeJobMembers') {
        const members = jobs.get(fact.request[0])?.members
        for (const member of fact.request[1]) members?.set(member.itemId, member)
      } else if (fact.method === 'replay' || fact.method === 'discard' || fact.method === 'cancel') {
        if (fact.result !== undefined) onOrders(fact)
      }
    },
    async end({ ledger }) {
      for (const id of await movingJobs(ledger)) violated(`job ${id} has not ended, and nothing holds it up`)
    },
  }
}

const WELL: ReadonlySet<ItemState> = new Set<ItemState>(['succeeded', 'skipped', 'superseded'])
const ENDED: ReadonlySet<string> = new Set(['done', 'stopped', 'cancelled'])

function newJob(id: string, canary: number): KnownJob {
  const empty = { members: new Map(), done: new Set<string>(), proven: false, total: 0, phase: 'planning' }
  return { id, canary, runner: undefined, ...empty }
}
