import { describe, expect, it } from 'vitest'
import { createProcessGate } from './process-gate.ts'

function gateWithLog() {
  const log: string[] = []
  const gate = createProcessGate(() => log.push('died'))
  const arrive = (...names: string[]) => {
    for (const name of names) gate.enter(() => log.push(name))
  }
  return { gate, log, arrive }
}

describe('the border of a process', () => {
  it('lets everything through at once while it runs', () => {
    const { gate, log, arrive } = gateWithLog()
    arrive('timer', 'answer')
    expect(log).toEqual(['timer', 'answer'])
    expect(gate.leave()).toBe(true)
  })

  it('frozen: holds back what arrives, and delivers it in its order', () => {
    const { gate, log, arrive } = gateWithLog()
    gate.freeze()
    arrive('first', 'second')
    expect(log).toEqual([])
    gate.wake()
    arrive('third')
    expect(log).toEqual(['first', 'second', 'third'])
    // Nothing is delivered twice.
    gate.freeze()
    gate.wake()
    expect(log).toHaveLength(3)
  })

  it('dead: nothing arrives and nothing leaves, not even what was held back; it dies once', () => {
    const { gate, log, arrive } = gateWithLog()
    gate.freeze()
    arrive('held back')
    gate.die()
    gate.die()
    gate.wake()
    gate.freeze()
    arrive('late')
    expect(gate.leave()).toBe(false)
    expect(gate.state).toBe('dead')
    expect(log).toEqual(['died'])
  })

  it('dies at the n-th crossing, whichever way it goes, and that one does not happen', () => {
    const { gate, log, arrive } = gateWithLog()
    gate.dieAfter(3)
    arrive('one')
    expect(gate.leave()).toBe(true)
    arrive('three')
    expect(log).toEqual(['one', 'died'])
    expect(gate.leave()).toBe(false)
  })

  it('dies in the middle of what was held back: the rest does not arrive', () => {
    const { gate, log, arrive } = gateWithLog()
    gate.freeze()
    arrive('first', 'second', 'third')
    gate.dieAfter(2)
    expect(gate.state).toBe('frozen')
    gate.wake()
    expect(log).toEqual(['first', 'died'])
  })

  it('one that is spared lives on', () => {
    const { gate, log, arrive } = gateWithLog()
    gate.dieAfter(1)
    gate.spare()
    arrive('one', 'two')
    expect(log).toEqual(['one', 'two'])
    expect(gate.state).toBe('running')
  })
})
