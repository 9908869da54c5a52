/** A store on a server as the target of a move. */
import type { Clock } from '../../../core/clock.ts'
import { moveElsewhere, moveTargetTaken } from '../../move.ts'
import type { MoveMark, TransferBatch, TransferTarget } from '../../transfer.ts'
import { createNames } from '../intake/names.ts'
import { prepareAudit } from '../reading/audit.ts'
import { createPartitions } from '../schema/partitions.ts'
import { prepare, type Session } from '../transactions/connection.ts'
import type { Transactor } from '../transactions/transact.ts'
import { countRows, prepareImport } from './import.ts'
import { beginMove, discardMove, findMove, finishMove, isEmpty, type Pass } from './moving.ts'

export interface TargetParts {
  /** Quoted. */
  readonly schema: string
  readonly description: string
  readonly clock: Clock
  readonly transactor: Transactor
  readonly pass: Pass
  readonly closePool: () => Promise<void>
}

export function createTarget(parts: TargetParts): TransferTarget {
  const { schema: s, description, transactor, pass } = parts
  const names = createNames(s, transactor)
  const partitions = createPartitions(s, transactor)
  const imports = prepareImport(s, names)
  const audit = prepareAudit(s)
  const advance = prepare<{ id: string }>(
    // Locked until the commit: of two processes that move, the second finds that it does not follow.
    `UPDATE ${s}.moves SET reached = $2, records = records + $3
     WHERE id = $1 AND reached IS NOT DISTINCT FROM $4 AND finished_at_ms IS NULL RETURNING id`,
  )

  async function begin(session: Session, mark: MoveMark, source: string): Promise<void> {
    const found = await findMove(session, s)
    if ('id' in found && found.id === mark.id) return
    await beginMove(session, s, mark, source)
    // Asked once more: by now everybody else who was writing has ended, and nobody can begin.
    if (!(await isEmpty(session, s))) throw moveTargetTaken(description)
  }

  async function write(id: string, batch: TransferBatch, reached: string | undefined): Promise<void> {
    pass.take(id)
    await imports.prepareNames(batch)
    const newest = await transactor.write(async (session) => {
      const advanced = await session.rows(advance, [id, batch.reaches, batch.records, reached ?? null])
      if (advanced.length === 0) throw moveElsewhere('The store', description)
      return imports.write(session, batch)
    })
    partitions.reach(newest)
    await partitions.idle()
  }

  return {
    description,
    found: () => transactor.read((session) => findMove(session, s)),
    async begin(mark, source) {
      pass.take(mark.id)
      await transactor.write((session) => begin(session, mark, source))
    },
    write,
    counts: () => transactor.read((session) => countRows(session, s)),
    audit: () => transactor.snapshot(audit),
    async finish(id) {
      pass.take(id)
      await transactor.write((session) => finishMove(session, s, id, parts.clock.wallMs()))
    },
    async discard(id) {
      pass.take(id)
      await transactor.write((session) => discardMove(session, s))
    },
    async close() {
      await partitions.idle()
      await transactor.close()
      await parts.closePool()
    },
  }
}
