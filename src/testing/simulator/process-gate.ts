/**
 * The border of a simulated process: everything that goes in or out passes here, and here is where it freezes and dies. Between two
 * crossings a process only computes, so dying at a crossing is dying at any `await`.
 */
export interface ProcessGate {
  readonly state: 'running' | 'frozen' | 'dead'
  /** Something reaches the process: a timer, an answer, a result. Held back while frozen, dropped once dead. */
  enter(deliver: () => void): void
  /** Something is about to leave. False: the process is dead, and it does not happen. */
  leave(): boolean
  freeze(): void
  /** Everything that was held back arrives, in its order. */
  wake(): void
  /** Dies at the n-th crossing from now. */
  dieAfter(crossings: number): void
  spare(): void
  die(): void
}

export function createProcessGate(onDeath: () => void): ProcessGate {
  let state: ProcessGate['state'] = 'running'
  let held: (() => void)[] = []
  let crossingsLeft = Number.POSITIVE_INFINITY

  function die(): void {
    if (state === 'dead') return
    state = 'dead'
    held = []
    onDeath()
  }

  /** True where the process has survived the crossing. */
  function cross(): boolean {
    if (state === 'dead') return false
    crossingsLeft -= 1
    if (crossingsLeft > 0) return true
    die()
    return false
  }

  return {
    get state() {
      return state
    },
    enter(deliver) {
      if (state === 'frozen') held.push(deliver)
      else if (cross()) deliver()
    },
    leave: cross,
    freeze() {
      if (state === 'running') state = 'frozen'
    },
    wake() {
      if (state !== 'frozen') return
      state = 'running'
      const arrived = held
      held = []
      for (const deliver of arrived) if (cross()) deliver()
    },
    dieAfter(crossings) {
      crossingsLeft = crossings
    },
    spare() {
      crossingsLeft = Number.POSITIVE_INFINITY
    },
    die,
  }
}
