/**
 * Moves a store to another one. It may be interrupted anywhere, by a kill too: the same again goes on where it was, and what is
 * there is not doubled.
 *
 * The source is closed for work first, and the target is open for work last, after the books of both were proved equal; in
 * between nobody can work on either. So no item is ever worked on twice, and nothing has to be carried over that happened
 * meanwhile.
 */
import { configurationError, type HoldfastError } from '../core/errors.ts'
import type { AuditReport, Balance } from './port.ts'
import type { MoveMark, TargetFound, TransferCounts, TransferSource, TransferTarget } from './transfer.ts'

export interface MoveOptions {
  readonly newId: () => string
  readonly nowMs: () => number
  readonly onProgress?: (progress: MoveProgress) => void
  /** Ends the move between two batches. */
  readonly signal?: AbortSignal
}

export interface MoveProgress {
  /** Runs, and effects. */
  readonly done: number
  readonly total: number
}

export interface MoveReport {
  /** `known`: it was finished before. */
  readonly outcome: 'moved' | 'known' | 'interrupted'
  readonly from: string
  readonly to: string
  /** Of the target; `undefined` where it was interrupted. */
  readonly counts: TransferCounts | undefined
  readonly balance: Balance | undefined
}

/**
 * @throws HoldfastError `move_target_taken`, `move_elsewhere`, `store_unbalanced`, `store_*`. Nothing is lost by any of them: the
 *   source has everything until the move is finished.
 */
export async function moveLedger(
  source: TransferSource,
  target: TransferTarget,
  options: MoveOptions,
): Promise<MoveReport> {
  const place = { from: source.description, to: target.description }
  const mark = await begin(source, target, options)
  const found = await target.found()
  if (found.what === 'moved' || mark.finished) {
    await target.finish(mark.id)
    return { ...place, outcome: 'known', counts: await target.counts(), balance: (await target.audit()).balance }
  }
  const before = proved(await source.audit(), source.description)
  if (!(await copy(mark, { source, target, found }, options))) {
    return { ...place, outcome: 'interrupted', counts: undefined, balance: undefined }
  }
  const counts = await source.counts()
  await assertEqual(target, before, counts)
  // In this order: were it the other way round, a kill in between would leave two stores that can be worked on.
  await source.finish(mark.id)
  await target.finish(mark.id)
  return { ...place, outcome: 'moved', counts, balance: before.balance }
}

/**
 * Gives up a move that has not finished: the source is open for work again. What was written to the target is removed, where
 * one is given.
 * @throws HoldfastError `move_not_begun`, `move_finished`
 */
export async function abortMove(source: TransferSource, target: TransferTarget | undefined): Promise<void> {
  const mark = await source.mark()
  if (mark?.finished) throw moveFinished(source.description, mark)
  const found = await target?.found()
  // A copy that is not finished was never worked on, so its original has everything.
  const leftover = found?.what === 'moving' && (!mark || found.id === mark.id) ? found : undefined
  if (!mark && !leftover) throw moveNotBegun(source.description)
  if (leftover) await target?.discard(leftover.id)
  await source.reopen()
}

/** Nothing is closed before it is clear that the target can be used. */
async function begin(source: TransferSource, target: TransferTarget, options: MoveOptions): Promise<MoveMark> {
  const known = await source.mark()
  const found = await target.found()
  assertUsable(found, known, source.description, target.description)
  const mark =
    known ??
    (await source.closeForWork({
      id: options.newId(),
      target: target.description,
      startedAtMs: options.nowMs(),
    }))
  if (found.what === 'empty') await target.begin(mark, source.description)
  return mark
}

function assertUsable(found: TargetFound, mark: MoveMark | undefined, from: string, to: string): void {
  if ('id' in found) {
    if (mark?.id !== found.id) throw moveTargetTaken(to, found.source)
    return
  }
  if (found.what === 'taken') throw moveTargetTaken(to)
  if (mark?.finished) throw moveFinished(from, mark)
  if (mark && mark.target !== to) throw moveElsewhere(from, mark.target)
}

interface Route {
  readonly source: TransferSource
  readonly target: TransferTarget
  readonly found: TargetFound
}

/** False where it was interrupted. */
async function copy(mark: MoveMark, { source, target, found }: Route, options: MoveOptions): Promise<boolean> {
  const { signal, onProgress } = options
  const { runs, effects } = await source.counts()
  let { reached, records: done } = 'id' in found ? found : { reached: undefined, records: 0 }
  onProgress?.({ done, total: runs + effects })
  for (const batch of source.batches(reached)) {
    if (signal?.aborted) return false
    await target.write(mark.id, batch, reached)
    reached = batch.reaches
    done += batch.records
    onProgress?.({ done, total: runs + effects })
  }
  return true
}

function proved(report: AuditReport, store: string): AuditReport {
  if (report.balanced) return report
  const broken = report.checks.filter(({ violations }) => violations > 0)
  const wrong = broken.map(({ description, violations }) => `${description}: ${violations} are not so`)
  throw unbalanced(`The books of ${store} do not balance`, wrong)
}

/** Both sides balance, and are the same: in each state of each batch, and in all that belongs to it. */
async function assertEqual(target: TransferTarget, before: AuditReport, counts: TransferCounts): Promise<void> {
  const after = proved(await target.audit(), target.description)
  const differences = [
    ...differencesOf('rows', counts, await target.counts()),
    ...differencesOf('all', flatBalance(before.balance), flatBalance(after.balance)),
    ...batchDifferences(before, after),
  ]
  if (differences.length === 0) return
  throw unbalanced(`${target.description} does not hold what its source holds`, differences)
}

function batchDifferences(before: AuditReport, after: AuditReport): string[] {
  const found = new Map(after.batches.map((batch) => [batch.batch, flatBalance(batch)]))
  const missing = before.batches.flatMap((batch) =>
    differencesOf(`batch "${batch.batch}"`, flatBalance(batch), found.get(batch.batch) ?? {}),
  )
  const known = new Set(before.batches.map(({ batch }) => batch))
  const foreign = after.batches.filter(({ batch, accepted }) => !known.has(batch) && accepted > 0)
  return [...missing, ...foreign.map(({ batch }) => `batch "${batch}": is not in the source`)]
}

function flatBalance({ accepted, needsPerson, states }: Balance): Record<string, number> {
  return { accepted, needsPerson, ...states }
}

function differencesOf(
  what: string,
  wanted: object,
  found: Readonly<Record<string, number>> | TransferCounts,
): string[] {
  const values = new Map<string, unknown>(Object.entries(found))
  return Object.entries(wanted).flatMap(([name, count]) =>
    (values.get(name) ?? 0) === count ? [] : [`${what}, ${name}: ${count} -> ${values.get(name) ?? 0}`],
  )
}

const MOST_DIFFERENCES = 10

function unbalanced(message: string, differences: readonly string[]): HoldfastError {
  const shown = differences.slice(0, MOST_DIFFERENCES)
  return configurationError(
    'store_unbalanced',
    `${message}; the move is not finished: ${shown.join('; ')}`,
    'This must never happen: keep both stores and report it. `holdfast migrate --abort` opens the old one again.',
    { differences },
  )
}

export function moveTargetTaken(to: string, source?: string): HoldfastError {
  const what = source === undefined ? 'holds records already' : `holds what another move brought from ${source}`
  return configurationError(
    'move_target_taken',
    `${to} ${what}; only an empty store can be moved to`,
    'Name another database, or a schema of its own: postgres://.../database?schema=NAME. Nothing was changed.',
    { to },
  )
}

export function moveElsewhere(from: string, to: string): HoldfastError {
  return configurationError(
    'move_elsewhere',
    `${from} is being moved to ${to}, by another process or an earlier command`,
    'Let the other one end, or run it again with that address; `holdfast migrate --abort` gives that move up.',
    { from, to },
  )
}

function moveFinished(from: string, mark: MoveMark): HoldfastError {
  return configurationError(
    'move_finished',
    `${from} has moved to ${mark.target} for good`,
    `Work goes on there: set "store" to that address. The old file is a copy of what was, and stays closed.`,
    { from, to: mark.target },
  )
}

export function moveNotBegun(from: string): HoldfastError {
  return configurationError(
    'move_not_begun',
    `${from} is not being moved`,
    'There is nothing to give up: the store is open for work.',
    { from },
  )
}
