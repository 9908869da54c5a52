/**
 * Puts the rooms below together into one running Holdfast. Everything that touches the world is handed in: the composition
 * root (`system/`) brings the real clock, chance, store and network, the simulator brings others.
 */

import { type Cipher, createCipher } from '../client/credentials/cipher.ts'
import { createCredentials } from '../client/credentials/credentials.ts'
import { createFetch } from '../client/fetch/fetch-adapter.ts'
import { createForwarder } from '../client/fetch/forward.ts'
import { shareStatistics } from '../client/health/endpoint-statistics.ts'
import { createHealth } from '../client/health/health-registry.ts'
import { createInlineCaller } from '../client/inline/inline.ts'
import { createDeadlines } from '../client/wire/deadlines.ts'
import type { Transport } from '../client/wire/transport.ts'
import type { CallbackSettings } from '../config/callbacks.ts'
import type { IntegrationSettings } from '../config/settings.ts'
import type { WebhookSettings } from '../config/webhook-settings.ts'
import type { Clock } from '../core/clock.ts'
import { configurationError, HoldfastError, messageOf } from '../core/errors.ts'
import { createEventBus, type EventBus } from '../core/events.ts'
import { createIdSource, newId } from '../core/ids.ts'
import type { Random } from '../core/random.ts'
import { whereDue, withoutTaker } from '../ledger/hints.ts'
import { type Payloads, plainPayloads } from '../ledger/payloads/open-payloads.ts'
import type { Ledger, Where } from '../ledger/port.ts'
import { createIdempotencyStore } from '../webhooks/idempotency-store.ts'
import type { Holdfast, TransactionOptions } from './api.ts'
import { createCallbackDesk } from './callbacks/desk.ts'
import { createDisabledAddresses } from './callbacks/disabled-addresses.ts'
import { createCallbackPlans } from './callbacks/plans.ts'
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from './defaults.ts'
import type { ExecuteParts } from './execution/execute.ts'
import { submitSingleRequest } from './intake/single-request.ts'
import { submitRecords } from './intake/submit.ts'
import { createWebhookDesk, intakePipelines } from './intake/webhooks.ts'
import { createJobDesk } from './jobs/desk.ts'
import { createJobRunner } from './jobs/runner.ts'
import { createOperations } from './operations/operations.ts'
import { watchForUndo } from './operations/undo.ts'
import { type Catalog, createCatalog } from './pipelines/catalog.ts'
import type { AnyPipeline } from './pipelines/pipeline.ts'
import { drain } from './worker/drain.ts'
import { startHealthLoop } from './worker/health-loop.ts'
import { wakeWhenHealthy } from './worker/recovery.ts'
import { createSettler } from './worker/settler.ts'
import { type EngineWorker, FLUSH_LIMIT_MS, startWorker } from './worker/worker.ts'

export interface EngineParts {
  readonly clock: Clock
  readonly random: Random
  readonly ledger: Ledger
  /** Where the store can take part in a transaction of the caller's own. */
  readonly joining?: (client: NonNullable<TransactionOptions['transaction']>) => Pick<Ledger, 'submit'>
  readonly transport: Transport
  readonly integrations: readonly IntegrationSettings[]
  readonly pipelines: readonly AnyPipeline[]
  /** Who may send events. Default nobody. */
  readonly webhooks?: readonly WebhookSettings[]
  /** Whom the end of a run may be told to. Default nobody. */
  readonly callbacks?: CallbackSettings
  readonly settings?: Partial<EngineSettings>
  /** Of stored credentials. Default one without a key: nothing can be stored. */
  readonly cipher?: Cipher
  /** What can be done with the contents of the store. Default: of one that is not encrypted. */
  readonly payloads?: Payloads
  /** Run after everything else is closed: what the caller opened for this engine. */
  readonly onClose?: () => Promise<void>
}

/** @throws HoldfastError `invalid_pipeline`, `unknown_integration`, `duplicate_name` */
export function createEngine(parts: EngineParts): Holdfast {
  const { clock, random, ledger, transport } = parts
  const settings: EngineSettings = { ...DEFAULT_ENGINE_SETTINGS, ...parts.settings }
  const events: EventBus = createEventBus((error, event) => {
    // An observer's failure is told to the other observers, once: never back to itself for its own trouble event.
    if (event.type === 'engine.trouble') return
    events.emit('engine.trouble', clock.wallMs(), {
      where: `listener of ${event.type}`,
      message: messageOf(error),
      cause: error,
    })
  })
  const webhooks = parts.webhooks ?? []
  const payloads = parts.payloads ?? plainPayloads({ ledger, random, nowMs: clock.wallMs })
  const cipher = parts.cipher ?? createCipher([], random)
  const callbackSettings = parts.callbacks ?? { secret: undefined, integrations: [] }
  const redact = [...new Set(parts.integrations.flatMap((integration) => integration.redact))]
  const disabledAddresses = createDisabledAddresses({ ledger, clock, events })
  const catalog = createCatalog(
    [...parts.integrations, ...callbackSettings.integrations],
    [...parts.pipelines, ...intakePipelines(webhooks, parts.pipelines, () => submitParts())],
    createCallbackPlans({ settings: callbackSettings, ledger, clock, cipher, redact, disabled: disabledAddresses }),
  )
  const processId = newId(clock, random)
  const health = createHealth({ ledger, clock, random, events, workerId: processId })
  const credentials = createCredentials({
    ledger,
    transport,
    clock,
    random,
    events,
    cipher,
    workerId: processId,
    onSuspended: () => health.sync(),
  })
  const statistics = shareStatistics({ ledger, clock, events })
  const attempt = { health, transport, credentials, clock, random, events, statistics }
  const healthLoop = startHealthLoop(health, clock, settings.healthSyncMs)
  const deadlines = createDeadlines(clock)
  const settler = createSettler({ ledger, clock, events })
  const execute: ExecuteParts = {
    catalog,
    ledger,
    health,
    attempt,
    clock,
    random,
    settings,
    deadlines,
  }
  const crew = createCrew(clock, (wake) => ledger.watch(wake))
  const recovering = wakeWhenHealthy({ ledger, events, clock, wake: () => crew.wake() })
  const jobRunner = createJobRunner({
    ledger,
    catalog,
    clock,
    events,
    processId,
    lookEveryMs: settings.jobLookMs,
    stepMs: settings.jobStepMs,
    wakeWorkers: () => crew.wake(),
  })
  const operations = createOperations({
    ledger,
    payloads,
    jobs: createJobDesk({ ledger, clock, newId: createIdSource(clock, random), wakeRunner: jobRunner.wake }),
    finishJob: jobRunner.finish,
    catalog,
    health,
    credentials: credentials.desk,
    disabledAddresses,
    statistics,
    clock,
    events,
    newId: createIdSource(clock, random),
    wake: () => crew.wake(),
  })
  const inlineParts = { ...attempt, ledger, newId: () => newId(clock, random) }
  const newRunId = createIdSource(clock, random)
  const callbacks = createCallbackDesk({ settings: callbackSettings, cipher, clock, newRunId })
  const submitting = tellingOfWork(ledger, (where) => crew.wake(where))
  const submitParts = (options?: TransactionOptions) => {
    const into = options?.transaction ? joined(parts, options.transaction) : submitting
    const { maxPayloadBytes } = settings
    const { subjectHash } = payloads
    return { catalog, ledger: into, clock, events, newRunId, callbacks, maxPayloadBytes, subjectHash }
  }
  const undo = watchForUndo({
    ledger,
    catalog,
    clock,
    events,
    newRunId,
    lookEveryMs: settings.undoLookMs,
    wake: () => crew.wake(),
  })
  const desk = createWebhookDesk({
    webhooks,
    clock,
    events,
    submitParts() {
      openOrThrow()
      return submitParts()
    },
  })
  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    await jobRunner.stop()
    await crew.stop()
    await settler.flushed(FLUSH_LIMIT_MS)
    await undo.stop()
    recovering[Symbol.dispose]()
    await healthLoop.stop()
    await statistics.close()
    await credentials.close()
    await transport.close()
    await ledger.close()
    await parts.onClose?.()
  }

  function openOrThrow(): void {
    if (!closing) return
    throw new HoldfastError({
      code: 'closed',
      class: 'configuration',
      message: 'This Holdfast is closed',
      hint: 'Submit before `close()`, or open a new one.',
    })
  }

  const holdfast: Holdfast = {
    events,
    operations,
    idempotency: createIdempotencyStore({ ledger, clock, events, newId: inlineParts.newId }),
    async submit(pipeline, input, options) {
      openOrThrow()
      const [receipt] = await submitRecords(submitParts(options), pipelineOf(catalog, pipeline), [
        { input, ...(options && { options }) },
      ])
      if (receipt?.ok) return receipt
      throw receipt?.error ?? new Error('no receipt')
    },
    async submitMany(pipeline, records, options) {
      openOrThrow()
      return await submitRecords(submitParts(options), pipelineOf(catalog, pipeline), records)
    },
    webhookReceiver: (source, options) => desk.receiver(source, options),
    webhookHandler: (source, options) => desk.receiver(source, options).handle,
    async submitRequest(request, options) {
      openOrThrow()
      callable(catalog, callbackSettings, request.integration)
      return await submitSingleRequest(submitParts(), request, options)
    },
    client: (name, options) => createInlineCaller(inlineParts, callable(catalog, callbackSettings, name), options),
    forwarder: (name, options) => createForwarder(inlineParts, callable(catalog, callbackSettings, name), options),
    fetch: (name, options) => createFetch(inlineParts, callable(catalog, callbackSettings, name), options),
    startWorker(options = {}) {
      openOrThrow()
      undo.start()
      jobRunner.start()
      const worker = startWorker({
        id: newId(clock, random),
        ledger,
        catalog,
        health,
        clock,
        events,
        settler,
        execute,
        settings,
        concurrency: options.concurrency ?? settings.concurrency,
        onlyLanes: options.lanes && new Set(options.lanes),
        onIdle: () => crew.idle(),
        onStopped: () => crew.remove(worker),
        onStoreBroken: (error) => crew.fail(error),
      })
      crew.add(worker)
      return worker
    },
    drain: (options) =>
      drain(
        {
          ledger,
          clock,
          followedUp: undo.settled,
          idleMoments: crew.idleMoments,
          nextIdle: (after, limitMs, signal) => crew.nextIdle(after, limitMs, signal),
        },
        options,
      ),
    close() {
      closing ??= close()
      return closing
    },
    [Symbol.asyncDispose]() {
      return holdfast.close()
    },
  }
  return holdfast
}

/** The workers of this process hear at once of what is submitted in it, but for what is leased already. */
function tellingOfWork(ledger: Ledger, wake: (where: Where) => void): Pick<Ledger, 'submit'> {
  return {
    async submit(runs) {
      const receipts = await ledger.submit(runs)
      const waiting = withoutTaker(runs, receipts)
      if (waiting.length > 0) wake(whereDue(waiting))
      return receipts
    },
  }
}

function joined(
  { joining }: EngineParts,
  client: NonNullable<TransactionOptions['transaction']>,
): Pick<Ledger, 'submit'> {
  if (joining) return joining(client)
  throw configurationError(
    'transaction_not_supported',
    'This store cannot take part in a transaction of yours',
    'Use a PostgreSQL store in the same database, or submit without `transaction`, after your own commit.',
  )
}

/** Callbacks have integrations so that people can see and hold them; nobody else calls those addresses. */
function callable(catalog: Catalog, { integrations }: CallbackSettings, name: string): IntegrationSettings {
  if (!integrations.some((integration) => integration.name === name)) return catalog.integration(name)
  throw configurationError(
    'unknown_integration',
    `"${name}" is for callbacks alone`,
    'Configure an integration for calls of your own.',
    { integration: name },
  )
}

function pipelineOf(catalog: Catalog, pipeline: { readonly name: string } | string): AnyPipeline {
  return catalog.pipeline(typeof pipeline === 'string' ? pipeline : pipeline.name)
}

/**
 * The workers of this process, as one thing to wake, wait for and stop. Whoever only submits hears nothing of what others do: each
 * submit of any process would else wake all of them.
 */
function createCrew(clock: Clock, watch: Ledger['watch']) {
  const workers = new Set<EngineWorker>()
  const waiting = new Set<() => void>()
  let watching: Disposable | undefined
  let broken: HoldfastError | undefined
  let idleMoments = 0

  function wake(where?: Where): void {
    for (const worker of workers) worker.wake(where)
  }

  return {
    add(worker: EngineWorker) {
      workers.add(worker)
      watching ??= watch(wake)
    },
    remove(worker: EngineWorker) {
      workers.delete(worker)
      if (workers.size > 0) return
      watching?.[Symbol.dispose]()
      watching = undefined
    },
    wake,
    idleMoments: () => idleMoments,
    idle() {
      idleMoments += 1
      for (const resolve of waiting) resolve()
      waiting.clear()
    },
    fail(error: HoldfastError) {
      broken = error
      this.idle()
    },
    /** A sleep, unlike a timer, holds the process open: whoever drains wants the end of it. */
    async nextIdle(after: number, limitMs: number, signal: AbortSignal | undefined): Promise<void> {
      const woken = new AbortController()
      const wake = () => woken.abort()
      waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
      try {
        if (idleMoments === after) await clock.sleep(limitMs, woken.signal)
      } catch (error) {
        if (!woken.signal.aborted) throw error
      } finally {
        signal?.removeEventListener('abort', wake)
        waiting.delete(wake)
      }
      if (broken) throw broken
    },
    async stop() {
      await Promise.all([...workers].map((worker) => worker.stop()))
    },
  }
}
