import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configurationError } from '../../core/errors.ts'
import { ITEM_STATES } from '../../core/item-state.ts'
import type { Balance } from '../../ledger/port.ts'
import type { Host, Screen } from '../host.ts'
import { balanceText } from './balance.ts'
import { exitCodeOf, printError } from './errors.ts'
import { createOutput } from './output.ts'
import { printable } from './printable.ts'
import { wordProgress } from './progress.ts'
import { table } from './table.ts'
import { formatRelative, formatTime } from './time.ts'

function screen(isTerminal: boolean): Screen & { text(): string } {
  const pieces: string[] = []
  return { isTerminal, width: 80, write: (text) => void pieces.push(text), text: () => pieces.join('') }
}

function fakeHost(isTerminal: boolean, env: Host['env'] = {}) {
  const stdout = screen(isTerminal)
  const stderr = screen(isTerminal)
  return { host: { stdout, stderr, env } as unknown as Host, stdout, stderr }
}

const plain = (text: string) => text
const ESCAPE = '\u001b['

describe('results', () => {
  it('are text on a terminal and JSON in a pipe, unless asked otherwise', () => {
    const resultOn = (isTerminal: boolean, options: { json?: boolean }) => {
      const { host, stdout } = fakeHost(isTerminal)
      createOutput(host, options).result({ a: 1 }, () => 'text')
      return stdout.text()
    }
    expect(resultOn(true, {})).toBe('text\n')
    expect(JSON.parse(resultOn(false, {}))).toEqual({ a: 1 })
    expect(JSON.parse(resultOn(true, { json: true }))).toEqual({ a: 1 })
    expect(resultOn(false, { json: false })).toBe('text\n')
  })

  it.each<[string, boolean, Record<string, string>, boolean]>([
    ['a terminal', true, {}, true],
    ['a pipe', false, {}, false],
    ['NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['a dumb terminal', true, { TERM: 'dumb' }, false],
  ])('colours on %s: %s %o -> %s', (_where, isTerminal, env, coloured) => {
    const { colours } = createOutput(fakeHost(isTerminal, env).host, {})
    expect(colours.bad('x').includes(ESCAPE)).toBe(coloured)
  })

  it('advice and the next command go to stderr', () => {
    const { host, stdout, stderr } = fakeHost(false)
    const output = createOutput(host, {})
    output.note('working')
    output.next('holdfast status', 'why')
    expect(stdout.text()).toBe('')
    expect(stderr.text()).toBe('working\nNext: holdfast status  why\n')
  })
})

describe('text from outside', () => {
  it('cannot move the cursor, repaint the terminal or make lines', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '\u001b[2J', '\u001b]0;x\u0007', '\n', '\r', '\u009b31m', '\u202e') }),
        (text) => {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must be gone
          expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
        },
      ),
    )
  })
})

describe('tables', () => {
  const columns = [
    { title: 'name', value: (row: { name: string }) => row.name, flexible: true },
    { title: 'length', value: (row: { name: string }) => row.name.length, align: 'right' as const },
  ]

  it('are aligned, and one column gives way to the width', () => {
    const rows = [{ name: 'short' }, { name: 'a name that is much longer than the line' }]
    const lines = table(columns, rows, { width: 30, heading: plain }).split('\n')
    expect(lines).toEqual([
      'name                    length',
      'short                        5',
      'a name that is much l…      40',
    ])
  })

  it('no line is longer than the width, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ name: fc.string() })), (rows) => {
        const lines = table(columns, rows, { width: 30, heading: plain }).split('\n')
        expect(lines).toHaveLength(rows.length + 1)
        for (const line of lines) expect([...line].length).toBeLessThanOrEqual(30)
      }),
    )
  })
})

describe('times', () => {
  const atMs = Date.UTC(2026, 10, 22, 23, 3, 5)

  it.each([
    ['UTC', '2026-11-22 23:03:05Z'],
    ['America/New_York', '2026-11-22 18:03:05 (23:03:05Z)'],
    ['Asia/Tokyo', '2026-11-23 08:03:05 (2026-11-22 23:03:05Z)'],
  ])('local in %s, with UTC beside it', (timeZone, text) => {
    expect(formatTime(atMs, timeZone)).toBe(text)
  })

  it('distances', () => {
    expect(formatRelative(1000, 251_000)).toBe('4m 10s ago')
    expect(formatRelative(31_000, 1000)).toBe('in 30s')
    expect(formatRelative(1500, 1000)).toBe('now')
  })
})

describe('what to do next', () => {
  it('names the same store, and never a password', () => {
    const { host, stderr } = fakeHost(false)
    const store = 'postgres://ada:s3cr3t@db.test/main?schema=own'
    createOutput(host, { json: false, store, demo: true }).next('holdfast audit')
    expect(stderr.text()).toBe(
      "Next: holdfast audit --demo --store 'postgres://ada:PASSWORD@db.test/main?schema=own'\n",
    )
  })
})

describe('errors', () => {
  const error = configurationError('invalid_config', 'x.yaml has 1 problem:\n  a: b', 'Correct it.')

  it('are one block: what, where, hint; a stack only when asked for', () => {
    const { host, stderr } = fakeHost(false)
    printError(host, error, {})
    expect(stderr.text()).toBe('error: x.yaml has 1 problem:\n  a: b\nhint:  Correct it.\ncode:  invalid_config\n')
    printError(host, error, { verbose: true })
    expect(stderr.text()).toContain('at ')
  })

  it('are JSON where JSON was asked for', () => {
    const { host, stderr } = fakeHost(false)
    printError(host, error, { json: true })
    expect(JSON.parse(stderr.text())).toMatchObject({ error: { code: 'invalid_config', hint: 'Correct it.' } })
  })

  it('wrong use is 2, everything else is 1', () => {
    expect(exitCodeOf(error)).toBe(2)
    expect(exitCodeOf(configurationError('store_unavailable', 'x', ''))).toBe(1)
    expect(exitCodeOf(new Error('x'))).toBe(1)
    expect(exitCodeOf('x')).toBe(1)
  })
})

describe('balance', () => {
  const zero = Object.fromEntries(ITEM_STATES.map((state) => [state, 0])) as Record<
    (typeof ITEM_STATES)[number],
    number
  >
  const balance: Balance = {
    accepted: 1200,
    states: { ...zero, succeeded: 1190, dead_lettered: 4, retrying: 6 },
    needsPerson: 4,
    balanced: true,
  }
  const output = createOutput(fakeHost(false).host, { json: false })

  it('R001: shows what there is, the sum, and whether it balances', () => {
    const text = balanceText(output, balance)
    expect(text).toMatch(/succeeded +1,190/)
    expect(text).not.toContain('waiting')
    expect(text).toContain('1,200 in all = 1,200 accepted: the books balance')
    expect(balanceText(output, { ...balance, accepted: 1201, balanced: false })).toContain('DO NOT BALANCE')
  })

  it('progress in words', () => {
    expect(wordProgress({ readShare: 0.456, isReading: true, records: 1300, balance })).toBe(
      'reading 45%, 1,300 records, 1,190 of 1,200 items done, 6 held or retrying, 4 need a person',
    )
  })
})
