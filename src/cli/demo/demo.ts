/** `holdfast demo`: the main job, with everything going wrong that usually does. */
import { resolve } from 'node:path'
import { resolveConfig } from '../../config/resolve.ts'
import { openHoldfast } from '../../system/open.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { DEMO_DIRECTORY, demoConfigFor } from './demo-config.ts'
import { DEMO_STORE, demoStore } from './demo-store.ts'
import { startDisplay } from './display.ts'
import { demoLeads, type Lead } from './leads.ts'
import { onboardLead } from './pipeline.ts'
import { type DemoReport, makeReport, reportText } from './report.ts'
import { planOutage, startDoomedWorkers } from './story.ts'
import { startFreshTwins } from './twins.ts'

export interface DemoOptions {
  /** Works in a process of its own that is killed several times on the way. */
  readonly kill?: boolean
  readonly leads?: number
}

const DEFAULT_LEADS = 4000
const SUBMIT_AT_ONCE = 500

export async function runDemo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const { host, output } = context
  const { clock } = host
  const directory = resolve(host.directory, DEMO_DIRECTORY)
  const leads = demoLeads(options.leads ?? DEFAULT_LEADS)
  output.note(introduction(leads.length, options.kill ?? false))

  const startedMs = clock.monotonicMs()
  await using twins = await startFreshTwins(directory)
  const ports = { enrichment: twins.enrichment.port, crm: twins.crm.port, sequencer: twins.sequencer.port }
  const store = await demoStore(directory, context.options.store)
  await using stopping = new AsyncDisposableStack()
  stopping.defer(await store.start(true))
  const config = resolveConfig(demoConfigFor(directory, ports, store.url), { env: host.env, baseDirectory: directory })
  await using holdfast = await openHoldfast(config)

  using _trouble = holdfast.events.on('engine.trouble', ({ where, message }) =>
    output.note(`trouble in ${where}: ${message}\n`),
  )

  await submitAll(holdfast, leads)
  const outage = planOutage(twins, clock)
  const doomed = options.kill ? startDoomedWorkers(clock, { ...host.env, [DEMO_STORE]: store.url }) : undefined
  const worker = options.kill ? undefined : holdfast.startWorker()
  const kills = () => doomed?.kills ?? 0
  const display = startDisplay({ host, clock, holdfast, twins, outage, leads: leads.length, kills })
  await holdfast.drain()
  await display.stop()
  await outage.stop()
  await doomed?.stop()
  await worker?.stop()

  const seconds = (clock.monotonicMs() - startedMs) / 1000
  const report = await makeReport({ holdfast, twins, leads, outage, kills: kills(), seconds })
  output.result(report, () => `\n${reportText(report, output)}\n`)
  tellWhatNext(context, report)
  return exitCodeOf(report)
}

function introduction(leads: number, kill: boolean): string {
  return [
    `${leads} leads: enrich -> score -> CRM, and a sequencer that does not wait for the CRM.`,
    'On the way: rate limits, lost answers, resets, HTML instead of JSON, invalid leads, and an outage of the CRM.',
    ...(kill ? ['The worker is a process of its own, and is killed without warning every few seconds.'] : []),
    '',
  ].join('\n')
}

async function submitAll(holdfast: Awaited<ReturnType<typeof openHoldfast>>, leads: readonly Lead[]): Promise<void> {
  for (let from = 0; from < leads.length; from += SUBMIT_AT_ONCE) {
    const wave = leads.slice(from, from + SUBMIT_AT_ONCE)
    const receipts = await holdfast.submitMany(
      onboardLead,
      wave.map((input) => ({ input, options: { key: input.email, labels: { source: input.source } } })),
    )
    for (const receipt of receipts) if (!receipt.ok) throw receipt.error
  }
}

function tellWhatNext({ output }: CliContext, report: DemoReport): void {
  const fixable = report.groups.find((group) => group.summary.includes('company'))
  output.next('npm run holdfast -- dlq groups --demo', 'what needs a person, by cause')
  if (fixable) {
    output.next(
      `npm run holdfast -- dlq replay --demo --group ${fixable.fingerprint} --patch '{"company":"Acme"}' --yes --wait`,
      'repairs those leads and sends them again',
    )
  }
  output.next('npm run holdfast -- audit --demo', 'the proof')
}

function exitCodeOf(report: DemoReport): ExitCode {
  // That some leads need a person is part of the story, not a failure of the demo.
  return report.duplicates > 0 || report.lost > 0 || !report.balanced ? EXIT.failed : EXIT.done
}
