/** What the demo found out: counted at the APIs and in the ledger, and compared. */
import type { Holdfast } from '../../engine/api.ts'
import type { ItemSummary } from '../../ledger/port.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
import { KNOWN_EMAIL, type Lead } from './leads.ts'
import type { Outage } from './story.ts'
import type { DemoTwins } from './twins.ts'

export interface DemoReport {
  readonly leads: number
  /** Items: each lead takes four steps. */
  readonly accepted: number
  readonly succeeded: number
  readonly needs_person: number
  readonly waiting_for_person: number
  readonly groups: readonly {
    readonly count: number
    readonly summary: string
    readonly hint: string
    readonly fingerprint: string
  }[]
  /** Effects that an API applied more than once. */
  readonly duplicates: number
  /** Records that no state of the ledger and no API accounts for. */
  readonly lost: number
  readonly calls_to_dead_endpoint: number
  readonly enriched_during_outage: number
  readonly enrolled_during_outage: number
  readonly attempts: number
  readonly deferrals: number
  readonly crashes: number
  readonly worker_kills: number
  readonly looked_for_lost_effects: number
  readonly balanced: boolean
  readonly seconds: number
}

export interface DemoFacts {
  readonly holdfast: Holdfast
  readonly twins: DemoTwins
  readonly leads: readonly Lead[]
  readonly outage: Outage
  readonly kills: number
  readonly seconds: number
}

export async function makeReport(facts: DemoFacts): Promise<DemoReport> {
  const { holdfast, twins, leads, outage } = facts
  const [audit, groups, items] = await Promise.all([
    holdfast.operations.audit(),
    holdfast.operations.groups(),
    allItems(holdfast),
  ])
  const { balance } = audit
  return {
    leads: leads.length,
    accepted: balance.accepted,
    succeeded: balance.states.succeeded,
    needs_person: balance.needsPerson,
    waiting_for_person: balance.states.waiting,
    groups: groups.map(({ count, summary, hint, fingerprint }) => ({ count, summary, hint, fingerprint })),
    duplicates: twins.crm.duplicates().length + twins.sequencer.duplicates().length,
    lost: countLost(items, twins, leads),
    calls_to_dead_endpoint: outage.calls,
    enriched_during_outage: outage.enrichedMeanwhile,
    enrolled_during_outage: outage.enrolledMeanwhile,
    attempts: sum(items, (item) => item.counters.attempts),
    deferrals: sum(items, (item) => item.counters.deferrals),
    crashes: sum(items, (item) => item.counters.crashes),
    worker_kills: facts.kills,
    looked_for_lost_effects: twins.crm.requests.byRoute.get('GET /contacts') ?? 0,
    balanced: audit.balanced,
    seconds: Math.round(facts.seconds * 10) / 10,
  }
}

async function allItems(holdfast: Holdfast): Promise<ItemSummary[]> {
  const items: ItemSummary[] = []
  let cursor: string | undefined
  do {
    const page = await holdfast.operations.items({}, { limit: 1000, ...(cursor !== undefined && { cursor }) })
    items.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return items
}

/** A lead is lost if it never came in, if it stands nowhere, or if the ledger says done and the API knows nothing of it. */
function countLost(items: readonly ItemSummary[], twins: DemoTwins, leads: readonly Lead[]): number {
  const byLead = new Map<string, Map<string, ItemSummary>>()
  for (const item of items) byLead.set(item.key, (byLead.get(item.key) ?? new Map()).set(item.step, item))
  return leads.filter(({ email }) => {
    const steps = byLead.get(email)
    if (!steps) return true
    const stuck = [...steps.values()].some((item) =>
      ['queued', 'processing', 'retrying', 'parked'].includes(item.state),
    )
    const crm = steps.get('crm')?.state === 'succeeded' && !twins.crm.has(email) && email !== KNOWN_EMAIL
    const sequencer = steps.get('sequencer')?.state === 'succeeded' && !twins.sequencer.has(email)
    return stuck || crm || sequencer
  }).length
}

export function reportText(report: DemoReport, output: Output): string {
  const { colours } = output
  const good = (ok: boolean, text: string) => (ok ? colours.good(text) : colours.bad(text))
  const rows: (readonly [string, string, string])[] = [
    ['leads', formatCount(report.leads), 'each goes through four steps'],
    ['steps accepted', formatCount(report.accepted), ''],
    ['succeeded', formatCount(report.succeeded), ''],
    ['in need of a person', formatCount(report.needs_person), 'grouped below, each with what to do'],
    ['duplicates', good(report.duplicates === 0, formatCount(report.duplicates)), 'effects that an API applied twice'],
    ['lost', good(report.lost === 0, formatCount(report.lost)), 'leads that nobody can account for'],
    [
      'the books',
      good(report.balanced, report.balanced ? 'balance' : 'DO NOT BALANCE'),
      'proved row by row: `holdfast audit`',
    ],
    ['calls to the dead CRM', formatCount(report.calls_to_dead_endpoint), 'breaker and probes'],
    [
      'done meanwhile',
      `${formatCount(report.enriched_during_outage)} + ${formatCount(report.enrolled_during_outage)}`,
      'leads enriched + enrolled while the CRM was down',
    ],
    ['lost answers looked for', formatCount(report.looked_for_lost_effects), 'instead of sending again'],
    ['held back', formatCount(report.deferrals), 'times, without using an attempt'],
    ...(report.worker_kills > 0
      ? [
          [
            'workers killed',
            formatCount(report.worker_kills),
            `${formatCount(report.crashes)} claims taken over`,
          ] as const,
        ]
      : []),
    ['time', `${report.seconds} s`, ''],
  ]
  const summary = output.table(
    [
      { title: 'what', value: ([what]) => what },
      { title: 'count', value: ([, count]) => count, align: 'right' },
      { title: '', value: ([, , note]) => note, paint: (text) => colours.dim(text), flexible: true },
    ],
    rows,
  )
  return `${summary}\n\n${groupsText(report, output)}`
}

function groupsText(report: DemoReport, { colours }: Output): string {
  if (report.groups.length === 0) return 'Nothing needs a person.'
  const blocks = report.groups.map(({ count, fingerprint, summary, hint }) =>
    [
      `${colours.bad(`${count} ${count === 1 ? 'lead needs' : 'leads need'} a person`)}  ${colours.dim(`group ${fingerprint}`)}`,
      `  ${summary}`,
      `  ${colours.accent('->')} ${hint}`,
    ].join('\n'),
  )
  return blocks.join('\n\n')
}

function sum<Row>(rows: readonly Row[], value: (row: Row) => number): number {
  return rows.reduce((total, row) => total + value(row), 0)
}
