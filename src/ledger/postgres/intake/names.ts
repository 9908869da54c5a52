/** Long names that many rows share, as small numbers: channels (lane and endpoint) and books (batch and pipeline). */
import type { ChannelRef } from '../../port.ts'
import { column, prepare } from '../transactions/connection.ts'
import type { Transactor } from '../transactions/transact.ts'

export interface ChannelNumber {
  readonly channel: number
  readonly lane: number
}

export interface Names {
  /** Makes what is new, in a transaction of its own: a number outlives whatever it was made for. */
  make(channels: readonly ChannelRef[], books: readonly BookName[]): Promise<void>
  /** The numbers of channels that exist. */
  find(channels: readonly ChannelRef[]): Promise<void>
  /** Of channels that were made or found before. */
  channel(lane: string, endpoint: string): ChannelNumber | undefined
  channelOf(number: number): ChannelRef | undefined
  book(batch: string, pipeline: string): number | undefined
}

export interface BookName {
  readonly batch: string
  readonly pipeline: string
}

interface ChannelRow extends ChannelRef {
  id: number
  lane_id: number
}

interface BookRow extends BookName {
  id: number
}

export function createNames(s: string, { read, write }: Transactor): Names {
  const addLanes = prepare(
    `INSERT INTO ${s}.lanes (lane) SELECT DISTINCT l FROM unnest($1::text[]) l ORDER BY l ON CONFLICT DO NOTHING`,
  )
  const addChannels = prepare(
    `INSERT INTO ${s}.channels (lane, endpoint) SELECT DISTINCT c.lane, c.endpoint
     FROM unnest($1::text[], $2::text[]) c (lane, endpoint) ORDER BY c.lane, c.endpoint ON CONFLICT DO NOTHING`,
  )
  const addBooks = prepare(
    `INSERT INTO ${s}.books (batch, pipeline) SELECT DISTINCT b.batch, b.pipeline
     FROM unnest($1::text[], $2::text[]) b (batch, pipeline) ORDER BY b.batch, b.pipeline ON CONFLICT DO NOTHING`,
  )
  const selectChannels = prepare<ChannelRow>(
    `SELECT c.id, c.lane, c.endpoint, l.id AS lane_id FROM unnest($1::text[], $2::text[]) n (lane, endpoint)
     JOIN ${s}.channels c ON c.lane = n.lane AND c.endpoint = n.endpoint JOIN ${s}.lanes l ON l.lane = c.lane`,
  )
  const selectBooks = prepare<BookRow>(
    `SELECT b.id, b.batch, b.pipeline FROM unnest($1::text[], $2::text[]) n (batch, pipeline)
     JOIN ${s}.books b ON b.batch = n.batch AND b.pipeline = n.pipeline`,
  )
  // Rows are never deleted or renumbered, so what was found once stays true.
  const channels = new Map<string, Map<string, ChannelNumber>>()
  const channelNames = new Map<number, ChannelRef>()
  const books = new Map<string, Map<string, number>>()

  const isNewChannel = ({ lane, endpoint }: ChannelRef): boolean => !channels.get(lane)?.has(endpoint)
  const isNewBook = ({ batch, pipeline }: BookName): boolean => !books.get(batch)?.has(pipeline)

  async function find(asked: readonly ChannelRef[]): Promise<void> {
    const unknown = asked.filter(isNewChannel)
    if (unknown.length === 0) return
    rememberChannels(await read((session) => session.rows(selectChannels, channelColumns(unknown))))
  }

  async function make(asked: readonly ChannelRef[], askedBooks: readonly BookName[]): Promise<void> {
    const unknown = asked.filter(isNewChannel)
    const unknownBooks = askedBooks.filter(isNewBook)
    if (unknown.length === 0 && unknownBooks.length === 0) return
    await write(async (session) => {
      const names = channelColumns(unknown)
      const bookNames = [column(unknownBooks, (book) => book.batch), column(unknownBooks, (book) => book.pipeline)]
      await session.rows(addLanes, [names[0] ?? null])
      await session.rows(addChannels, names)
      await session.rows(addBooks, bookNames)
      rememberChannels(await session.rows(selectChannels, names))
      for (const row of await session.rows(selectBooks, bookNames)) remember(books, row.batch, row.pipeline, row.id)
    })
  }

  function rememberChannels(rows: readonly ChannelRow[]): void {
    for (const { id, lane, endpoint, lane_id } of rows) {
      remember(channels, lane, endpoint, { channel: id, lane: lane_id })
      channelNames.set(id, { lane, endpoint })
    }
  }

  return {
    make,
    find,
    channel: (lane, endpoint) => channels.get(lane)?.get(endpoint),
    channelOf: (number) => channelNames.get(number),
    book: (batch, pipeline) => books.get(batch)?.get(pipeline),
  }
}

function channelColumns(names: readonly ChannelRef[]) {
  return [column(names, (name) => name.lane), column(names, (name) => name.endpoint)]
}

function remember<Value>(known: Map<string, Map<string, Value>>, first: string, second: string, value: Value): void {
  const seconds = known.get(first)
  if (seconds) seconds.set(second, value)
  else known.set(first, new Map([[second, value]]))
}
