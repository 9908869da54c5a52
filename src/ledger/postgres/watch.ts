/**
 * Hints between processes by LISTEN and NOTIFY. Notifying is kept off the write path, for a transaction that notifies makes
 * all others of its kind wait while it commits: many writes are told by one notification of its own, a little later.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import type { PooledClient, PostgresPool } from './driver.ts'
import type { Transactor } from './transact.ts'

export interface Watcher {
  watch(listener: () => void): Disposable
  /** Tells the others that work may have become due. */
  announce(): void
  /** The same as commands for whoever is about to send something anyway; `undefined`: it will be told a little later. */
  announcement(): string | undefined
  stop(): Promise<void>
}

export interface WatchOptions {
  readonly pool: PostgresPool
  readonly clock: Clock
  readonly transactor: Transactor
  readonly channel: string
  /** Hints of its own are not for this process. */
  readonly writer: number
}

/** Between two notifications of one process. */
const ANNOUNCE_INTERVAL_MS = 5
const FIRST_RECONNECT_DELAY_MS = 100
const LONGEST_RECONNECT_DELAY_MS = 10_000

export function createWatcher(options: WatchOptions): Watcher {
  const listeners = new Set<() => void>()
  const announcer = createAnnouncer(options)
  let connection: { end(): void } | undefined

  function hint(): void {
    for (const listener of [...listeners]) listener()
  }

  function stopListening(): void {
    connection?.end()
    connection = undefined
  }

  return {
    watch(callback) {
      // Its own function each time, so that the same callback may watch twice.
      const listener = (): void => callback()
      listeners.add(listener)
      connection ??= keepListening(options, hint)
      return {
        [Symbol.dispose]: () => {
          listeners.delete(listener)
          if (listeners.size === 0) stopListening()
        },
      }
    },
    announce: announcer.announce,
    announcement: announcer.announcement,
    async stop() {
      listeners.clear()
      stopListening()
      await announcer.stop()
    },
  }
}

function createAnnouncer({ clock, transactor, channel, writer }: WatchOptions) {
  const notify = `NOTIFY "${channel}", '${writer}'`
  let sending: Promise<void> | undefined
  let again = false
  let stopped = false

  /** `told`: when the others have been told; some time after that they may be told again. */
  function restAfter(told: Promise<void>): void {
    sending = told.then(() => {
      clock.setTimer(ANNOUNCE_INTERVAL_MS, () => {
        sending = undefined
        if (again) announce()
      })
    })
  }

  function announcement(): string | undefined {
    again = sending !== undefined
    if (again || stopped) return undefined
    restAfter(Promise.resolve())
    return notify
  }

  async function send(): Promise<void> {
    try {
      await transactor.read((session) => session.run(notify))
    } catch {
      // A hint may be lost: whoever waits polls as well.
    }
  }

  function announce(): void {
    again = sending !== undefined
    if (!again && !stopped) restAfter(send())
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
function keepListening({ pool, clock, channel, writer }: WatchOptions, hint: () => void): { end(): void } {
  let ended = false
  let client: PooledClient | undefined
  let timer: Timer | undefined
  let delayMs = FIRST_RECONNECT_DELAY_MS

  const onNotification = (message: { readonly payload?: string | undefined }): void => {
    if (message.payload !== String(writer)) hint()
  }

  function drop(): void {
    const dropped = client
    client = undefined
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
    } catch {
      // It is tried again; until then others poll.
      lost()
      return
    }
    if (ended) return drop()
    delayMs = FIRST_RECONNECT_DELAY_MS
    // What happened before it listened was not heard.
    hint()
  }

  void listen()
  return {
    end() {
      ended = true
      timer?.cancel()
      drop()
    },
  }
}
