/** Exchanges health with the other processes from time to time; what cannot wait syncs itself. */
import type { Health } from '../client/health.ts'
import type { Clock, Timer } from '../core/clock.ts'

/** How far apart processes may see the same breaker or gate at most (the stated bound of shared health). */
export const HEALTH_SYNC_MS = 1000

export interface HealthLoop {
  /** Idempotent. The last sync tells the others what is known here. */
  stop(): Promise<void>
}

export function startHealthLoop(health: Health, clock: Clock): HealthLoop {
  let stopped = false
  let timer: Timer | undefined
  let round = sync()

  async function sync(): Promise<void> {
    await health.sync()
    if (stopped) return
    timer = clock.setTimer(HEALTH_SYNC_MS, () => {
      round = sync()
    })
  }

  return {
    async stop() {
      if (stopped) return
      stopped = true
      timer?.cancel()
      await round
      await health.sync()
    },
  }
}
