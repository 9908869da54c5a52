/**
 * From verified webhooks to runs. An event is never turned away because of what it holds (R144, R161): what the schema of its
 * pipeline refuses becomes a run of another pipeline, whose one step hands it in again. That fails, and so it is a dead letter
 * like any other: with its reason, and to be replayed with a correction.
 */
import { didYouMean } from '../../config/nearest.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import { configurationError, type HoldfastError, isHoldfastError } from '../../core/errors.ts'
import type { NewRun } from '../../ledger/port.ts'
import {
  type AcceptedEvents,
  createReceiver,
  type IncomingEvent,
  type WebhookHandlerOptions,
  type WebhookReceiver,
} from '../../webhooks/receiver.ts'
import type { AnyPipeline, CodeContext } from '../pipelines/pipeline.ts'
import { announce, prepareRuns, type SubmitParts, type SubmitRecord, submitRecords } from './submit.ts'

/** No pipeline of a user can have this name: a colon is not part of names. */
function intakeNameOf(source: string): string {
  return `${source}:webhook`
}

/** The pipelines for what cannot be read, one for each source. */
export function intakePipelines(
  webhooks: readonly WebhookSettings[],
  pipelines: readonly AnyPipeline[],
  submitParts: () => SubmitParts,
): readonly AnyPipeline[] {
  const subjects = new Map(pipelines.map(({ name, subject }) => [name, subject]))
  return webhooks.map((settings) => {
    const run = (context: CodeContext) => handIn(submitParts(), settings, context)
    return {
      name: intakeNameOf(settings.name),
      inputSchema: undefined,
      subject: ifReadable(subjects.get(settings.pipeline)),
      steps: new Map([['accept', { run, safe: true }]]),
    }
  })
}

/** An event that no schema takes may be anything: then it is not known whose it is. */
function ifReadable(subject: AnyPipeline['subject']): AnyPipeline['subject'] {
  if (!subject) return undefined
  return async (input: never) => {
    try {
      return await subject(input)
    } catch {
      return undefined
    }
  }
}

/** @throws HoldfastError `invalid_input`, naming what is wrong with the event */
async function handIn(parts: SubmitParts, { pipeline }: WebhookSettings, context: CodeContext) {
  const { input, key, labels, tenant, correlationId } = context
  const options = { key, labels, tenant, correlationId }
  const record = { input, options }
  const [receipt] = await submitRecords(withoutLimit(parts), parts.catalog.pipeline(pipeline), [record])
  if (receipt?.ok) return { runId: receipt.runId }
  // Then the event came again meanwhile, and could be read.
  if (receipt?.error.code === 'key_conflict') return { runId: receipt.error.details['runId'] }
  throw receipt?.error ?? new Error('no receipt')
}

interface IntakeParts {
  readonly parts: SubmitParts
  readonly settings: WebhookSettings
}

/** All or nothing: events of one request are stored in one transaction, which other requests share (group commit). */
async function acceptEvents(
  { parts, settings }: IntakeParts,
  events: readonly IncomingEvent[],
): Promise<AcceptedEvents> {
  const unlimited = withoutLimit(parts)
  const records = events.map((event) => recordOf(settings, event))
  const prepared = await prepareRuns(unlimited, parts.catalog.pipeline(settings.pipeline), records)
  const refused = records.filter((_record, index) => isHoldfastError(prepared[index]))
  const kept = refused.length === 0 ? [] : await prepareRuns(unlimited, intakeOf(parts, settings), refused)
  let next = 0
  const runs = prepared.map((run) => runOrThrow(isHoldfastError(run) ? kept[next++] : run))
  const receipts = await parts.ledger.submit(runs)

  let [accepted, changed, unreadable] = [0, 0, 0]
  for (const [index, receipt] of receipts.entries()) {
    if (receipt.outcome === 'conflict') changed++
    if (receipt.outcome !== 'accepted') continue
    accepted++
    if (isHoldfastError(prepared[index])) unreadable++
    announce(parts, runs[index] as NewRun, receipt)
  }
  return { accepted, duplicates: receipts.length - accepted, changed, unreadable }
}

/** The size of a request has its own limit, which was checked before anything was read. */
function withoutLimit(parts: SubmitParts): SubmitParts {
  return { ...parts, maxPayloadBytes: Number.POSITIVE_INFINITY }
}

function intakeOf({ catalog }: SubmitParts, { name }: WebhookSettings): AnyPipeline {
  return catalog.pipeline(intakeNameOf(name))
}

function recordOf({ name }: WebhookSettings, event: IncomingEvent): SubmitRecord {
  const { key, json, value, labels, correlationId } = event
  const correlated = correlationId === undefined ? {} : { correlationId }
  return { input: value, text: json, options: { key, labels, batch: `webhook:${name}`, ...correlated } }
}

function runOrThrow(run: NewRun | HoldfastError | undefined): NewRun {
  if (run === undefined || isHoldfastError(run)) throw run ?? new Error('no run was prepared')
  return run
}

export interface WebhookDesk {
  /** @throws HoldfastError `unknown_webhook`, `webhook_secret_invalid` */
  receiver(source: string, options?: WebhookHandlerOptions): WebhookReceiver
}

export interface WebhookDeskParts extends Pick<SubmitParts, 'clock' | 'events'> {
  readonly webhooks: readonly WebhookSettings[]
  /** @throws HoldfastError `closed` */
  readonly submitParts: () => SubmitParts
}

export function createWebhookDesk({ webhooks, clock, events, submitParts }: WebhookDeskParts): WebhookDesk {
  return {
    receiver(source, options) {
      const settings = webhooks.find(({ name }) => name === source)
      if (!settings) throw unknownWebhook(source, webhooks)
      return createReceiver({
        ...options,
        settings,
        clock,
        events,
        accept: (incoming) => acceptEvents({ parts: submitParts(), settings }, incoming),
      })
    },
  }
}

function unknownWebhook(source: string, webhooks: readonly WebhookSettings[]): HoldfastError {
  const names = webhooks.map(({ name }) => name)
  return configurationError(
    'unknown_webhook',
    `There is no webhook "${source}"${didYouMean(source, names)}`,
    names.length > 0 ? `Known: ${names.join(', ')}.` : 'Write it down under `webhooks` in the configuration.',
    { source },
  )
}
