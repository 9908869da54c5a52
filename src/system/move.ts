/** Both ends of a move, on real time: what `holdfast migrate --from --to` works on. */
import type { StoreSettings } from '../config/loaded.ts'
import { configurationError } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import { abortMove, type MoveOptions, type MoveReport, moveLedger } from '../ledger/move.ts'
import { openPostgresTarget } from '../ledger/postgres/index.ts'
import { openSqliteSource } from '../ledger/sqlite/index.ts'
import type { TransferSource, TransferTarget } from '../ledger/transfer.ts'
import { systemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/**
 * Moves a store, or goes on where that was interrupted; see `moveLedger`.
 * @throws HoldfastError `move_*`, `store_*`
 */
export async function moveStore(
  from: StoreSettings,
  to: StoreSettings,
  options: Pick<MoveOptions, 'onProgress' | 'signal'>,
): Promise<MoveReport> {
  const time = { newId: () => newId(systemClock, systemRandom), nowMs: () => systemClock.wallMs() }
  assertTarget(to)
  return withSource(from, (source) => withTarget(to, (target) => moveLedger(source, target, { ...options, ...time })))
}

/**
 * Gives up a move that was begun; see `abortMove`.
 * @throws HoldfastError `move_*`, `store_*`
 */
export async function abortStoreMove(from: StoreSettings, to: StoreSettings | undefined): Promise<void> {
  if (to) assertTarget(to)
  await withSource(from, (source) =>
    to ? withTarget(to, (target) => abortMove(source, target)) : abortMove(source, undefined),
  )
}

async function withSource<Result>(
  from: StoreSettings,
  use: (source: TransferSource) => Promise<Result>,
): Promise<Result> {
  if (from.kind !== 'sqlite') throw unsupported('from', 'a file (sqlite:./holdfast.db)')
  const source = await openSqliteSource({ path: from.path, clock: systemClock })
  try {
    return await use(source)
  } finally {
    await source.close()
  }
}

async function withTarget<Result>(
  to: StoreSettings,
  use: (target: TransferTarget) => Promise<Result>,
): Promise<Result> {
  assertTarget(to)
  const target = await openPostgresTarget({ url: to.url, clock: systemClock })
  try {
    return await use(target)
  } finally {
    await target.close()
  }
}

function assertTarget(to: StoreSettings): asserts to is StoreSettings & { kind: 'postgres' } {
  if (to.kind !== 'postgres') throw unsupported('to', 'a server (postgres://USER@HOST/DATABASE)')
}

function unsupported(option: string, expected: string) {
  return configurationError(
    'move_unsupported',
    `--${option} must name ${expected}: a store moves from a file to a server`,
    'Between servers, use the tools of PostgreSQL (pg_dump, a replica); a file is moved by copying it while nobody works.',
  )
}
