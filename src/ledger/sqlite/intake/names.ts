/**
 * Long names that many rows share, as small numbers: channels (lane and endpoint), books (batch and pipeline) and flows
 * (tenant and pipeline).
 */
import { type Database, prepare, type Statement } from '../transactions/connection.ts'

export interface Names {
  /** The number of a channel; made, with its lane, where it is new. Only inside a transaction. */
  channel(lane: string, endpoint: string): number
  /** The number of a channel that exists. */
  knownChannel(lane: string, endpoint: string): number | undefined
  /** The number of a book; made where it is new. Only inside a transaction. */
  book(batch: string, pipeline: string): number
  /** The number of a flow; made where it is new. Only inside a transaction. */
  flow(tenant: string, pipeline: string): number
  /** Tenant and pipeline of a flow that exists. */
  namesOfFlow(flow: number): FlowNames
  /** After a rollback: numbers that were made in it do not exist. */
  forget(): void
}

export interface FlowNames {
  readonly tenant: string
  readonly pipeline: string
}

export function createNames(database: Database): Names {
  const addLane = prepare(database, 'INSERT INTO lanes (lane) VALUES (?) ON CONFLICT DO NOTHING')
  const selectFlow = prepare<FlowNames>(database, 'SELECT tenant, pipeline FROM flows WHERE id = ?')
  const channels = numbered(database, 'channels', 'lane', 'endpoint')
  const books = numbered(database, 'books', 'batch', 'pipeline')
  const flows = numbered(database, 'flows', 'tenant', 'pipeline')
  const flowNames = new Map<number, FlowNames>()

  return {
    channel: (lane, endpoint) => channels.find(lane, endpoint) ?? addChannel(lane, endpoint),
    knownChannel: channels.find,
    book: (batch, pipeline) => books.find(batch, pipeline) ?? books.add(batch, pipeline),
    flow: (tenant, pipeline) => flows.find(tenant, pipeline) ?? flows.add(tenant, pipeline),
    namesOfFlow: (flow) => flowNames.get(flow) ?? readFlow(flow),
    forget() {
      channels.forget()
      books.forget()
      flows.forget()
      flowNames.clear()
    },
  }

  function addChannel(lane: string, endpoint: string): number {
    addLane.run(lane)
    return channels.add(lane, endpoint)
  }

  function readFlow(flow: number): FlowNames {
    const names = selectFlow.get(flow)
    // Only in a damaged store: the audit will name it.
    if (!names) return { tenant: '', pipeline: `flow ${flow}` }
    flowNames.set(flow, names)
    return names
  }
}

interface Numbered {
  find(first: string, second: string): number | undefined
  add(first: string, second: string): number
  forget(): void
}

/** Rows are never deleted or renumbered, so what was found once stays true. */
function numbered(database: Database, table: string, firstColumn: string, secondColumn: string): Numbered {
  const select: Statement<{ id: number }> = prepare(
    database,
    `SELECT id FROM ${table} WHERE ${firstColumn} = ? AND ${secondColumn} = ?`,
  )
  const insert = prepare(database, `INSERT INTO ${table} (${firstColumn}, ${secondColumn}) VALUES (?, ?)`)
  const known = new Map<string, Map<string, number>>()

  function remember(first: string, second: string, id: number): number {
    const seconds = known.get(first)
    if (seconds) seconds.set(second, id)
    else known.set(first, new Map([[second, id]]))
    return id
  }

  return {
    find(first, second) {
      const id = known.get(first)?.get(second)
      if (id !== undefined) return id
      const row = select.get(first, second)
      return row && remember(first, second, row.id)
    },
    add: (first, second) => remember(first, second, insert.run(first, second).lastInsertRowid),
    forget: () => known.clear(),
  }
}
