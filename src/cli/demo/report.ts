/** What the demo found out: counted at the APIs and in the ledger, and compared. */
import type { Holdfast } from '../../engine/api.ts'
import type { ItemSummary } from '../../ledger/port.ts'
import type { Output } from '../output/output.ts'
import { formatCount } from '../output/time.ts'
import { KNOWN_EMAIL, type Lead } from './leads.ts'
import type { Outage } from './story.ts'
import type { DemoTwins } from './twins.ts'

export interface DemoReport {
  /** Sent in. */
  readonly leads: number
  /** Leads that the ledger took in. */
  readonly accepted: number
  /** Leads of which every step succeeded. */
  readonly succeeded: number
  /** Leads with a step that no machine will touch again. */
  readonly needs_person: number
  /** The same in items, of which each lead has one per step. */
  readonly items: { readonly accepted: number; readonly succeeded: number; readonly needs_person: number }
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
  const byLead = Map.groupBy(items, (item) => item.key)
  return {
    leads: leads.length,
    accepted: byLead.size,
    succeeded: countLeads(byLead, (steps) => steps.every((item) => item.state === 'succeeded')),
    needs_person: countLeads(byLead, (steps) => steps.some(needsPerson)),
    items: { accepted: balance.accepted, succeeded: balance.states.succeeded, needs_person: balance.needsPerson },
    groups: groups.map(({ count, summary, hint, fingerprint }) => ({ count, summary, hint, fingerprint })),
    duplicates: twins.crm.duplicates().length + twins.sequencer.duplicates().length,
    lost: countLost(byLead, twins, leads),
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

type ByLead = ReadonlyMap<string, readonly ItemSummary[]>

function countLeads(byLead: ByLead, holds: (steps: readonly ItemSummary[]) => boolean): number {
  return [...byLead.values()].filter(holds).length
}

function needsPerson(item: ItemSummary): boolean {
  return (item.state === 'dead_lettered' || item.state === 'unknown_outcome') && item.dueAtMs === undefined
}

/** A lead is lost if it never came in, if it stands nowhere, or if the ledger says done and the API knows nothing of it. */
function countLost(byLead: ByLead, twins: DemoTwins, leads: readonly Lead[]): number {
  return leads.filter(({ email }) => {
    const steps = byLead.get(email)
    if (!steps) return true
    const succeeded = (step: string) => steps.some((item) => item.step === step && item.state === 'succeeded')
    const standsNowhere = steps.some((item) => MOVING.has(item.state))
    const noContact = succeeded('crm') && !twins.crm.has(email) && email !== KNOWN_EMAIL
    const noEnrolment = succeeded('sequencer') && !twins.sequencer.has(email)
    return standsNowhere || noContact || noEnrolment
  }).length
}

const MOVING: ReadonlySet<string> = new Set(['queued', 'processing', 'retrying', 'parked'])

export function reportText(report: DemoReport, output: Output): string {
  const { colours } = output
  const good = (ok: boolean, text: string) => (ok ? colours.good(text) : colours.bad(text))
  const rows: (readonly [string, string, string])[] = [
    ['accepted', formatCount(report.accepted), `leads; ${formatCount(report.items.accepted)} steps`],
    ['succeeded', formatCount(report.succeeded), `leads; ${formatCount(report.items.succeeded)} steps`],
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
