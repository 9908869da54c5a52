/** A bar on stderr, for those that know that a person watches. */

export interface Bar {
  /** Begins with the first call. `words`: what the format names besides `{bar}`, `{percentage}`, `{value}` and `{total}`. */
  show(done: number, total: number, words: Readonly<Record<string, string | number>>): void
  /** Clears it; idempotent. */
  stop(): void
}

const BAR_WIDTH = 24
const FRAMES_PER_SECOND = 4

/** Loaded only where it is shown: most commands never need it. */
export async function openBar(format: string): Promise<Bar> {
  const { SingleBar } = await import('cli-progress')
  const bar = new SingleBar({
    format,
    stream: process.stderr,
    barsize: BAR_WIDTH,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: false,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: false,
    fps: FRAMES_PER_SECOND,
  })
  let isShown = false
  return {
    show(done, total, words) {
      const whole = Math.max(1, total)
      if (!isShown) bar.start(whole, 0, words)
      isShown = true
      bar.setTotal(whole)
      bar.update(done, words)
    },
    stop() {
      if (isShown) bar.stop()
      isShown = false
    },
  }
}
