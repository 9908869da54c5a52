/**
 * Hints between processes by LISTEN and NOTIFY. Notifying is kept off the write path, for a transaction that notifies makes
 * all others of its kind wait while it commits: many writes are told by one notification of its own, a little later.
 */
import type { Clock, Timer } from '../../../core/clock.ts'
import { together } from '../../hints.ts'
import type { Where } from '../../port.ts'
import type { Names } from '../intake/names.ts'
import type { PooledClient, PostgresPool } from '../transactions/driver.ts'
import type { Transactor } from '../transactions/transact.ts'
import { listenerLock, readLeased } from './standing.ts'

export interface Watcher {
  watch(listener: (where: Where) => void): Disposable
  /** Tells the others that work may have become due, and where. */
  announce(where?: Where): void
  /** The same as commands for whoever is about to send something anyway; `undefined`: it will be told a little later. */
  announcement(where?: Where): string | undefined
  /** Called with the number of a run that may be leased to a worker of this process. */
  onLeased(listener: (run: number) => void): void
  /** The number of the session that listens. */
  listener(): number | undefined
  stop(): Promise<void>
}

export interface WatchOptions {
  readonly pool: PostgresPool
  readonly clock: Clock
  readonly transactor: Transactor
  readonly names: Pick<Names, 'channel' | 'channelOf'>
  /** Quoted. */
  readonly schema: string
  readonly channel: string
  /** Hints of its own are not for this process. */
  readonly writer: number
}

/** Between two notifications of one process. */
const ANNOUNCE_INTERVAL_MS = 5
const FIRST_RECONNECT_DELAY_MS = 100
const LONGEST_RECONNECT_DELAY_MS = 10_000

export function createWatcher(options: WatchOptions): Watcher {
  const listeners = new Set<(where: Where) => void>()
  const announcer = createAnnouncer(options)
  let connection: Listening | undefined
  let leased: (run: number) => void = () => undefined

  function hint(where: Where): void {
    for (const listener of [...listeners]) listener(where)
  }

  function stopListening(): void {
    connection?.end()
    connection = undefined
  }

  return {
    watch(callback) {
      // Its own function each time, so that the same callback may watch twice.
      const listener = (where: Where): void => callback(where)
      listeners.add(listener)
      connection ??= keepListening(options, { hint, leased: (run) => leased(run) })
      return {
        [Symbol.dispose]: () => {
          listeners.delete(listener)
          if (listeners.size === 0) stopListening()
        },
      }
    },
    announce: announcer.announce,
    announcement: announcer.announcement,
    onLeased(listener) {
      leased = listener
    },
    listener: () => connection?.session(),
    async stop() {
      listeners.clear()
      stopListening()
      await announcer.stop()
    },
  }
}

function createAnnouncer({ clock, transactor, names, channel, writer }: WatchOptions) {
  let sending: Promise<void> | undefined
  /** What is to be told next. */
  let later: { readonly where: Where } | undefined
  let stopped = false

  function notifying(where: Where): string {
    const numbers = where?.map(({ lane, endpoint }) => names.channel(lane, endpoint)?.channel)
    return `NOTIFY "${channel}", '${hintText({ writer, numbers })}'`
  }

  /** Whether it can be told at once. */
  function isQuiet(where: Where): boolean {
    if (sending) later = { where: later ? together(later.where, where) : where }
    return !sending && !stopped
  }

  /** `told`: when the others have been told; some time after that they may be told again. */
  function restAfter(told: Promise<void>): void {
    sending = told.then(() => {
      clock.setTimer(ANNOUNCE_INTERVAL_MS, () => {
        sending = undefined
        const next = later
        later = undefined
        if (next) announce(next.where)
      })
    })
  }

  function announcement(where?: Where): string | undefined {
    if (!isQuiet(where)) return undefined
    restAfter(Promise.resolve())
    return notifying(where)
  }

  async function send(where: Where): Promise<void> {
    try {
      await transactor.read((session) => session.run(notifying(where)))
    } catch {
      // A hint may be lost: whoever waits polls as well.
    }
  }

  function announce(where?: Where): void {
    if (isQuiet(where)) restAfter(send(where))
  }

  return {
    announce,
    announcement,
    async stop() {
      stopped = true
      await sending
    },
  }
}

/** One connection that listens, made anew whenever it is lost. */
function keepListening(
  { pool, clock, names, schema, channel, writer }: WatchOptions,
  { hint, leased }: { hint(where: Where): void; leased(run: number): void },
): Listening {
  let ended = false
  let client: PooledClient | undefined
  let session: number | undefined
  let timer: Timer | undefined
  let delayMs = FIRST_RECONNECT_DELAY_MS
  const locked = `pg_try_advisory_lock(${listenerLock(schema, 'pg_backend_pid()')})`

  const onNotification = (message: { readonly payload?: string | undefined }): void => {
    const lease = readLeased(message.payload)
    if (lease) {
      if (lease.writer === writer) leased(lease.run)
      return
    }
    const heard = readHint(message.payload)
    if (heard.writer === writer) return
    const where = heard.numbers?.map((number) => names.channelOf(number))
    hint(where?.every((known) => known !== undefined) ? where : undefined)
  }

  function drop(): void {
    const dropped = client
    client = undefined
    session = undefined
    dropped?.removeListener('notification', onNotification)
    // Never back to the pool: it listens.
    dropped?.release(true)
  }

  function lost(): void {
    drop()
    if (ended) return
    timer = clock.setTimer(delayMs, () => void listen())
    delayMs = Math.min(delayMs * 2, LONGEST_RECONNECT_DELAY_MS)
  }

  async function listen(): Promise<void> {
    try {
      client = await pool.connect()
      client.on('error', lost)
      client.on('notification', onNotification)
      await client.query({ text: `LISTEN "${channel}"` })
      const { rows } = await client.query({ text: `SELECT pg_backend_pid() AS session, ${locked}` })
      session = (rows as { session: number }[])[0]?.session
    } catch {
      // It is tried again; until then others poll.
      lost()
      return
    }
    if (ended) return drop()
    delayMs = FIRST_RECONNECT_DELAY_MS
    // What happened before it listened was not heard.
    hint(undefined)
  }

  void listen()
  return {
    session: () => session,
    end() {
      ended = true
      timer?.cancel()
      drop()
    },
  }
}

interface Listening {
  /** Its number; `undefined` while there is none. */
  session(): number | undefined
  end(): void
}

interface Hint {
  readonly writer: number
  /** Of channels; absent: it may be anywhere. */
  readonly numbers?: readonly number[] | undefined
}

/** `7 12 15`: the writer with the number 7, in the channels 12 and 15. Nothing longer than a payload may be. */
function hintText({
  writer,
  numbers,
}: {
  writer: number
  numbers: readonly (number | undefined)[] | undefined
}): string {
  return numbers?.every((number) => number !== undefined) ? [writer, ...numbers].join(' ') : String(writer)
}

function readHint(payload = ''): Hint {
  const [writer = Number.NaN, ...numbers] = payload.split(' ').map(Number)
  return { writer, numbers: numbers.length > 0 ? numbers : undefined }
}
