/** `holdfast run`: a file through a pipeline, to the end. */
import { resolve as resolvePath } from 'node:path'
import { configurationError } from '../../core/errors.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { Balance } from '../../ledger/port.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Input, type InputFormat, openInput } from '../input/open-input.ts'
import { keyOfRecord } from '../input/record-key.ts'
import { type SubmitCounts, submitEntries } from '../input/submit-file.ts'
import { GRACE_MS, listenForInterrupt, unlessInterrupted } from '../interruption.ts'
import { runProgress, showProgress } from '../output/progress.ts'
import { createRejections, type Rejections } from './rejections.ts'
import { tellRun } from './tell-run.ts'

export interface RunOptions {
  readonly input: string
  readonly format?: string
  readonly delimiter?: string
  readonly key?: string
  readonly batch?: string
  readonly label?: Readonly<Record<string, string>>
  readonly tenant?: string
  readonly rejected?: string
  readonly concurrency?: number
  /** False with `--no-work`. */
  readonly work: boolean
}

export interface RunResult {
  readonly pipeline: string
  readonly batch: string
  readonly counts: SubmitCounts
  readonly refusedExamples: readonly { readonly line: number; readonly reason: string }[]
  readonly balance: Balance
  readonly interrupted: boolean
  readonly worked: boolean
}

export async function runFile(context: CliContext, pipeline: string, options: RunOptions): Promise<ExitCode> {
  const { maxPayloadBytes, pipelines } = await context.config('send')
  requirePipeline(pipeline, pipelines)
  const format = inputFormat(options.format)
  const input = await openInput({
    name: options.input,
    directory: context.host.directory,
    maximumBytes: maxPayloadBytes,
    ...(format && { format }),
    ...(options.delimiter !== undefined && { delimiter: options.delimiter }),
  })
  const path = options.rejected === undefined ? undefined : resolvePath(context.host.directory, options.rejected)
  await using rejections = await createRejections(context.output, path)
  // Awaited here, so that the file of refused records stays open until the end.
  return await context.withHoldfast('send', async (holdfast) => {
    const result = await sendThrough(context, holdfast, pipeline, options, input, rejections)
    tellRun(context.output, result)
    return exitCodeFor(result)
  })
}

async function sendThrough(
  { host }: CliContext,
  holdfast: Holdfast,
  pipeline: string,
  options: RunOptions,
  input: Input,
  rejections: Rejections,
): Promise<RunResult> {
  const batch = options.batch ?? input.name
  const counts: SubmitCounts = { read: 0, accepted: 0, known: 0, refused: 0 }
  using interruption = listenForInterrupt(host, 'Stopping: everything is in the store; the same command goes on.')
  const { signal } = interruption
  let isReading = true
  const progress = await showProgress(host, async () =>
    runProgress({
      readShare: input.totalBytes ? input.readBytes() / input.totalBytes : undefined,
      isReading,
      records: counts.read,
      balance: await holdfast.operations.balance({ batch }),
    }),
  )
  const worker = options.work
    ? holdfast.startWorker(options.concurrency === undefined ? {} : { concurrency: options.concurrency })
    : undefined
  try {
    const submit = {
      batch,
      ...(options.label && { labels: options.label }),
      ...(options.tenant !== undefined && { tenant: options.tenant }),
    }
    const keyOf = keyOfRecord(options.key, batch)
    const plan = { holdfast, pipeline, keyOf, options: submit, signal, onRefused: rejections.add }
    await submitEntries(input.entries, plan, counts)
    isReading = false
    if (worker) await unlessInterrupted(signal, () => holdfast.drain({ batch, signal }))
  } finally {
    progress.stop()
    await worker?.stop({ graceMs: GRACE_MS })
  }
  return {
    pipeline,
    batch,
    counts,
    refusedExamples: rejections.examples(),
    balance: await holdfast.operations.balance({ batch }),
    interrupted: signal.aborted,
    worked: options.work,
  }
}

function exitCodeFor({ interrupted, balance, counts }: RunResult): ExitCode {
  if (!balance.balanced) return EXIT.failed
  if (interrupted) return EXIT.interrupted
  const { dead_lettered, unknown_outcome } = balance.states
  return counts.refused > 0 || dead_lettered > 0 || unknown_outcome > 0 ? EXIT.needsPerson : EXIT.done
}

function requirePipeline(name: string, pipelines: readonly { readonly name: string }[]): void {
  if (pipelines.some((pipeline) => pipeline.name === name)) return
  const known = pipelines.map((pipeline) => pipeline.name).join(', ')
  throw configurationError(
    'unknown_pipeline',
    `There is no pipeline "${name}"`,
    known ? `There are: ${known}.` : 'Define one under `pipelines` in the configuration.',
    { pipeline: name },
  )
}

function inputFormat(format: string | undefined): InputFormat | undefined {
  if (format === undefined || format === 'csv' || format === 'jsonl') return format
  throw configurationError('unknown_input_format', `"${format}" is no format of input`, 'Use csv or jsonl.')
}
