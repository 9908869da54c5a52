/**
 * Statistics of endpoints, shared by all processes: what each has counted is added, once a minute, to one record of the store
 * per endpoint and day. Seven days are kept, in as many records, each of which is taken over when its day comes round again.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus } from '../../core/events.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { HealthReceipt, Ledger } from '../../ledger/port.ts'
import {
  type EndpointTally,
  mergeTally,
  newTally,
  tallyFromJson,
  tallyToJson,
} from '../../policy/timeouts/endpoint-tally.ts'
import { type CallRecorder, type Counted, EndpointRecorder } from './endpoint-recorder.ts'

export interface StatisticsParts {
  readonly ledger: Pick<Ledger, 'readHealth' | 'updateHealth'>
  readonly clock: Clock
  readonly events: EventBus
}

export interface SharedStatistics extends CallRecorder {
  /** What all processes have counted on the last seven days (UTC), today included, by endpoint and day, oldest day first. */
  read(): Promise<CountedDay[]>
  /** Tells the others what was counted here. Never throws: trouble becomes an event, and the next time tries again. */
  flush(): Promise<void>
  /** Flushes a last time. Idempotent. */
  close(): Promise<void>
}

export interface CountedDay extends Counted {
  /** When it began. */
  readonly dayMs: number
}

/** A process that is killed forgets what it has counted in this time. */
export const FLUSH_EVERY_MS = 60_000
export const DAYS_KEPT = 7
const DAY_MS = 86_400_000
const PREFIX = 'latency:'
/** Others write the same records; whoever loses merges and tries again, in the end with the next flush. */
const MAX_ROUNDS = 5

/** Calls are counted from the beginning; nothing is asked or written until there are some. */
export function shareStatistics(parts: StatisticsParts): SharedStatistics {
  return new Sharing(parts)
}

interface KnownRecord {
  readonly revision: number
  readonly state: Json
}

class Sharing implements SharedStatistics {
  readonly #parts: StatisticsParts
  readonly #recorder: EndpointRecorder
  /** What was counted and could not be told yet, by key. */
  #untold = new Map<string, Counted>()
  /** As they were last seen; those of one day only. */
  #known = new Map<string, KnownRecord>()
  #knownDay = 0
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #closed = false

  readonly count: CallRecorder['count']

  constructor(parts: StatisticsParts) {
    this.#parts = parts
    this.#recorder = new EndpointRecorder(() => this.#arm())
    this.count = this.#recorder.count.bind(this.#recorder)
  }

  async read(): Promise<CountedDay[]> {
    await this.flush()
    const today = dayOf(this.#parts.clock.wallMs())
    const { records } = await this.#parts.ledger.readHealth(0)
    const days = records
      .filter(({ key }) => key.startsWith(PREFIX))
      .map(({ state }) => dayFromJson(state))
      .filter((day) => day !== undefined && day.dayMs <= today * DAY_MS && day.dayMs > (today - DAYS_KEPT) * DAY_MS)
    return (days as CountedDay[]).sort((one, other) => one.dayMs - other.dayMs)
  }

  flush(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#running = this.#running.then(() => this.#tell())
    return this.#running
  }

  close(): Promise<void> {
    if (this.#closed) return this.#running
    this.#closed = true
    return this.flush()
  }

  #arm(): void {
    if (this.#closed) return
    this.#timer ??= this.#parts.clock.setTimer(FLUSH_EVERY_MS, () => void this.flush())
  }

  async #tell(): Promise<void> {
    const { clock, events } = this.#parts
    const day = dayOf(clock.wallMs())
    if (day !== this.#knownDay) this.#known.clear()
    this.#knownDay = day
    for (const counted of this.#recorder.take()) this.#keep(counted)
    try {
      for (let round = 0; round < MAX_ROUNDS && this.#untold.size > 0; round++) await this.#write(day)
    } catch (cause) {
      // Where only the answer was lost, these calls will be counted twice: statistics can bear that.
      events.emit('engine.trouble', clock.wallMs(), { where: 'statistics.flush', message: messageOf(cause), cause })
    }
    if (this.#untold.size > 0) this.#arm()
  }

  #keep({ integration, endpoint, tally }: Counted): void {
    const name = `${integration}:${endpoint}`
    const kept = this.#untold.get(name)
    if (kept) mergeTally(kept.tally, tally)
    else this.#untold.set(name, { integration, endpoint, tally })
  }

  async #write(day: number): Promise<void> {
    const names = [...this.#untold.keys()]
    const changes = names.map((name) => {
      const known = this.#known.get(name)
      const state = addedTo(known?.state, day, this.#untold.get(name) as Counted)
      return { key: `${PREFIX}${day % DAYS_KEPT}:${name}`, fromRevision: known?.revision ?? 0, state }
    })
    const receipts = await this.#parts.ledger.updateHealth(changes, this.#parts.clock.wallMs())
    for (const [index, receipt] of receipts.entries()) {
      this.#learn(names[index] as string, receipt, changes[index]?.state as Json)
    }
  }

  #learn(name: string, receipt: HealthReceipt, written: Json): void {
    if (receipt.applied) {
      this.#known.set(name, { revision: receipt.revision, state: written })
      this.#untold.delete(name)
    } else if (receipt.current) this.#known.set(name, receipt.current)
    else this.#known.delete(name)
  }
}

function dayOf(wallMs: number): number {
  return Math.floor(wallMs / DAY_MS)
}

/** What the record of that day is with this added. One of a day seven days ago, or more, is begun anew. */
function addedTo(state: Json | undefined, day: number, { integration, endpoint, tally }: Counted): Json {
  const known = state === undefined ? undefined : dayFromJson(state)
  const sum: EndpointTally = newTally()
  if (known?.dayMs === day * DAY_MS) mergeTally(sum, known.tally)
  mergeTally(sum, tally)
  return { day, integration, endpoint, tally: tallyToJson(sum) }
}

/** `undefined` for a record of another version, or a damaged one. */
function dayFromJson(state: Json): CountedDay | undefined {
  if (!isJsonObject(state)) return undefined
  const { day, integration, endpoint } = state
  const tally = tallyFromJson(state['tally'])
  if (!tally || !Number.isSafeInteger(day) || typeof integration !== 'string' || typeof endpoint !== 'string') {
    return undefined
  }
  return { dayMs: (day as number) * DAY_MS, integration, endpoint, tally }
}
