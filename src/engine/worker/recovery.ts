/**
 * When what failed works again, what waited for it need not wait for its time: parked items and the slow lane of the dead
 * letters are due at once (D23). The breaker's ramp, not this, keeps the herd from coming back in one second (C10).
 */
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { EventBus, EventOf } from '../../core/events.ts'
import type { Ledger } from '../../ledger/port.ts'

const WAKE_LIMIT = 100_000

export function wakeWhenHealthy(parts: {
  readonly ledger: Ledger
  readonly events: EventBus
  readonly clock: Clock
  readonly wake: () => void
}): Disposable {
  const { ledger, events, clock } = parts

  async function onRecovered(event: EventOf<'breaker.changed'>): Promise<void> {
    const { integration, endpoint, tenant } = partsOfKey(event.key)
    const nowMs = clock.wallMs()
    const channels = await ledger.channels()
    for (const channel of channels) {
      if (!channel.lane.startsWith(`${integration}/`)) continue
      if (endpoint !== undefined && channel.endpoint !== endpoint) continue
      if (tenant !== undefined && !channel.lane.endsWith(`/${tenant}`)) continue
      const where = { lane: channel.lane, endpoint: channel.endpoint, limit: WAKE_LIMIT }
      await ledger.wake({ ...where, what: 'parked' }, nowMs)
      await ledger.wake({ ...where, what: 'slow_lane' }, nowMs)
    }
    parts.wake()
  }

  return events.on('breaker.changed', (event) => {
    const recovered = event.to === 'ramping' || (event.to === 'closed' && event.from !== 'ramping')
    if (!recovered) return
    onRecovered(event).catch((error: unknown) => {
      // They keep their due times: later, not lost.
      events.emit('engine.trouble', clock.wallMs(), {
        where: 'wake after recovery',
        message: messageOf(error),
        cause: error,
      })
    })
  })
}

/** `hubspot`, `hubspot:POST /contacts`, `hubspot:POST /contacts@acme` */
function partsOfKey(key: string): { integration: string; endpoint?: string; tenant?: string } {
  const colon = key.indexOf(':')
  if (colon < 0) return { integration: key }
  const integration = key.slice(0, colon)
  const rest = key.slice(colon + 1)
  const at = rest.lastIndexOf('@')
  if (at < 0) return { integration, endpoint: rest }
  return { integration, endpoint: rest.slice(0, at), tenant: rest.slice(at + 1) }
}
