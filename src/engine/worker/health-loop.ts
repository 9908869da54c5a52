/** Exchanges health with the other processes from time to time; what cannot wait syncs itself. */
import type { Health } from '../../client/health/health.ts'
import type { Clock, Timer } from '../../core/clock.ts'

export interface HealthLoop {
  /** Idempotent. Tells the others what is known here, and leaves them its share of limits. */
  stop(): Promise<void>
}

export function startHealthLoop(health: Health, clock: Clock, everyMs: number): HealthLoop {
  let stopped = false
  let timer: Timer | undefined
  let round = sync()

  async function sync(): Promise<void> {
    await health.sync()
    if (stopped) return
    timer = clock.setTimer(everyMs, () => {
      round = sync()
    })
  }

  return {
    async stop() {
      if (stopped) return
      stopped = true
      timer?.cancel()
      await round
      await health.leave()
    },
  }
}
